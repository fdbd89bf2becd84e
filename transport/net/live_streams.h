// The streams of the sends under way, so that a stop that can wait no longer can break them off.
//
// Threads: thread-safe. Lifetime: outlives the guards that Add() returns.
#ifndef SENDSTEP_TRANSPORT_NET_LIVE_STREAMS_H_
#define SENDSTEP_TRANSPORT_NET_LIVE_STREAMS_H_

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <mutex>
#include <set>

#include "transport/smtp/stream.h"

namespace sendstep::net {

class LiveStreams {
 public:
  struct Slot;

  // Forgets its stream when it is destroyed, on the stream's executor.
  class Guard {
   public:
    Guard(LiveStreams& streams, std::shared_ptr<Slot> slot);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    LiveStreams& streams_;
    std::shared_ptr<Slot> slot_;
  };

  // `executor` is the stream's strand and the caller's. After Abandon() the stream is closed at
  // once.
  Guard Add(boost::asio::any_io_executor executor, smtp::Stream& stream);

  // Closes every stream, each on its executor, and every one that is added later.
  void Abandon();
  bool abandoned() const;

 private:
  mutable std::mutex mutex_;
  bool abandoned_ = false;
  std::set<std::shared_ptr<Slot>> slots_;
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_LIVE_STREAMS_H_
