// The whole server, wired: threads, resolver, mailer, profiles, relays, sandbox, gRPC, HTTP.
#ifndef SENDSTEP_PLUGIN_SERVER_H_
#define SENDSTEP_PLUGIN_SERVER_H_

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "plugin/server_config.h"

namespace sendstep::plugin {

// Threads: Start, Stop and the destructor from one thread, which is none of the server's own.
class Server {
 public:
  // Serves when it returns. The error is one sentence for the operator: what cannot be had, and
  // why.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerConfig& config);
  ~Server();  // as Stop() without patience
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // "127.0.0.1:7070" with the port that was bound, or "unix:PATH".
  const std::string& address() const;
  // "127.0.0.1:7071"; empty: none.
  std::string http_address() const;

  // Not ready from now on (/readyz, health service); no new calls; those in flight may go on for
  // `drain_timeout` and are cancelled then. Returns when all has ended. A second call does nothing.
  void Stop(std::chrono::milliseconds drain_timeout);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_SERVER_H_
