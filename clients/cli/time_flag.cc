#include "clients/cli/time_flag.h"

#include <google/protobuf/util/time_util.h>

#include <cstdint>

namespace sendstep::cli {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

constexpr size_t kMaxDigits = 9;

// Seconds of a unit; 0: there is no such unit.
int64_t SecondsOf(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86400;
    case 'w':
      return 7 * 86400;
    default:
      return 0;
  }
}

// The age in seconds; -1: it is none.
int64_t ParseAge(const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits > kMaxDigits || digits + 1 != text.size()) return -1;
  const int64_t unit = SecondsOf(text[digits]);
  return unit == 0 ? -1 : std::stoll(text) * unit;
}

}  // namespace

absl::StatusOr<Timestamp> ParseTime(const std::string& text, const Timestamp& now) {
  Timestamp time;
  if (const int64_t age = ParseAge(text); age >= 0) {
    time = now;
    time.set_seconds(now.seconds() - age);
    if (time.seconds() < TimeUtil::kTimestampMinSeconds) {
      return absl::InvalidArgumentError("is before the year 1");
    }
    return time;
  }
  if (!TimeUtil::FromString(text, &time)) {
    return absl::InvalidArgumentError(
        "is no time: wants RFC 3339, such as 2026-05-01T09:00:00Z, or an age, such as 2h or 7d");
  }
  return time;
}

}  // namespace sendstep::cli
