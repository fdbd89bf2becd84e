// An SMTP server on loopback that takes every message, remembers what it was told, and does wrong
// where a test says so.
//
// Threads: it serves on the executor given, which must be a single-threaded context's or a strand.
// What it is to do is set before the first connection; what it saw may be asked from any thread.
// Lifetime: destroyed on that executor, or when it has stopped; its connections may outlive it.
#ifndef SENDSTEP_TESTS_SUPPORT_MAIL_SERVER_H_
#define SENDSTEP_TESTS_SUPPORT_MAIL_SERVER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/loopback_server.h"

namespace sendstep::testing {

class MailServer {
 public:
  struct Command {
    int connection = 0;  // from 1 on, in order of arrival
    int mails = 0;       // taken on this connection so far
    std::string verb;    // "MAIL"; "greeting" and "." are the others
    std::string line;
  };
  struct Rules {
    std::vector<std::string> extensions = {"PIPELINING"};
    // The reply instead of the usual one; "": closes the connection.
    std::function<std::optional<std::string>(const Command&)> answer;
    // A chunk is taken in before it is answered; else its lines are commands.
    bool swallows_refused_chunk = true;
    // Connections beyond are closed, after these words.
    int max_open = 0;
    std::string turns_away = "421 4.7.0 too many connections\r\n";
    // Closes a connection after so many messages.
    int max_mails = 0;
    // TLS from the first byte.
    std::shared_ptr<boost::asio::ssl::context> tls;
  };

  explicit MailServer(const boost::asio::any_io_executor& executor);
  ~MailServer();

  Rules& rules();
  uint16_t port() const;

  // Answers none of these from now on, until Go().
  void Hold(const std::string& verb);
  void Go();
  // So many wait for it.
  int held() const;
  // Says so on all open connections, and closes them; empty: closes only.
  void CloseAll(const std::string& farewell);

  int connections() const;
  int open() const;
  int most_open() const;
  // Connections whose handshake was short.
  int resumed() const;
  // "1 EHLO", "1 MAIL", "2 EHLO", ...: connection and verb.
  std::vector<std::string> commands() const;
  int Count(const std::string& verb) const;
  // First lines of the messages taken, and how often.
  std::map<std::string, int> messages() const;

 private:
  struct State;
  class Session;

  const std::shared_ptr<State> state_;
  LoopbackServer server_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_MAIL_SERVER_H_
