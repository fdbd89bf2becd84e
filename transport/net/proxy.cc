#include "transport/net/proxy.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <span>
#include <string_view>
#include <utility>

#include "transport/base/base64.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using base::ErrorClass;
using base::Result;

constexpr size_t kMaxHeadBytes = 8192;
constexpr size_t kMaxSocksField = 255;

base::Error ProxyError(ErrorClass error_class, std::string detail) {
  return base::Failed(base::Stage::kTcp, base::Cause::kProxy, error_class, std::move(detail));
}

asio::awaitable<Result<void>> WriteAll(smtp::Stream& stream, std::string bytes) {
  const asio::const_buffer buffer = asio::buffer(bytes);
  Result<void> written = co_await stream.Write(std::span(&buffer, 1));
  base::Wipe(bytes);
  co_return written;
}

asio::awaitable<Result<std::string>> ReadExactly(smtp::Stream& stream, size_t size) {
  std::string bytes(size, '\0');
  for (size_t have = 0; have < size;) {
    const Result<size_t> read =
        co_await stream.ReadSome(asio::buffer(bytes.data() + have, size - have));
    if (!read) co_return read.error();
    have += *read;
  }
  co_return bytes;
}

// SOCKS5.

constexpr char kSocksVersion = 5;
constexpr char kNoLogin = 0;
constexpr char kPasswordLogin = 2;
constexpr char kIpv4 = 1;
constexpr char kName = 3;
constexpr char kIpv6 = 4;

std::string Sized(std::string_view field) {
  return static_cast<char>(field.size()) + std::string(field);
}

// RFC 1928 6.
base::Error SocksRefusal(char code) {
  constexpr std::array<std::pair<ErrorClass, std::string_view>, 9> kReplies = {{
      {ErrorClass::kPermanent, ""},
      {ErrorClass::kTransient, "general failure"},
      {ErrorClass::kPermanent, "its rules do not allow this connection"},
      {ErrorClass::kTransient, "the server's network cannot be reached"},
      {ErrorClass::kTransient, "the server cannot be reached"},
      {ErrorClass::kTransient, "the server refused the connection"},
      {ErrorClass::kTransient, "the connection took too long"},
      {ErrorClass::kPermanent, "it does not know CONNECT"},
      {ErrorClass::kPermanent, "it does not know this kind of address"},
  }};
  const auto index = static_cast<unsigned char>(code);
  if (index >= kReplies.size()) {
    return ProxyError(ErrorClass::kPermanent,
                      "the proxy refused with code " + std::to_string(index));
  }
  const auto& [error_class, words] = kReplies[index];
  return ProxyError(error_class, "the proxy refused: " + std::string(words));
}

asio::awaitable<Result<void>> SocksLogin(smtp::Stream& stream, const smtp::ProxySettings& proxy) {
  const std::string_view password = proxy.password.Reveal();
  if (proxy.username.size() > kMaxSocksField || password.size() > kMaxSocksField) {
    co_return ProxyError(ErrorClass::kPermanent, "SOCKS takes no such long username or password");
  }
  const Result<void> written =
      co_await WriteAll(stream, '\x01' + Sized(proxy.username) + Sized(password));
  if (!written) co_return written;
  const Result<std::string> answer = co_await ReadExactly(stream, 2);
  if (!answer) co_return answer.error();
  if ((*answer)[1] == 0) co_return Result<void>();
  co_return ProxyError(ErrorClass::kPermanent,
                       "the proxy does not take this username and password");
}

std::string SocksTarget(const std::string& host, uint16_t port) {
  std::string target = {kSocksVersion, /*CONNECT*/ 1, /*reserved*/ 0};
  boost::system::error_code no_address;
  const auto address = asio::ip::make_address(host, no_address);
  if (no_address) {
    target += kName + Sized(host);
  } else if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    target += kIpv4 + std::string(bytes.begin(), bytes.end());
  } else {
    const auto bytes = address.to_v6().to_bytes();
    target += kIpv6 + std::string(bytes.begin(), bytes.end());
  }
  return target + static_cast<char>(port >> 8) + static_cast<char>(port & 0xff);
}

