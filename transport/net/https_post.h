// One HTTPS request, for what is asked of an account's token endpoint. No redirect is followed, no
// connection kept.
#ifndef SENDSTEP_TRANSPORT_NET_HTTPS_POST_H_
#define SENDSTEP_TRANSPORT_NET_HTTPS_POST_H_

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/base/secret.h"
#include "transport/dns/resolver.h"

namespace sendstep::net {

struct HttpsRequest {
  std::string host;  // A-labels or an IP address, IPv6 without brackets
  uint16_t port = 443;
  std::string target = "/";
  std::string ca_pem;  // trusted instead of the system's roots; empty: those
  base::Secret form;   // application/x-www-form-urlencoded
};

struct HttpsAnswer {
  int status = 0;
  base::Secret body;  // at most 64 KiB
};

// POST over HTTP/1.1 (RFC 9112), the certificate verified. Runs on the caller's executor, which
// must be a strand; the resolver outlives the call. Errors: those of the resolver, Dial() and the
// TLS handshake; kProtocol when the answer is no HTTP or too large; kConnectionLost, kTimeout,
// kCancelled.
boost::asio::awaitable<base::Result<HttpsAnswer>> HttpsPost(HttpsRequest request,
                                                            dns::Resolver& resolver,
                                                            base::Deadline deadline);

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_HTTPS_POST_H_
