// A fixture with a TcpStream and a server at its other end.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_NET_STREAM_TEST_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_NET_STREAM_TEST_H_

#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "tests/support/loopback_server.h"
#include "tests/unit/transport/net/coroutine_test.h"
#include "transport/net/tcp_stream.h"

namespace sendstep::testing {

namespace asio = boost::asio;

// Reads one line, without its line break, or what there is before the error.
inline asio::awaitable<base::Result<std::string>> ReadLine(net::TcpStream& stream) {
  std::string line;
  char c;
  for (;;) {
    base::Result<size_t> size = co_await stream.ReadSome(asio::buffer(&c, 1));
    if (!size) co_return size.error();
    if (c == '\n') co_return line;
    line += c;
  }
}

inline asio::awaitable<base::Result<void>> WriteText(net::TcpStream& stream,
                                                     std::string_view text) {
  const asio::const_buffer buffer = asio::buffer(text);
  co_return co_await stream.Write(std::span(&buffer, 1));
}

class StreamTest : public CoroutineTest {
 protected:
  void Serve(LoopbackServer::Serve serve) {
    server_.emplace(context_.get_executor(), std::move(serve));
  }

  // Starts `body` with a stream connected to the server.
  template <class T>
  std::shared_ptr<Running<T>> StartWithStream(
      std::function<asio::awaitable<T>(net::TcpStream&)> body) {
    auto connected = [this, body]() -> asio::awaitable<T> {
      const asio::any_io_executor executor = co_await asio::this_coro::executor;
      asio::ip::tcp::socket socket(executor);
      co_await socket.async_connect(server_->endpoint(), asio::use_awaitable);
      net::TcpStream stream(std::move(socket));
      co_return co_await body(stream);
    };
    return Start<T>(connected);
  }

  template <class T>
  T WithStream(std::function<asio::awaitable<T>(net::TcpStream&)> body) {
    return Finish(StartWithStream<T>(std::move(body)));
  }

  std::optional<LoopbackServer> server_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_NET_STREAM_TEST_H_
