// The server at the other end of one command.
#ifndef SENDSTEP_CLIENTS_CLI_CLIENT_H_
#define SENDSTEP_CLIENTS_CLI_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>

#include "protos/sendstep/v1/email_action.grpc.pb.h"

namespace sendstep::cli {

// "host:port" or "unix:path".
bool IsServerAddress(const std::string& address);

// Traffic to it stays on this machine.
bool IsLocal(const std::string& address);

// Not thread-safe. Messages up to 40 MiB; no proxy, no encryption.
class Client {
 public:
  // `limit` covers connecting and the call.
  Client(const std::string& address, std::chrono::milliseconds limit);

  // False: nobody answers there, or not within 10 s. Nothing was sent then. Call it first: a
  // failure of a later call is then known to have come after the connection stood.
  bool Connect();

  template <class Request, class Response>
  grpc::Status Call(grpc::Status (v1::EmailAction::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(deadline_);
    return ((*stub_).*method)(&context, request, response);
  }

 private:
  std::chrono::system_clock::time_point deadline_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::EmailAction::Stub> stub_;
};

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_CLIENT_H_
