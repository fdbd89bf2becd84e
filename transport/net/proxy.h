// The way through a proxy: SOCKS5 (RFC 1928, RFC 1929) or HTTP CONNECT (RFC 9110 9.3.6). The proxy
// looks the server's name up.
#ifndef SENDSTEP_TRANSPORT_NET_PROXY_H_
#define SENDSTEP_TRANSPORT_NET_PROXY_H_

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "transport/base/result.h"
#include "transport/smtp/settings.h"
#include "transport/smtp/stream.h"

namespace sendstep::net {

// `stream` is connected to the proxy, and afterwards to `host` and `port`: not a byte of what the
// server says is read. Ends when the stream expires. Errors: Stage::kTcp, with Cause::kProxy where
// the proxy refuses or answers nonsense.
boost::asio::awaitable<base::Result<void>> ConnectThrough(smtp::Stream& stream,
                                                          const smtp::ProxySettings& proxy,
                                                          const std::string& host, uint16_t port);

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_PROXY_H_
