// bench_echo: a gRPC server of the contract whose Execute answers at once, as if the email had been
// sent. What it does is what gRPC and Protobuf alone cost for the same requests and answers.
//
//   bench_echo [ADDRESS]
//
// Prints "listening ADDRESS". Ends on SIGTERM.
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <csignal>
#include <iostream>
#include <string>

#include "protos/sendstep/v1/email_action.grpc.pb.h"

namespace {

namespace v1 = sendstep::v1;

class Echo final : public v1::EmailAction::CallbackService {
  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context,
                                    const v1::ExecuteRequest* request,
                                    v1::ExecuteResponse* response) override {
    response->set_outcome(v1::OUTCOME_SENT);
    response->set_request_id(request->request_id());
    response->set_dedupe(v1::DEDUPE_FIRST);
    response->set_message_id("<62f2588c418df943856c5640e2550fd9@bench.example>");
    response->set_provider_message_id("4bF2mQ1z2Cz1Kt");
    *response->mutable_from_used() = request->email().from();
    for (const v1::Address& to : request->email().to()) {
      v1::RecipientResult& recipient = *response->add_recipients();
      recipient.set_email(to.email());
      recipient.set_status(v1::RECIPIENT_STATUS_ACCEPTED);
      recipient.mutable_reply()->set_code(250);
      recipient.mutable_reply()->set_enhanced_code("2.1.5");
      recipient.mutable_reply()->set_text("Recipient ok");
    }
    response->mutable_final_reply()->set_code(250);
    response->mutable_final_reply()->set_enhanced_code("2.0.0");
    response->mutable_final_reply()->set_text("Ok: queued as 4bF2mQ1z2Cz1Kt");
    response->set_size_bytes(request->email().text().size());
    response->mutable_accepted_at()->set_seconds(1);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

int main(int argc, char** argv) {
  // Taken by sigwait below, in whichever thread they come.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Echo echo;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(argc > 1 ? argv[1] : "127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&echo);
  const auto server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::cerr << "bench_echo: cannot listen\n";
    return 1;
  }
  if (argc > 1) {
    std::cout << "listening " << argv[1] << std::endl;
  } else {
    std::cout << "listening 127.0.0.1:" << port << std::endl;
  }
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now());
}
