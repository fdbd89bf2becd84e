// Connects to the first address that answers, as RFC 8305 says ("Happy Eyeballs"): families take
// turns beginning with that of the first address (4), a new attempt every 250 ms or at once when
// one fails (5), the first connection wins and the others are closed.
#ifndef SENDSTEP_TRANSPORT_NET_DIALER_H_
#define SENDSTEP_TRANSPORT_NET_DIALER_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "transport/base/deadline.h"
#include "transport/base/result.h"

namespace sendstep::net {

using boost::asio::ip::tcp;

// Starts connecting `socket`; calls `done` once, on the socket's executor. `socket` lives until
// then, or until it is closed.
using Connector = std::function<void(tcp::socket& socket, const tcp::endpoint& endpoint,
                                     std::function<void(boost::system::error_code)> done)>;

struct DialOptions {
  // The Connection Attempt Delay.
  std::chrono::milliseconds attempt_delay{250};
  // Replaces connect(2) in tests.
  Connector connector;
};

// "192.0.2.1:587", "[2001:db8::1]:587".
std::string EndpointText(const tcp::endpoint& endpoint);

// The order in which Dial tries `addresses`.
std::vector<boost::asio::ip::address> Interleave(
    const std::vector<boost::asio::ip::address>& addresses);

// A connected socket with TCP_NODELAY. Runs on the caller's executor, which must be a strand. Of
// more than 16 addresses the first 16 are tried. Errors, all transient and in Stage::kTcp, with
// every address tried and what became of it in `detail`: kTimeout when one never answered,
// kConnectionLost when one took the connection and reset it, kConnectionRefused when all refused
// (addresses this host has no route to do not count, unless there are no others), else
// kUnreachable; kCancelled.
boost::asio::awaitable<base::Result<tcp::socket>> Dial(
    std::vector<boost::asio::ip::address> addresses, uint16_t port, base::Deadline deadline,
    DialOptions options = {});

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_DIALER_H_
