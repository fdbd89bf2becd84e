// The sandbox: an SMTP server in this process that keeps what it gets in a Maildir and never lets
// it out. Listens on loopback only. Speaks STARTTLS with a certificate made at start, AUTH PLAIN
// and LOGIN (any username and password pass), PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8, SIZE, DSN
// (the report of a success is kept as another message), ENHANCEDSTATUSCODES.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_SANDBOX_H_
#define SENDSTEP_PROVIDERS_SANDBOX_SANDBOX_H_

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "providers/resolve.h"

namespace sendstep::providers {

// A recipient that behaves in a way worth testing against, by its local part, on any domain.
struct SandboxBehavior {
  std::string_view local_part;   // "reject"
  std::string_view description;  // for people
};
std::span<const SandboxBehavior> SandboxBehaviors();

// A kept message is what came over the wire, byte for byte (lines end with CRLF), behind three
// headers of the sandbox: Return-Path (the envelope's sender), X-Envelope-To (the accepted
// recipients, Bcc ones too, separated by commas) and Received. Its file name in new/ is the id in
// the reply to the end of the message: "250 2.0.0 Ok: queued as 1795401234.4711_1000007.sandbox".
//
// Threads: Start and Stop from any thread; the server itself runs on `executor`, side by side where
// that has several threads. It writes and syncs files there: where others must not wait for the
// disk, give it a thread of its own. Lifetime: the executor's context outlives the sandbox.
class Sandbox {
 public:
  // Listens on 127.0.0.1, a free port; makes `maildir` (0700) with cur, new and tmp where missing.
  static absl::StatusOr<std::unique_ptr<Sandbox>> Start(boost::asio::any_io_executor executor,
                                                        const std::filesystem::path& maildir);
  ~Sandbox();  // as Stop()

  SandboxEndpoint endpoint() const;
  const std::filesystem::path& maildir() const;
  // When it returns the port is closed; sessions close as soon as the executor runs. Nothing
  // touches this object's state afterwards. Idempotent.
  void Stop();

 private:
  struct State;
  explicit Sandbox(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_SANDBOX_SANDBOX_H_
