// Lets one coroutine wait until another thread has something for it, or until a moment.
//
// Threads: Wake from any; the rest on the strand of the coroutine that waits.
#ifndef SENDSTEP_TRANSPORT_NET_WAKEUP_H_
#define SENDSTEP_TRANSPORT_NET_WAKEUP_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "transport/base/deadline.h"

namespace sendstep::net {

class Wakeup : public std::enable_shared_from_this<Wakeup> {
 public:
  Wakeup(const boost::asio::any_io_executor& strand, base::Clock::time_point until)
      : timer_(strand, until) {}

  // Until Wake, which may have come before; the moment; or a cancellation.
  boost::asio::awaitable<void> Wait() {
    co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

  void Wake() {
    boost::asio::post(timer_.get_executor(), [self = shared_from_this()] {
      self->timer_.expires_at(base::Clock::time_point());
    });
  }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_WAKEUP_H_
