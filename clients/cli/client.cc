#include "clients/cli/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>

#include "clients/cli/request.h"

namespace sendstep::cli {
namespace {

constexpr std::chrono::seconds kConnectLimit(10);

bool StartsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxRequestBytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(kMaxRequestBytes));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // a second try is the user's decision
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

bool IsServerAddress(const std::string& address) {
  if (StartsWith(address, "unix:")) return address.size() > 5;
  const size_t colon = address.rfind(':');
  if (colon == 0 || colon == std::string::npos || address.size() - colon > 6) return false;
  const std::string port = address.substr(colon + 1);
  return !port.empty() && port.find_first_not_of("0123456789") == std::string::npos &&
         address.find_first_of(" /\t\n") == std::string::npos;
}

bool IsLocal(const std::string& address) {
  return StartsWith(address, "unix:") || StartsWith(address, "127.") ||
         StartsWith(address, "localhost:") || StartsWith(address, "[::1]:");
}

Client::Client(const std::string& address, std::chrono::milliseconds limit)
    : deadline_(std::chrono::system_clock::now() + limit),
      channel_(MakeChannel(address)),
      stub_(v1::EmailAction::NewStub(channel_)) {}

bool Client::Connect() {
  const auto until = std::min(deadline_, std::chrono::system_clock::now() + kConnectLimit);
  for (;;) {
    const grpc_connectivity_state state = channel_->GetState(true);
    if (state == GRPC_CHANNEL_READY) return true;
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) return false;
    if (!channel_->WaitForStateChange(state, until)) return false;
  }
}

}  // namespace sendstep::cli
