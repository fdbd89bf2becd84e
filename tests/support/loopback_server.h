// A TCP server on a free loopback port that runs one coroutine for each connection, in clear or
// under TLS. Threads: everything runs on the executor given; destroy it there, or when that has
// stopped.
#ifndef SENDSTEP_TESTS_SUPPORT_LOOPBACK_SERVER_H_
#define SENDSTEP_TESTS_SUPPORT_LOOPBACK_SERVER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/test_ca.h"

namespace sendstep::testing {

// The server's end of one connection. Errors of the network are boost::system::system_error, which
// the coroutine that serves the connection may let pass.
class Peer {
 public:
  explicit Peer(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // The handshake as a server; from here on everything is under TLS. When it fails, in clear again.
  boost::asio::awaitable<void> StartTls(const Identity& identity);
  // The same with a context that connections share, so that sessions can be resumed.
  boost::asio::awaitable<void> StartTls(boost::asio::ssl::context& context);
  // Without its line break.
  boost::asio::awaitable<std::string> ReadLine();
  // What one read brings: under TLS, one record.
  boost::asio::awaitable<std::string> ReadSome();
  // Up to the peer's close or reset.
  boost::asio::awaitable<std::string> ReadAll();
  boost::asio::awaitable<void> Write(std::string_view text);

  // Before StartTls: the client must show a certificate.
  void DemandCertificate() { demand_certificate_ = true; }
  // Before StartTls: no newer version than this one, e.g. TLS1_2_VERSION.
  void SpeakAtMost(int version) { newest_version_ = version; }
  // TLS 1.3 session tickets, sent before the next Write.
  void AddTickets(int count);

  // What the client asked for by SNI; empty: nothing.
  std::string server_name();
  // The handshake resumed a session.
  bool resumed();
  // Of TLS 1.3 its tls-exporter (RFC 9266), else its tls-unique (RFC 5929 3).
  std::string channel_binding();
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  boost::asio::awaitable<void> Receive();

  boost::asio::ip::tcp::socket socket_;
  std::optional<boost::asio::ssl::context> context_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
  std::string input_;
  bool demand_certificate_ = false;
  int newest_version_ = 0;  // 0: any
};

class LoopbackServer {
 public:
  using Serve = std::function<boost::asio::awaitable<void>(Peer&)>;

  LoopbackServer(const boost::asio::any_io_executor& executor, Serve serve,
                 const std::string& address = "127.0.0.1", uint16_t port = 0);
  // Accepts no more. Connections end when their coroutines do.
  ~LoopbackServer();

  boost::asio::ip::tcp::endpoint endpoint() const;
  uint16_t port() const { return endpoint().port(); }
  // Accepted so far.
  int connections() const;

 private:
  struct State;
  static boost::asio::awaitable<void> Accept(std::shared_ptr<State> state);
  static boost::asio::awaitable<void> Handle(std::shared_ptr<State> state,
                                             boost::asio::ip::tcp::socket socket);
  std::shared_ptr<State> state_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_LOOPBACK_SERVER_H_
