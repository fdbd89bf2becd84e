#include "providers/sending_limits.h"

#include "absl/strings/str_cat.h"

namespace sendstep::providers {
namespace {

template <class Number>
struct Bounds {
  const char* field;
  Number min, max;

  bool Hold(Number value) const { return value >= min && value <= max; }  // NaN: no
  Number Nearest(Number value) const { return Hold(value) ? value : value > max ? max : min; }
};

constexpr Bounds<uint32_t> kConnections = {"max_connections", 1, kMaxConnections};
constexpr Bounds<uint32_t> kMailsPerConnection = {"max_mails_per_connection", 1, 1'000'000};
// No connection lives longer than max_age.
constexpr Bounds<uint32_t> kIdleSeconds = {"max_idle_seconds", 1,
                                           uint32_t{smtp::SendingLimits().max_age.count()}};
// The least is an email in three hours.
constexpr Bounds<double> kMailsPerSecond = {"max_mails_per_second", 0.0001, 100'000};

template <class Number>
void Check(Number value, const Bounds<Number>& bounds, std::vector<std::string>& faults) {
  if (value == 0 || bounds.Hold(value)) return;
  faults.push_back(absl::StrCat(bounds.field, " is not from ", bounds.min, " to ", bounds.max));
}

}  // namespace

LimitChoice LimitsOf(const profile::v1::Profile& profile) {
  const auto& limits = profile.sending_limits();
  return {limits.max_connections(), limits.max_mails_per_connection(), limits.max_idle_seconds(),
          limits.max_mails_per_second()};
}

std::vector<std::string> LimitFaults(const LimitChoice& choice) {
  std::vector<std::string> faults;
  Check(choice.max_connections, kConnections, faults);
  Check(choice.max_mails_per_connection, kMailsPerConnection, faults);
  Check(choice.max_idle_seconds, kIdleSeconds, faults);
  Check(choice.max_mails_per_second, kMailsPerSecond, faults);
  return faults;
}

smtp::SendingLimits WithChoice(smtp::SendingLimits limits, const LimitChoice& choice) {
  if (choice.max_connections != 0) {
    limits.max_connections = static_cast<int>(kConnections.Nearest(choice.max_connections));
  }
  if (choice.max_mails_per_connection != 0) {
    limits.max_mails_per_connection =
        static_cast<int>(kMailsPerConnection.Nearest(choice.max_mails_per_connection));
  }
  if (choice.max_idle_seconds != 0) {
    limits.max_idle = std::chrono::seconds(kIdleSeconds.Nearest(choice.max_idle_seconds));
  }
  if (choice.max_mails_per_second != 0) {
    limits.max_mails_per_second = kMailsPerSecond.Nearest(choice.max_mails_per_second);
  }
  return limits;
}

}  // namespace sendstep::providers
