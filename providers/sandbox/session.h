// One client from greeting to goodbye: carries lines and messages between its connection, the
// dialog and the Maildir.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_SESSION_H_
#define SENDSTEP_PROVIDERS_SANDBOX_SESSION_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "providers/sandbox/behavior.h"
#include "providers/sandbox/connection.h"
#include "providers/sandbox/dialog.h"
#include "providers/sandbox/incoming.h"
#include "providers/sandbox/maildir.h"

namespace sendstep::providers::sandbox {

struct Options {
  std::chrono::milliseconds slow_delay{3000};
  std::chrono::milliseconds idle_timeout{std::chrono::minutes(5)};
  size_t max_sessions = 200;
};

// What all sessions share. Safe from any thread.
struct Shared {
  Shared(const Options& the_options, Maildir the_maildir)
      : options(the_options), maildir(std::move(the_maildir)) {}
  const Options options;
  const Maildir maildir;
  asio::ssl::context tls{asio::ssl::context::tls_server};
  Greylist greylist;
};

// Threads: Run() on the socket's executor, a strand; Stop() from any thread. Writes files where it
// runs.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(asio::ip::tcp::socket socket, std::shared_ptr<Shared> shared);

  // Once. Ends when the client does, or after Stop().
  asio::awaitable<void> Run();

  void Stop();

  const asio::any_io_executor& executor() const { return executor_; }

 private:
  struct Line {
    enum class Kind { kWhole, kTooLong, kBareLineFeed, kClosed } kind;
    std::string_view text;  // without line break; valid until the next read
  };

  // All of these return false where the session ends.
  asio::awaitable<bool> Exchange();
  asio::awaitable<bool> Perform(Step step);
  asio::awaitable<bool> StartTls(std::string reply);
  asio::awaitable<bool> ReceiveData();
  asio::awaitable<bool> ReceiveChunk(Chunk chunk);
  asio::awaitable<bool> SkipChunk(Step step);
  asio::awaitable<bool> EndMessage();

  asio::awaitable<Line> ReadLine();
  // Up to `size` bytes of input go to the message, or nowhere where there is none.
  asio::awaitable<bool> ReadChunk(uint64_t size);
  Step Answer(const Line& line);
  void BeginMessage();
  // To a sender who asked for it.
  void ReportSuccess(const std::string& id);

  const asio::any_io_executor executor_;
  const std::shared_ptr<Shared> shared_;
  const std::string client_ip_;
  Connection connection_;
  Dialog dialog_;
  std::optional<Incoming> incoming_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_SESSION_H_