asio::awaitable<Result<void>> ConnectBySocks(smtp::Stream& stream, const smtp::ProxySettings& proxy,
                                             const std::string& host, uint16_t port) {
  if (host.size() > kMaxSocksField) {
    co_return ProxyError(ErrorClass::kPermanent, "SOCKS takes no such long name");
  }
  const char login = proxy.username.empty() ? kNoLogin : kPasswordLogin;
  Result<void> written = co_await WriteAll(stream, {kSocksVersion, 1, login});
  if (!written) co_return written;
  const Result<std::string> chosen = co_await ReadExactly(stream, 2);
  if (!chosen) co_return chosen.error();
  if ((*chosen)[0] != kSocksVersion) {
    co_return ProxyError(ErrorClass::kPermanent, "the proxy does not speak SOCKS5");
  }
  if ((*chosen)[1] != login) {
    co_return ProxyError(ErrorClass::kPermanent, login == kNoLogin
                                                     ? "the proxy wants a username and password"
                                                     : "the proxy takes no username and password");
  }
  if (login == kPasswordLogin) {
    const Result<void> known = co_await SocksLogin(stream, proxy);
    if (!known) co_return known;
  }
  written = co_await WriteAll(stream, SocksTarget(host, port));
  if (!written) co_return written;
  const Result<std::string> head = co_await ReadExactly(stream, 4);
  if (!head) co_return head.error();
  if ((*head)[1] != 0) co_return SocksRefusal((*head)[1]);
  size_t rest = (*head)[3] == kIpv4 ? 4 : 16;
  if ((*head)[3] == kName) {
    const Result<std::string> size = co_await ReadExactly(stream, 1);
    if (!size) co_return size.error();
    rest = static_cast<unsigned char>((*size)[0]);
  } else if ((*head)[3] != kIpv4 && (*head)[3] != kIpv6) {
    co_return ProxyError(ErrorClass::kPermanent, "the proxy does not speak SOCKS5");
  }
  const Result<std::string> bound = co_await ReadExactly(stream, rest + sizeof port);
  if (!bound) co_return bound.error();
  co_return Result<void>();
}

// HTTP.

// Byte by byte: the server may greet right behind it.
asio::awaitable<Result<std::string>> ReadHead(smtp::Stream& stream) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    const Result<std::string> byte = co_await ReadExactly(stream, 1);
    if (!byte) co_return byte.error();
    if (head.size() == kMaxHeadBytes) {
      co_return ProxyError(ErrorClass::kPermanent, "the proxy's answer is too long");
    }
    head += *byte;
  }
  co_return head;
}

asio::awaitable<Result<void>> ConnectByHttp(smtp::Stream& stream, const smtp::ProxySettings& proxy,
                                            const std::string& host, uint16_t port) {
  const bool is_ipv6 = host.find(':') != host.npos;
  const std::string target = (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  std::string request = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!proxy.username.empty()) {
    std::string login = proxy.username + ":";
    login += proxy.password.Reveal();
    request += "Proxy-Authorization: Basic ";
    base::AppendBase64(login, request);
    request += "\r\n";
    base::Wipe(login);
  }
  const Result<void> written = co_await WriteAll(stream, request + "\r\n");
  base::Wipe(request);
  if (!written) co_return written;
  const Result<std::string> head = co_await ReadHead(stream);
  if (!head) co_return head.error();
  http::response_parser<http::empty_body> parser;
  parser.skip(true);
  boost::beast::error_code malformed;
  parser.put(asio::buffer(*head), malformed);
  if (malformed || !parser.is_header_done()) {
    co_return ProxyError(ErrorClass::kPermanent, "the proxy does not speak HTTP");
  }
  const unsigned int status = parser.get().result_int();
  if (status / 100 == 2) co_return Result<void>();
  const bool passing = status / 100 == 5 || status == 408 || status == 429;
  co_return ProxyError(passing ? ErrorClass::kTransient : ErrorClass::kPermanent,
                       "the proxy refused with HTTP status " + std::to_string(status) +
                           (status == 407 ? ": it wants another username or password" : ""));
}

}  // namespace

asio::awaitable<Result<void>> ConnectThrough(smtp::Stream& stream, const smtp::ProxySettings& proxy,
                                             const std::string& host, uint16_t port) {
  if (proxy.kind == smtp::ProxySettings::Kind::kSocks5) {
    co_return co_await ConnectBySocks(stream, proxy, host, port);
  }
  co_return co_await ConnectByHttp(stream, proxy, host, port);
}

}  // namespace sendstep::net
