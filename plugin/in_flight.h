// Bounds what the server works on at once: the calls, and the bytes of their requests. What goes
// beyond is refused at the door, before any work, so that overload costs nobody else's send.
//
// Threads: thread-safe.
#ifndef SENDSTEP_PLUGIN_IN_FLIGHT_H_
#define SENDSTEP_PLUGIN_IN_FLIGHT_H_

#include <cstddef>
#include <memory>
#include <mutex>

#include "plugin/metrics.h"

namespace sendstep::plugin {

struct InFlightLimits {
  size_t calls = 10'000;
  size_t bytes = size_t{1} << 30;  // of requests as they came
};

class InFlight {
 public:
  enum class Limit { kNone, kCalls, kBytes };
  // Room for one request: kept by whatever works on it, for as long as its bytes are needed. The
  // last copy gives it back.
  using Room = std::shared_ptr<const void>;
  struct Entry {
    Room room;  // null: refused
    Limit limit = Limit::kNone;
  };

  // The metrics outlive this, and this outlives all rooms.
  InFlight(const InFlightLimits& limits, Metrics& metrics) : limits_(limits), metrics_(metrics) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  Entry Enter(size_t bytes);
  const InFlightLimits& limits() const { return limits_; }

 private:
  Limit Take(size_t bytes);
  void GiveBack(size_t bytes);

  const InFlightLimits limits_;
  Metrics& metrics_;
  std::mutex mutex_;
  size_t calls_ = 0;
  size_t bytes_ = 0;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_IN_FLIGHT_H_
