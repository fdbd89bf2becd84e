// Resolver on c-ares: /etc/hosts, /etc/resolv.conf and localhost behave as with getaddrinfo(), on
// Asio's event loop and without a thread.
//
// Threads: thread-safe. The channel lives on a strand of its own; every Resolve() resumes on its
// caller's executor.
// Lifetime: the executor's context must outlive the resolver. A resolver may be destroyed while
// lookups are pending: they fail with kCancelled. A lookup that is cancelled, or whose deadline
// passes, disturbs no other; its query ends unheard.
#ifndef SENDSTEP_TRANSPORT_DNS_CARES_RESOLVER_H_
#define SENDSTEP_TRANSPORT_DNS_CARES_RESOLVER_H_

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "transport/dns/cares_options.h"
#include "transport/dns/resolver.h"

namespace sendstep::dns {

class CaresChannel;

class CaresResolver : public Resolver {
 public:
  // A channel that cannot be set up (servers that cannot be read) fails every Resolve() with
  // kDnsFailed.
  explicit CaresResolver(const boost::asio::any_io_executor& executor,
                         const CaresOptions& options = {});
  ~CaresResolver() override;
  CaresResolver(const CaresResolver&) = delete;
  CaresResolver& operator=(const CaresResolver&) = delete;

  boost::asio::awaitable<base::Result<std::vector<boost::asio::ip::address>>> Resolve(
      const std::string& host, base::Deadline deadline) override;

 private:
  std::shared_ptr<CaresChannel> channel_;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_CARES_RESOLVER_H_
