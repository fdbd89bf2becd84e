// The gRPC service: each method starts one coroutine on an Asio strand and answers when it ends.
// What a method does is in executions.h, send_email.h, describe.h and the mapping files; this file
// is the door.
//
// Threads: gRPC calls in from its own threads, which never block here; coroutines run on
// `executor`. Lifetime: everything in Dependencies outlives the service; the service outlives the
// gRPC server.
#ifndef SENDSTEP_PLUGIN_EMAIL_SERVICE_H_
#define SENDSTEP_PLUGIN_EMAIL_SERVICE_H_

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>

#include "plugin/call_messages.h"
#include "plugin/executions.h"
#include "plugin/in_flight.h"
#include "plugin/keyed_digest.h"
#include "plugin/ledger/store.h"
#include "plugin/metrics.h"
#include "plugin/relay_tokens.h"
#include "plugin/relays.h"
#include "protos/sendstep/v1/email_action.grpc.pb.h"
#include "providers/registry.h"
#include "providers/sandbox/sandbox.h"
#include "transport/dns/lookup.h"
#include "transport/net/mailer.h"

namespace sendstep::plugin {

struct Dependencies {
  boost::asio::any_io_executor executor;
  const providers::Registry* registry = nullptr;
  const Relays* relays = nullptr;
  const RelayTokens* tokens = nullptr;  // null: no relay fetches any
  net::Mailer* mailer = nullptr;
  dns::Lookup* lookup = nullptr;                // for discovery and diagnoses; null: neither
  bool diagnoses = true;                        // of senders' domains are made
  const providers::Sandbox* sandbox = nullptr;  // null: none
  Metrics* metrics = nullptr;
  ledger::Store* ledger = nullptr;  // null: none, and `executions` too
  Executions* executions = nullptr;
  bool request_id_required = false;
  std::chrono::seconds reply_wait{600};  // for the answer to the end of a message, with a ledger
  InFlight* in_flight = nullptr;
  std::atomic<int>* open_calls = nullptr;  // those that gRPC is not through with
  std::string ehlo_name;                   // the operator's; empty: none
  smtp::SendingLimits limits;              // of accounts whose relay and profile say none
  KeyedDigest digest;                      // of Message-IDs and fingerprints
};

class EmailService final : public v1::EmailAction::CallbackService {
 public:
  explicit EmailService(Dependencies dependencies);

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest* request,
                                     v1::DescribeResponse* response) override;
  grpc::ServerUnaryReactor* ValidateConfig(grpc::CallbackServerContext* context,
                                           const v1::ValidateConfigRequest* request,
                                           v1::ValidateConfigResponse* response) override;
  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context,
                                    const v1::ExecuteRequest* request,
                                    v1::ExecuteResponse* response) override;
  grpc::ServerUnaryReactor* TestSend(grpc::CallbackServerContext* context,
                                     const v1::TestSendRequest* request,
                                     v1::TestSendResponse* response) override;
  grpc::ServerUnaryReactor* GetExecution(grpc::CallbackServerContext* context,
                                         const v1::GetExecutionRequest* request,
                                         v1::GetExecutionResponse* response) override;
  grpc::ServerUnaryReactor* ResolveExecution(grpc::CallbackServerContext* context,
                                             const v1::ResolveExecutionRequest* request,
                                             v1::ResolveExecutionResponse* response) override;
  grpc::ServerUnaryReactor* ListExecutions(grpc::CallbackServerContext* context,
                                           const v1::ListExecutionsRequest* request,
                                           v1::ListExecutionsResponse* response) override;

 private:
  using ValidateMessages = CallMessages<v1::ValidateConfigRequest, v1::ValidateConfigResponse>;
  using ExecuteMessages = CallMessages<v1::ExecuteRequest, v1::ExecuteResponse>;
  using TestMessages = CallMessages<v1::TestSendRequest, v1::TestSendResponse>;

  Dependencies deps_;
  ValidateMessages::Allocator validate_messages_;
  ExecuteMessages::Allocator execute_messages_;
  TestMessages::Allocator test_messages_;
  const v1::DescribeResponse description_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_EMAIL_SERVICE_H_
