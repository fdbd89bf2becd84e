// The mailer's calls under way, so that a stop that can wait no longer can break them off.
//
// Threads: LiveCalls is thread-safe, a Call is its executor's. Lifetime: outlives its calls.
#ifndef SENDSTEP_TRANSPORT_NET_LIVE_CALLS_H_
#define SENDSTEP_TRANSPORT_NET_LIVE_CALLS_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <memory>
#include <mutex>
#include <set>

#include "transport/smtp/stream.h"

namespace sendstep::net {

class LiveCalls {
 private:
  struct State;

 public:
  class Call {
   public:
    // `executor` is the call's strand.
    Call(LiveCalls& calls, boost::asio::any_io_executor executor);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // For the coroutine that does the work: Abandon() cancels it, and so does the caller, whose own
    // slot this takes over.
    boost::asio::cancellation_slot Follow(boost::asio::cancellation_slot caller);

    // While it lives Abandon() closes `stream`, which must outlive it: a cancel is not heeded once
    // the end of data is sent. One at a time.
    class Use {
     public:
      Use(Call& call, smtp::Stream& stream);
      ~Use();
      Use(const Use&) = delete;
      Use& operator=(const Use&) = delete;

     private:
      std::shared_ptr<State> state_;
    };

   private:
    LiveCalls& calls_;
    std::shared_ptr<State> state_;
  };

  // Cancels every call and closes its stream, each on its executor. Calls that begin later are
  // their maker's to refuse.
  void Abandon();
  bool abandoned() const;

 private:
  mutable std::mutex mutex_;
  bool abandoned_ = false;
  std::set<std::shared_ptr<State>> states_;
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_LIVE_CALLS_H_
