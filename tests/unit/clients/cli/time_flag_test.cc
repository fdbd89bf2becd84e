#include "clients/cli/time_flag.h"

#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

namespace sendstep::cli {
namespace {

google::protobuf::Timestamp Now() {
  google::protobuf::Timestamp now;
  now.set_seconds(1777626000);  // 2026-05-01T09:00:00Z
  now.set_nanos(5);
  return now;
}

// RFC 3339; empty: it is no time.
std::string Parsed(const std::string& text) {
  const auto time = ParseTime(text, Now());
  return time.ok() ? google::protobuf::util::TimeUtil::ToString(*time) : "";
}

TEST(TimeFlag, IsRfc3339) {
  EXPECT_EQ(Parsed("2026-05-01T09:00:00Z"), "2026-05-01T09:00:00Z");
  EXPECT_EQ(Parsed("2026-05-01T11:00:00.250+02:00"), "2026-05-01T09:00:00.250Z");
}

TEST(TimeFlag, IsAnAge) {
  EXPECT_EQ(Parsed("0s"), "2026-05-01T09:00:00.000000005Z");
  EXPECT_EQ(Parsed("90s"), "2026-05-01T08:58:30.000000005Z");
  EXPECT_EQ(Parsed("15m"), "2026-05-01T08:45:00.000000005Z");
  EXPECT_EQ(Parsed("2h"), "2026-05-01T07:00:00.000000005Z");
  EXPECT_EQ(Parsed("7d"), "2026-04-24T09:00:00.000000005Z");
  EXPECT_EQ(Parsed("2w"), "2026-04-17T09:00:00.000000005Z");
  EXPECT_EQ(Parsed("999999999s"), "1994-08-23T07:13:21.000000005Z");
}

TEST(TimeFlag, NothingElseIsATime) {
  for (const char* text :
       {"", "7", "d", "7 d", "-7d", "7dd", "7y", "7D", "1.5h", "1000000000s", "999999999w",
        "yesterday", "2026-05-01", "2026-05-01T09:00:00", "2026-13-01T09:00:00Z"}) {
    EXPECT_EQ(Parsed(text), "") << text;
  }
}

}  // namespace
}  // namespace sendstep::cli
