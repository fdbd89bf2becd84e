// A fixture with an event loop and coroutines to run on it.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_NET_COROUTINE_TEST_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_NET_COROUTINE_TEST_H_

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "transport/base/deadline.h"

namespace sendstep::testing {

// A coroutine that runs; outcome is empty until it has ended.
template <class T>
struct Running {
  std::optional<T> outcome;
  boost::asio::cancellation_signal signal;
  void Cancel() { signal.emit(boost::asio::cancellation_type::terminal); }
};

class CoroutineTest : public ::testing::Test {
 protected:
  template <class T>
  std::shared_ptr<Running<T>> Start(std::function<boost::asio::awaitable<T>()> body) {
    auto running = std::make_shared<Running<T>>();
    // Its end clears the signal's slot, which the outcome may not outlive.
    auto done = [running](std::exception_ptr failed) {
      if (failed) std::rethrow_exception(failed);
    };
    boost::asio::co_spawn(boost::asio::make_strand(context_), Keep<T>(running, std::move(body)),
                          boost::asio::bind_cancellation_slot(running->signal.slot(), done));
    return running;
  }

  template <class T>
  T Finish(const std::shared_ptr<Running<T>>& running) {
    RunUntil([&] { return running->outcome.has_value(); });
    return std::move(*running->outcome);
  }

  template <class T>
  T Await(std::function<boost::asio::awaitable<T>()> body) {
    return Finish(Start<T>(std::move(body)));
  }

  // Runs the loop until `done()`; what does not come within twenty seconds is a failure.
  void RunUntil(const std::function<bool()>& done) {
    const base::Deadline limit = base::Deadline::After(std::chrono::seconds(20));
    while (!done()) {
      if (limit.Passed()) throw std::runtime_error("the event loop does not get there");
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(100));
    }
  }

  boost::asio::io_context context_;

 private:
  template <class T>
  static boost::asio::awaitable<void> Keep(std::shared_ptr<Running<T>> running,
                                           std::function<boost::asio::awaitable<T>()> body) {
    T outcome = co_await body();
    running->outcome.emplace(std::move(outcome));
  }
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_NET_COROUTINE_TEST_H_
