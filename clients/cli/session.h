// One run of the command line: what every verb needs, and what it leaves behind.
#ifndef SENDSTEP_CLIENTS_CLI_SESSION_H_
#define SENDSTEP_CLIENTS_CLI_SESSION_H_

#include <google/protobuf/message.h>

#include <chrono>
#include <functional>
#include <string>

#include "clients/cli/client.h"
#include "clients/cli/environment.h"
#include "clients/cli/failure.h"
#include "clients/cli/options.h"
#include "clients/cli/request.h"
#include "clients/cli/text.h"

namespace sendstep::cli {

class Session {
 public:
  explicit Session(Environment& environment) : environment_(environment) {}

  Environment& environment() { return environment_; }
  GlobalOptions& options() { return options_; }
  ExitCode exit_code() const { return exit_code_; }
  void Exit(ExitCode code) { exit_code_ = code; }
  // The style of stdout.
  Style style() const { return Style(environment_.colour_out); }

  // --server, else SENDSTEP_SERVER, else the default.
  std::string ServerAddress() const;

  // Connects and calls. False: the failure is reported and the exit code set. `request_id` is shown
  // with a failure, so that the same email can be tried again.
  template <class Request, class Response>
  bool Call(grpc::Status (v1::EmailAction::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
            const Request& request, Response* response, const std::string& headline,
            Sends sends = Sends::kNo, const std::string& request_id = "") {
    const auto invoke = [&](Client& client) { return client.Call(method, request, response); };
    return Run(invoke, headline, sends, request_id);
  }

  // The same for several calls over one connection, all within --timeout. `invoke` stops at the
  // first status that is not OK and returns it.
  bool Run(const std::function<grpc::Status(Client&)>& invoke, const std::string& headline,
           Sends sends = Sends::kNo, const std::string& request_id = "");

  // The answer: as JSON with --json, else `text`. Sets the exit code.
  void Answer(const google::protobuf::Message& message, const std::function<std::string()>& text,
              ExitCode code);

  // The failure on stderr for people, or on stdout with --json. Sets the exit code.
  void Report(const Failure& failure, const std::string& headline,
              const std::string& request_id = "");

  // Says on stderr that a secret of `config` will cross the network readable, where it will.
  void WarnIfReadable(const v1::Config& config);

 private:
  Environment& environment_;
  GlobalOptions options_;
  ExitCode exit_code_ = ExitCode::kOk;
};

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_SESSION_H_
