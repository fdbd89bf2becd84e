// The token sources of the relays that have `oauth2`, by relay.
#ifndef SENDSTEP_PLUGIN_RELAY_TOKENS_H_
#define SENDSTEP_PLUGIN_RELAY_TOKENS_H_

#include <map>
#include <string>

#include "plugin/relays.h"
#include "plugin/token_source.h"
#include "transport/dns/resolver.h"

namespace sendstep::plugin {

class RelayTokens {
 public:
  // Both outlive this.
  RelayTokens(const Relays& relays, dns::Resolver& resolver);

  // Null: the relay fetches none.
  TokenSource* Find(const std::string& relay) const;

 private:
  mutable std::map<std::string, TokenSource> sources_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_RELAY_TOKENS_H_
