#include "plugin/in_flight.h"

namespace sendstep::plugin {

InFlight::Entry InFlight::Enter(size_t bytes) {
  const Limit limit = Take(bytes);
  if (limit != Limit::kNone) {
    metrics_.Overloaded(limit == Limit::kCalls ? "calls" : "bytes");
    return {nullptr, limit};
  }
  metrics_.RequestBytesHeld(static_cast<int64_t>(bytes));
  return {Room(this, [bytes](InFlight* self) { self->GiveBack(bytes); }), Limit::kNone};
}

InFlight::Limit InFlight::Take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (calls_ >= limits_.calls) return Limit::kCalls;
  if (bytes > limits_.bytes - bytes_) return Limit::kBytes;
  ++calls_;
  bytes_ += bytes;
  return Limit::kNone;
}

void InFlight::GiveBack(size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    --calls_;
    bytes_ -= bytes;
  }
  metrics_.RequestBytesHeld(-static_cast<int64_t>(bytes));
}

}  // namespace sendstep::plugin
