#include "transport/net/live_streams.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace sendstep::net {

struct LiveStreams::Slot {
  boost::asio::any_io_executor executor;
  smtp::Stream* stream;  // null: gone; on the executor only
};

LiveStreams::Guard::Guard(LiveStreams& streams, std::shared_ptr<Slot> slot)
    : streams_(streams), slot_(std::move(slot)) {}

LiveStreams::Guard::~Guard() {
  slot_->stream = nullptr;
  const std::lock_guard lock(streams_.mutex_);
  streams_.slots_.erase(slot_);
}

LiveStreams::Guard LiveStreams::Add(boost::asio::any_io_executor executor, smtp::Stream& stream) {
  auto slot = std::make_shared<Slot>(Slot{std::move(executor), &stream});
  const std::lock_guard lock(mutex_);
  slots_.insert(slot);
  if (abandoned_) stream.Close();
  return Guard(*this, std::move(slot));
}

void LiveStreams::Abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  for (const std::shared_ptr<Slot>& slot : slots_) {
    boost::asio::post(slot->executor, [slot] {
      if (slot->stream != nullptr) slot->stream->Close();
    });
  }
}

bool LiveStreams::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}

}  // namespace sendstep::net
