// The bridge between gRPC's callback API and Asio: a reactor that runs one coroutine.
//
// Lifetime. gRPC calls OnDone when it is through with the call, and the request's memory dies then;
// the coroutine ends when it ends. OnCancel may come before, after or while Finish is called. So
// the call is owned by both: by `self_` until OnDone, and by the coroutine's frame. Finish is
// called once, by the coroutine's end, so request and response are valid throughout the coroutine.
#ifndef SENDSTEP_PLUGIN_RPC_CALL_H_
#define SENDSTEP_PLUGIN_RPC_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <functional>
#include <memory>

namespace sendstep::plugin {

class RpcCall final : public grpc::ServerUnaryReactor {
 public:
  // Makes the status that answers the call. Runs on a strand of its own; a cancelled call is seen
  // as cancellation of its awaits, as errors, never as an exception.
  using Work = std::function<boost::asio::awaitable<grpc::Status>()>;
  // The answer to an exception, which is a bug.
  using OnException = std::function<grpc::Status(std::exception_ptr)>;

  // `open` counts the calls that gRPC is not through with; it outlives them.
  static grpc::ServerUnaryReactor* Start(const boost::asio::any_io_executor& executor,
                                         std::atomic<int>& open, Work work,
                                         OnException on_exception) {
    auto call = std::shared_ptr<RpcCall>(new RpcCall(executor, open, std::move(on_exception)));
    call->self_ = call;
    ++open;
    boost::asio::co_spawn(
        call->strand_, Run(std::move(work)),
        boost::asio::bind_cancellation_slot(
            call->signal_.slot(), [call](std::exception_ptr exception, grpc::Status status) {
              call->Finish(exception ? call->on_exception_(exception) : std::move(status));
            }));
    return call.get();
  }

  void OnCancel() override {
    // The weak pointer: OnDone may come before the posted function runs.
    boost::asio::post(strand_, [weak = std::weak_ptr<RpcCall>(self_)] {
      if (auto call = weak.lock()) call->signal_.emit(boost::asio::cancellation_type::terminal);
    });
  }

  void OnDone() override {
    --open_;
    std::shared_ptr<RpcCall>(std::move(self_)).reset();
  }

 private:
  RpcCall(const boost::asio::any_io_executor& executor, std::atomic<int>& open,
          OnException on_exception)
      : strand_(boost::asio::make_strand(executor)),
        open_(open),
        on_exception_(std::move(on_exception)) {}

  // By value: the coroutine's frame owns the work.
  static boost::asio::awaitable<grpc::Status> Run(Work work) {
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    co_return co_await work();
  }

  // OnCancel and OnDone never wait, so gRPC may call them on whatever thread it has, its own or the
  // one that called Finish, instead of handing each over to a thread of its executor. Not part of
  // gRPC's documented API; without it calls go on to work, and cost some 5 us more.
  bool InternalInlineable() override { return true; }

  boost::asio::strand<boost::asio::any_io_executor> strand_;
  boost::asio::cancellation_signal signal_;  // on the strand only
  std::atomic<int>& open_;
  OnException on_exception_;
  std::shared_ptr<RpcCall> self_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_RPC_CALL_H_
