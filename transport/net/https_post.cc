#include "transport/net/https_post.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>
#include <utility>

#include "transport/net/dialer.h"
#include "transport/net/tcp_stream.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr size_t kMaxHeader = 16 << 10;
constexpr size_t kMaxBody = 64 << 10;
constexpr size_t kReadBytes = 4096;

std::string Authority(const HttpsRequest& request) {
  const bool v6 = request.host.find(':') != std::string::npos;
  std::string text = v6 ? "[" + request.host + "]" : request.host;
  if (request.port != 443) text += ":" + std::to_string(request.port);
  return text;
}

// The request without its body.
std::string Header(const HttpsRequest& request) {
  http::request<http::empty_body> header(http::verb::post, request.target, 11);
  header.set(http::field::host, Authority(request));
  header.set(http::field::user_agent, "sendstep");
  header.set(http::field::accept, "application/json");
  header.set(http::field::content_type, "application/x-www-form-urlencoded");
  header.set(http::field::content_length, std::to_string(request.form.Reveal().size()));
  header.keep_alive(false);
  std::ostringstream text;
  text << header;
  return text.str();
}

asio::awaitable<base::Result<HttpsAnswer>> ReadAnswer(TcpStream& stream) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(kMaxHeader);
  parser.body_limit(kMaxBody);
  beast::flat_buffer buffer(kMaxHeader + kReadBytes);
  boost::system::error_code ec;
  while (!parser.is_done()) {
    // The size line of a chunk has no limit of its own.
    if (buffer.size() > kMaxHeader) {
      co_return base::Failed(base::Stage::kTcp, base::Cause::kProtocol,
                             base::ErrorClass::kTransient, "HTTP: a line is too long");
    }
    const base::Result<size_t> bytes = co_await stream.ReadSome(buffer.prepare(kReadBytes));
    if (bytes) {
      buffer.commit(*bytes);
      buffer.consume(parser.put(buffer.data(), ec));
      if (ec == http::error::need_more) ec = {};
    } else {
      // The end of an answer of no declared length.
      if (bytes.error().cause != base::Cause::kConnectionLost || !parser.got_some()) {
        co_return bytes.error();
      }
      parser.put_eof(ec);
      if (ec) co_return bytes.error();
    }
    if (ec) {
      co_return base::Failed(base::Stage::kTcp, base::Cause::kProtocol,
                             base::ErrorClass::kTransient, "HTTP: " + ec.message());
    }
  }
  std::string& body = parser.get().body();
  HttpsAnswer answer{static_cast<int>(parser.get().result_int()), base::Secret(body)};
  base::Wipe(body);
  co_return answer;
}

}  // namespace

asio::awaitable<base::Result<HttpsAnswer>> HttpsPost(HttpsRequest request, dns::Resolver& resolver,
                                                     base::Deadline deadline) {
  auto addresses = co_await resolver.Resolve(request.host, deadline);
  if (!addresses) co_return addresses.error();
  base::Result<tcp::socket> socket = co_await Dial(*addresses, request.port, deadline);
  if (!socket) co_return socket.error();
  TcpStream stream(std::move(*socket));
  stream.Expire(deadline);
  smtp::TlsSettings tls;
  tls.ca_pem = request.ca_pem;
  const auto secured = co_await stream.StartTls(tls, request.host);
  if (!secured) co_return secured.error();
  const std::string header = Header(request);
  const std::string_view form = request.form.Reveal();
  const std::array<asio::const_buffer, 2> buffers = {asio::buffer(header),
                                                     asio::buffer(form.data(), form.size())};
  const base::Result<void> written = co_await stream.Write(buffers);
  if (!written) co_return written.error();
  co_return co_await ReadAnswer(stream);
}

}  // namespace sendstep::net
