#include "providers/sandbox/behavior.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "providers/sandbox/sandbox.h"

namespace sendstep::providers {
namespace {

constexpr SandboxBehavior kBehaviors[] = {
    {"reject", "Refused for good: 550 5.1.1 in reply to RCPT, as for a user that does not exist."},
    {"tempfail", "Refused for now, every time: 451 4.3.0 in reply to RCPT."},
    {"greylist",
     "Refused with 450 4.7.1 the first time a sender writes to it, accepted when tried again. "
     "greylist+anything starts afresh."},
    {"quota", "Mailbox full: 552 5.2.2 in reply to RCPT."},
    {"slow", "Accepted, but the reply to the end of the message comes after three seconds."},
    {"drop-after-data",
     "The message is kept, but the connection closes without a reply to its end: the sender cannot "
     "know."},
    {"uncertain", "The same, but the message is not kept."},
    {"toolarge", "Accepted, then 552 5.3.4 in reply to the end of the message."},
    {"disconnect", "421 4.3.0 in reply to RCPT, and the connection closes."},
    {"authfail", "As a username: 535 5.7.8 in reply to AUTH, whatever the password."},
};
static_assert(std::size(kBehaviors) == static_cast<size_t>(sandbox::Behavior::kNone));

}  // namespace

std::span<const SandboxBehavior> SandboxBehaviors() { return kBehaviors; }

namespace sandbox {

Behavior BehaviorOf(std::string_view address) {
  std::string_view local = address.substr(0, address.rfind('@'));
  if (local.size() >= 2 && local.front() == '"' && local.back() == '"') {
    local = local.substr(1, local.size() - 2);
  }
  local = local.substr(0, local.find('+'));
  const auto names = SandboxBehaviors();
  const auto found = std::find_if(names.begin(), names.end(), [&](const SandboxBehavior& row) {
    return std::equal(
        local.begin(), local.end(), row.local_part.begin(), row.local_part.end(),
        [](char a, char b) { return absl::ascii_tolower(static_cast<unsigned char>(a)) == b; });
  });
  return static_cast<Behavior>(found - names.begin());
}

bool Greylist::Knows(std::string_view sender, std::string_view recipient) {
  std::string pair(sender);
  pair += ' ';
  pair += recipient;
  absl::AsciiStrToLower(&pair);
  const std::lock_guard lock(mutex_);
  if (!pairs_.insert(pair).second) return true;
  oldest_first_.push_back(std::move(pair));
  if (oldest_first_.size() > capacity_) {
    pairs_.erase(oldest_first_.front());
    oldest_first_.pop_front();
  }
  return false;
}

}  // namespace sandbox
}  // namespace sendstep::providers
