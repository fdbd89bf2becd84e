// Host name -> addresses. An interface, so that tests answer what they like.
#ifndef SENDSTEP_TRANSPORT_DNS_RESOLVER_H_
#define SENDSTEP_TRANSPORT_DNS_RESOLVER_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <string>
#include <vector>

#include "transport/base/deadline.h"
#include "transport/base/result.h"

namespace sendstep::dns {

class Resolver {
 public:
  virtual ~Resolver() = default;

  // A and AAAA of `host` (A-labels), in the order of RFC 6724; never empty. An IP address comes
  // back as itself. Errors, all in Stage::kDns: kHostNotFound (NXDOMAIN, or no address), kDnsFailed
  // (SERVFAIL, no server), kTimeout, kCancelled.
  // Threads: may be called from any executor; resumes on the caller's.
  virtual boost::asio::awaitable<base::Result<std::vector<boost::asio::ip::address>>> Resolve(
      const std::string& host, base::Deadline deadline) = 0;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_RESOLVER_H_
