// One client's socket, in clear and later through TLS: buffered input, replies gathered until input
// runs dry (RFC 2920 3.2), one re-armed timer.
//
// Threads: everything runs on the socket's executor, a strand. Lifetime: the owner outlives Watch()
// and every pending operation. Failures come back as `false`: the session is over.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_CONNECTION_H_
#define SENDSTEP_PROVIDERS_SANDBOX_CONNECTION_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::providers::sandbox {

namespace asio = boost::asio;

class Connection {
 public:
  // `idle_timeout`: how long the client may neither send nor take anything.
  Connection(asio::ip::tcp::socket socket, std::chrono::milliseconds idle_timeout);

  // Guards the time; runs beside the session until Close().
  asio::awaitable<void> Watch();

  // What was read and not consumed. Views stay valid until the next Fill().
  std::string_view input() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void Consume(size_t bytes) { begin_ += bytes; }
  // Reads more input; flushes before. At most 32 kB may be unconsumed.
  asio::awaitable<bool> Fill();

  // Queues a reply.
  void Send(std::string_view reply) { output_ += reply; }
  asio::awaitable<bool> Flush();

  // The server's half of a handshake.
  asio::awaitable<bool> StartTls(asio::ssl::context& context);

  // Waits, after a flush. False: closed meanwhile.
  asio::awaitable<bool> Sleep(std::chrono::milliseconds duration);

  // The last operation failed because the client was idle.
  bool expired() const { return expired_; }

  // Flushes, says goodbye to TLS and lets the client close first, so that the last reply is not
  // lost to a reset; all within two seconds. Then Close().
  asio::awaitable<void> Finish();

  // At once. Pending operations fail.
  void Close();

 private:
  using Clock = std::chrono::steady_clock;
  void Expire(std::chrono::milliseconds after);
  asio::awaitable<bool> Write();

  const std::chrono::milliseconds idle_timeout_;
  asio::ip::tcp::socket socket_;
  std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls_;
  asio::steady_timer watch_timer_;
  asio::steady_timer sleep_timer_;
  Clock::time_point deadline_;
  bool expired_ = false;
  bool closed_ = false;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::string output_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_CONNECTION_H_
