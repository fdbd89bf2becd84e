// bench_tarpit: an SMTP server that takes everything but never answers the end of a message, for
// calls that wait. It offers PIPELINING and, with certificate and key, STARTTLS.
//
//   bench_tarpit [CERTIFICATE KEY]
//
// Prints "listening PORT". Connections stay until the client closes them. One thread.
#include <sys/resource.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;

constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);

enum class End { kClosed, kStartTls, kSilent };

// One dialog up to the end of its first message, STARTTLS or the connection.
template <typename Stream>
awaitable<End> Talk(Stream& stream, bool greet, bool offer_tls) {
  std::string input, replies;
  if (greet) replies = "220 tarpit.example ESMTP\r\n";
  bool data = false;
  for (;;) {
    if (!replies.empty()) {
      const auto [error, written] =
          co_await asio::async_write(stream, asio::buffer(replies), kQuiet);
      if (error) co_return End::kClosed;
      replies.clear();
    }
    const std::string_view until = data ? "\r\n.\r\n" : "\r\n";
    const auto [error, size] =
        co_await asio::async_read_until(stream, asio::dynamic_buffer(input), until, kQuiet);
    if (error) co_return End::kClosed;
    if (data) co_return End::kSilent;
    const std::string verb = input.substr(0, 4);
    input.erase(0, size);
    if (verb == "EHLO") {
      replies = "250-tarpit.example\r\n250-PIPELINING\r\n";
      if (offer_tls) replies += "250-STARTTLS\r\n";
      replies += "250 8BITMIME\r\n";
    } else if (verb == "STAR") {
      co_return End::kStartTls;
    } else if (verb == "DATA") {
      replies = "354 Go ahead\r\n";
      data = true;
    } else {
      replies = "250 2.0.0 Ok\r\n";
    }
  }
}

awaitable<void> UntilClosed(tcp::socket& socket) {
  char rest[512];
  for (;;) {
    const auto [error, size] = co_await socket.async_read_some(asio::buffer(rest), kQuiet);
    if (error) co_return;
  }
}

// The context lives as long as the program; it is null where there is no TLS.
awaitable<void> Serve(tcp::socket socket, asio::ssl::context* tls) {
  const End end = co_await Talk(socket, true, tls != nullptr);
  if (end == End::kStartTls && tls != nullptr) {
    const std::string ready = "220 Ready\r\n";
    const auto [error, written] = co_await asio::async_write(socket, asio::buffer(ready), kQuiet);
    if (error) co_return;
    asio::ssl::stream<tcp::socket&> stream(socket, *tls);
    const auto [failure] = co_await stream.async_handshake(asio::ssl::stream_base::server, kQuiet);
    if (failure || co_await Talk(stream, false, false) != End::kSilent) co_return;
    co_await UntilClosed(socket);
    co_return;
  }
  if (end == End::kSilent) co_await UntilClosed(socket);
}

awaitable<void> Accept(tcp::acceptor& acceptor, asio::ssl::context* tls) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(kQuiet);
    if (!error)
      asio::co_spawn(acceptor.get_executor(), Serve(std::move(socket), tls), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::optional<asio::ssl::context> tls;
  if (argc == 3) {
    tls.emplace(asio::ssl::context::tls_server);
    tls->use_certificate_chain_file(argv[1]);
    tls->use_private_key_file(argv[2], asio::ssl::context::pem);
    SSL_CTX_set_mode(tls->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  }
  asio::io_context context(1);
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  acceptor.listen(4096);
  std::cout << "listening " << acceptor.local_endpoint().port() << std::endl;
  asio::co_spawn(context, Accept(acceptor, tls ? &*tls : nullptr), asio::detached);
  context.run();
}
