// Lookup on c-ares. The DNS servers are asked for a name and nothing but it: no search domains, no
// /etc/hosts. EDNS over UDP, TCP where an answer does not fit.
//
// Threads: thread-safe, as Lookup says.
// Lifetime: the executor's context must outlive the lookup. It may be destroyed while queries are
// pending: they end as kFailed.
#ifndef SENDSTEP_TRANSPORT_DNS_CARES_LOOKUP_H_
#define SENDSTEP_TRANSPORT_DNS_CARES_LOOKUP_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "transport/dns/cares_options.h"
#include "transport/dns/lookup.h"

namespace sendstep::dns {

class CaresChannel;

class CaresLookup : public Lookup {
 public:
  // Where DNS cannot be set up (servers that cannot be read) every Query is kFailed and says why.
  explicit CaresLookup(const boost::asio::any_io_executor& executor,
                       const CaresOptions& options = {});
  ~CaresLookup() override;
  // Every lookup, under way or to come, fails. From any thread.
  void Stop();
  CaresLookup(const CaresLookup&) = delete;
  CaresLookup& operator=(const CaresLookup&) = delete;

  // CNAMEs are followed, over eight at most.
  boost::asio::awaitable<Answer> Query(std::string name, RecordType type,
                                       base::Deadline deadline) override;

 private:
  struct Channels;
  std::shared_ptr<const Channels> channels_;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_CARES_LOOKUP_H_
