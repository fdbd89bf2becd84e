#include "providers/sandbox/sandbox.h"

#include <utility>

#include "providers/sandbox/server.h"

namespace sendstep::providers {

struct Sandbox::State {
  std::shared_ptr<sandbox::Server> server;
};

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Start(boost::asio::any_io_executor executor,
                                                        const std::filesystem::path& maildir) {
  auto server = sandbox::Server::Start(std::move(executor), maildir);
  if (!server.ok()) return server.status();
  auto state = std::make_shared<State>();
  state->server = *std::move(server);
  return std::unique_ptr<Sandbox>(new Sandbox(std::move(state)));
}

Sandbox::Sandbox(std::shared_ptr<State> state) : state_(std::move(state)) {}

Sandbox::~Sandbox() { Stop(); }

SandboxEndpoint Sandbox::endpoint() const { return state_->server->endpoint(); }

const std::filesystem::path& Sandbox::maildir() const { return state_->server->maildir(); }

void Sandbox::Stop() { state_->server->Stop(); }

}  // namespace sendstep::providers
