// Request and response of a call that takes its request apart: what is large in it is moved on, not
// copied. A handler is given its request as const; an allocator of its own is gRPC's way to have
// it otherwise.
//
// Lifetime: from the request's arrival until gRPC is through with the call.
#ifndef SENDSTEP_PLUGIN_CALL_MESSAGES_H_
#define SENDSTEP_PLUGIN_CALL_MESSAGES_H_

#include <grpcpp/support/message_allocator.h>
#include <grpcpp/support/server_callback.h>

namespace sendstep::plugin {

template <class Request, class Response>
class CallMessages final : public grpc::MessageHolder<Request, Response> {
 public:
  // For SetMessageAllocatorFor_*; outlives the server.
  class Allocator final : public grpc::MessageAllocator<Request, Response> {
   public:
    grpc::MessageHolder<Request, Response>* AllocateMessages() override { return new CallMessages; }
  };

  // The request of a call of a method that has such an allocator.
  static Request& RequestOf(grpc::CallbackServerContext& context) {
    return *static_cast<CallMessages*>(context.GetRpcAllocatorState())->request();
  }

  void Release() override { delete this; }

 private:
  CallMessages() {
    this->set_request(&request_);
    this->set_response(&response_);
  }

  Request request_;
  Response response_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_CALL_MESSAGES_H_
