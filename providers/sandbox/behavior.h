// Recipients that behave in a way worth testing against. The names are listed by
// SandboxBehaviors().
#ifndef SENDSTEP_PROVIDERS_SANDBOX_BEHAVIOR_H_
#define SENDSTEP_PROVIDERS_SANDBOX_BEHAVIOR_H_

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

namespace sendstep::providers::sandbox {

// In the order of SandboxBehaviors(), which kNone is not part of.
enum class Behavior {
  kReject,
  kTempfail,
  kGreylist,
  kQuota,
  kSlow,
  kDropAfterData,
  kUncertain,
  kTooLarge,
  kDisconnect,
  kAuthFail,
  kNone
};

// By the local part of `address` before any "+", in any case: "Reject+1@example.com" is kReject.
Behavior BehaviorOf(std::string_view address);

// Which sender and recipient have met. Remembers the last `capacity` pairs. Any thread.
class Greylist {
 public:
  explicit Greylist(size_t capacity = 4096) : capacity_(capacity) {}

  // True where the pair is remembered; it is from now on.
  bool Knows(std::string_view sender, std::string_view recipient);

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::unordered_set<std::string> pairs_;
  std::deque<std::string> oldest_first_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_BEHAVIOR_H_
