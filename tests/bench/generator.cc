#include "tests/bench/generator.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_buffer_reader.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>

#include "plugin/status_details.h"
#include "tests/support/engine.h"

namespace sendstep::bench {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kToConnect{10};
constexpr std::chrono::milliseconds kLook{100};  // how often to look at the clock and `stop`

struct Call {
  grpc::ClientContext context;
  steady_clock::time_point since;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer answer;
  grpc::Status status;
};

class Generator {
 public:
  Generator(const LoadOptions& options, const Payload& payload,
            const volatile std::sig_atomic_t* stop)
      : options_(options), payload_(payload), stop_(stop) {
    const auto patience = std::chrono::system_clock::now() + kToConnect;
    for (int i = 0; i < options.connections; ++i) {
      for (const std::string& address : options.addresses) {
        const auto channel = testing::ConnectTo(address);
        if (!channel->WaitForConnected(patience)) {
          throw std::runtime_error("nobody answers at " + address);
        }
        stubs_.push_back(std::make_unique<grpc::GenericStub>(channel));
      }
    }
  }

  LoadResult Run() {
    begin_ = last_answer_ = steady_clock::now();
    next_line_ = begin_ + std::chrono::seconds(1);
    std::jthread pacer;
    if (options_.rate > 0) {
      pacer = std::jthread([this] { Pace(); });
    } else {
      for (uint64_t i = 0; i < options_.in_flight && Wanted(steady_clock::now()); ++i) {
        Start(steady_clock::now());
      }
      all_made_ = !Wanted(steady_clock::now());
    }
    while (!(all_made_ && answered_ == made_) && !*stop_) Wait();
    // What is in flight ends with the process.
    if (*stop_ && answered_ != made_) last_answer_ = steady_clock::now();
    if (pacer.joinable()) pacer.join();
    result_.made = made_;
    result_.seconds = std::chrono::duration<double>(last_answer_ - begin_).count();
    return std::move(result_);
  }

 private:
  bool Wanted(steady_clock::time_point at) const {
    return !*stop_ && (options_.count == 0 || made_ < options_.count) &&
           (options_.duration.count() == 0 || at < begin_ + options_.duration);
  }

  void Pace() {
    const auto due = [this] {
      return begin_ +
             std::chrono::duration_cast<steady_clock::duration>(
                 std::chrono::duration<double>(static_cast<double>(made_) / options_.rate));
    };
    for (auto at = due(); Wanted(at); at = due()) {
      std::this_thread::sleep_until(at);
      Start(at);
    }
    all_made_ = true;
  }

  void Start(steady_clock::time_point since) {
    static const std::string kMethod = "/sendstep.v1.EmailAction/Execute";
    const uint64_t number = made_++;
    Call* call = new Call;
    call->since = since;
    call->context.set_deadline(std::chrono::system_clock::now() + options_.deadline);
    call->reader = stubs_[number % stubs_.size()]->PrepareUnaryCall(
        &call->context, kMethod, payload_.Request(number), &queue_);
    call->reader->StartCall();
    call->reader->Finish(&call->answer, &call->status, call);
  }

  void Wait() {
    void* tag = nullptr;
    bool ok = false;
    const auto until = std::chrono::system_clock::now() + kLook;
    const auto what = queue_.AsyncNext(&tag, &ok, until);
    const auto now = steady_clock::now();
    if (what == grpc::CompletionQueue::GOT_EVENT) {
      const std::unique_ptr<Call> call(static_cast<Call*>(tag));
      last_answer_ = now;
      Count(*call, now);
      ++answered_;
      if (options_.rate == 0) {
        if (Wanted(now))
          Start(now);
        else
          all_made_ = true;
      }
    }
    if (now >= next_line_) Progress();
  }

  void Count(Call& call, steady_clock::time_point now) {
    v1::ExecuteResponse response;
    if (call.status.ok()) {
      grpc::ProtoBufferReader reader(&call.answer);
      if (response.ParseFromZeroCopyStream(&reader) && response.outcome() == v1::OUTCOME_SENT) {
        ++result_.ok;
        result_.latencies.Add(now - call.since);
        result_.message_bytes = response.size_bytes();
        return;
      }
    }
    std::string name = testing::CodeName(call.status.error_code());
    if (call.status.ok()) {
      name += " " + v1::Outcome_Name(response.outcome());
    } else if (const auto details = plugin::ParseDetails(call.status)) {
      name += " " + details->reason;
    }
    Failure& failure = result_.failures[name];
    if (++failure.count == 1) failure.text = plugin::CleanUtf8(call.status.error_message());
  }

  void Progress() {
    next_line_ += std::chrono::seconds(1);
    std::fprintf(stderr, "%llu answered, %llu in this second, %llu failed, %llu in flight\n",
                 static_cast<unsigned long long>(answered_),
                 static_cast<unsigned long long>(answered_ - answered_before_),
                 static_cast<unsigned long long>(answered_ - result_.ok),
                 static_cast<unsigned long long>(made_ - answered_));
    answered_before_ = answered_;
  }

  const LoadOptions& options_;
  const Payload& payload_;
  const volatile std::sig_atomic_t* stop_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  std::atomic<uint64_t> made_ = 0;
  std::atomic<bool> all_made_ = false;
  uint64_t answered_ = 0;
  uint64_t answered_before_ = 0;
  steady_clock::time_point begin_, last_answer_, next_line_;
  LoadResult result_;
};

}  // namespace

LoadResult Run(const LoadOptions& options, const Payload& payload,
               const volatile std::sig_atomic_t* stop) {
  // Calls that a stop leaves in flight point into it.
  auto* generator = new Generator(options, payload, stop);
  return generator->Run();
}

}  // namespace sendstep::bench
