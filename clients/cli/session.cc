#include "clients/cli/session.h"

#include <ostream>

#include "clients/cli/render.h"

namespace sendstep::cli {

std::string Session::ServerAddress() const {
  if (!options_.server.empty()) return options_.server;
  const std::optional<std::string> variable = environment_.variable("SENDSTEP_SERVER");
  return variable && !variable->empty() ? *variable : "127.0.0.1:7070";
}

bool Session::Run(const std::function<grpc::Status(Client&)>& invoke, const std::string& headline,
                  Sends sends, const std::string& request_id) {
  const std::string address = ServerAddress();
  if (!IsServerAddress(address)) {
    Report(FromInput(absl::NotFoundError("server address \"" + address +
                                         "\": wants host:port or unix:path")),
           headline);
    return false;
  }
  Client client(address, std::chrono::milliseconds(static_cast<int64_t>(options_.timeout * 1000)));
  if (!client.Connect()) {
    Report(Unreachable(address), headline, request_id);
    return false;
  }
  const grpc::Status status = invoke(client);
  if (status.ok()) return true;
  Report(FromStatus(status, sends), headline, request_id);
  return false;
}

void Session::Answer(const google::protobuf::Message& message,
                     const std::function<std::string()>& text, ExitCode code) {
  environment_.out << (options_.json ? RenderJson(message) : text());
  Exit(code);
}

void Session::Report(const Failure& failure, const std::string& headline,
                     const std::string& request_id) {
  Exit(failure.exit_code);
  if (options_.json) {
    environment_.out << ToJson(failure, request_id);
    return;
  }
  environment_.err << Explain(failure, headline, Style(environment_.colour_err), request_id);
}

void Session::WarnIfReadable(const v1::Config& config) {
  const bool secret = config.smtp().has_password() || config.smtp().has_oauth2_token();
  if (!secret || IsLocal(ServerAddress())) return;
  environment_.err << "warning: the connection to " << Shown(ServerAddress())
                   << " is not encrypted: the password can be read on the way\n";
}

}  // namespace sendstep::cli
