// One deadline, given by the caller and carried everywhere.
#ifndef SENDSTEP_TRANSPORT_BASE_DEADLINE_H_
#define SENDSTEP_TRANSPORT_BASE_DEADLINE_H_

#include <algorithm>
#include <chrono>

namespace sendstep::base {

using Clock = std::chrono::steady_clock;

// A moment on the steady clock.
struct Deadline {
  Clock::time_point at = Clock::time_point::max();

  static Deadline Never() { return {}; }
  static Deadline After(Clock::duration d) { return {Clock::now() + d}; }

  // The earlier of this deadline and `limit` from now: a stage's own limit inside the whole.
  Deadline Within(Clock::duration limit) const { return {std::min(at, Clock::now() + limit)}; }
  bool Passed() const { return Clock::now() >= at; }
};

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_DEADLINE_H_
