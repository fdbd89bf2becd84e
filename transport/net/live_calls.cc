#include "transport/net/live_calls.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace sendstep::net {

namespace asio = boost::asio;

// Everything but the executor is used on the executor only.
struct LiveCalls::State {
  explicit State(asio::any_io_executor on) : executor(std::move(on)) {}
  asio::any_io_executor executor;
  asio::cancellation_signal cancel;
  smtp::Stream* stream = nullptr;
  bool over = false;
};

LiveCalls::Call::Call(LiveCalls& calls, asio::any_io_executor executor)
    : calls_(calls), state_(std::make_shared<State>(std::move(executor))) {
  const std::lock_guard lock(calls_.mutex_);
  calls_.states_.insert(state_);
}

LiveCalls::Call::~Call() {
  state_->over = true;
  const std::lock_guard lock(calls_.mutex_);
  calls_.states_.erase(state_);
}

asio::cancellation_slot LiveCalls::Call::Follow(asio::cancellation_slot caller) {
  if (caller.is_connected()) {
    caller.assign([state = state_](asio::cancellation_type type) { state->cancel.emit(type); });
  }
  return state_->cancel.slot();
}

LiveCalls::Call::Use::Use(Call& call, smtp::Stream& stream) : state_(call.state_) {
  state_->stream = &stream;
}

LiveCalls::Call::Use::~Use() { state_->stream = nullptr; }

void LiveCalls::Abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  for (const std::shared_ptr<State>& state : states_) {
    asio::post(state->executor, [state] {
      if (state->over) return;
      state->cancel.emit(asio::cancellation_type::terminal);
      if (state->stream != nullptr) state->stream->Close();
    });
  }
}

bool LiveCalls::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

}  // namespace sendstep::net
