// The listener and the list of sessions.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_SERVER_H_
#define SENDSTEP_PROVIDERS_SANDBOX_SERVER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "providers/resolve.h"
#include "providers/sandbox/session.h"

namespace sendstep::providers::sandbox {

// Threads: Start and Stop from any; sessions run on strands of the executor, side by side where it
// has several threads. Lifetime: pending operations hold what they need; the executor's context
// must live until the last owner of the server is gone.
class Server : public std::enable_shared_from_this<Server> {
 public:
  static absl::StatusOr<std::shared_ptr<Server>> Start(asio::any_io_executor executor,
                                                       const std::filesystem::path& maildir,
                                                       const Options& options = {});

  const SandboxEndpoint& endpoint() const { return endpoint_; }
  const std::filesystem::path& maildir() const { return shared_->maildir.path(); }

  // When it returns the port is closed; sessions close as soon as the executor runs. Idempotent.
  void Stop();

  // For Start().
  Server(asio::any_io_executor executor, std::shared_ptr<Shared> shared);

 private:
  absl::Status Listen();
  void Accept();  // with mutex_ held
  void OnAccepted(boost::system::error_code error, asio::ip::tcp::socket socket);
  void AcceptLater();  // with mutex_ held
  // Null: there are too many sessions. With mutex_ held.
  std::shared_ptr<Session> Admit(asio::ip::tcp::socket socket);
  void Run(std::shared_ptr<Session> session);

  const asio::any_io_executor executor_;
  const std::shared_ptr<Shared> shared_;
  SandboxEndpoint endpoint_;

  std::mutex mutex_;  // guards what follows
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer retry_timer_;
  bool stopped_ = false;
  std::unordered_map<const Session*, std::weak_ptr<Session>> sessions_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_SERVER_H_
