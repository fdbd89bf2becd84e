// The token sources of the relays that have `oauth2`, by relay.
#ifndef SENDSTEP_PLUGIN_RELAY_TOKENS_H_
#define SENDSTEP_PLUGIN_RELAY_TOKENS_H_

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <string>

#include "plugin/relays.h"
#include "plugin/token_source.h"
#include "transport/dns/resolver.h"

namespace sendstep::plugin {

class RelayTokens {
 public:
  // Relays and resolver outlive this and the executor's threads.
  RelayTokens(const boost::asio::any_io_executor& executor, const Relays& relays,
              dns::Resolver& resolver);

  // Null: the relay fetches none.
  TokenSource* Find(const std::string& relay) const;

  // Fetches are broken off, and what waits for one fails.
  void Stop();

 private:
  std::map<std::string, std::shared_ptr<TokenSource>> sources_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_RELAY_TOKENS_H_
