#include "plugin/in_flight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace sendstep::plugin {
namespace {

using testing::HasSubstr;

class InFlightTest : public testing::Test {
 protected:
  std::string Held(size_t bytes) {
    return "sendstep_request_bytes_in_flight " + std::to_string(bytes) + "\n";
  }
  std::string Refused(std::string_view limit, int count) {
    return "sendstep_overload_refusals_total{limit=\"" + std::string(limit) + "\"} " +
           std::to_string(count) + "\n";
  }

  Metrics metrics_;
};

TEST_F(InFlightTest, OneCallMoreThanTheLimitIsRefusedUntilAnotherHasEnded) {
  InFlight in_flight({2, 1000}, metrics_);
  const InFlight::Entry first = in_flight.Enter(0);
  InFlight::Entry second = in_flight.Enter(0);
  const InFlight::Entry third = in_flight.Enter(0);
  EXPECT_NE(first.room, nullptr);
  EXPECT_NE(second.room, nullptr);
  EXPECT_EQ(third.room, nullptr);
  EXPECT_EQ(third.limit, InFlight::Limit::kCalls);
  EXPECT_THAT(metrics_.Render(), HasSubstr(Refused("calls", 1)));
  second.room.reset();
  EXPECT_NE(in_flight.Enter(0).room, nullptr);
}

TEST_F(InFlightTest, BytesBeyondTheLimitAreRefusedAndSmallerOnesStillFit) {
  InFlight in_flight({100, 1000}, metrics_);
  const InFlight::Entry large = in_flight.Enter(900);
  const InFlight::Entry too_large = in_flight.Enter(101);
  EXPECT_EQ(too_large.room, nullptr);
  EXPECT_EQ(too_large.limit, InFlight::Limit::kBytes);
  EXPECT_NE(in_flight.Enter(100).room, nullptr);
  EXPECT_THAT(metrics_.Render(), HasSubstr(Refused("bytes", 1)));
  EXPECT_THAT(metrics_.Render(), HasSubstr(Held(900)));
}

TEST_F(InFlightTest, WhatIsLargerThanTheLimitNeverFits) {
  InFlight in_flight({100, 1000}, metrics_);
  EXPECT_EQ(in_flight.Enter(1001).limit, InFlight::Limit::kBytes);
  EXPECT_EQ(in_flight.Enter(static_cast<size_t>(-1)).limit, InFlight::Limit::kBytes);
}

TEST_F(InFlightTest, RoomIsGivenBackByItsLastCopyAndOnce) {
  InFlight in_flight({1, 1000}, metrics_);
  InFlight::Room call = in_flight.Enter(600).room;
  InFlight::Room run = call;
  call.reset();
  EXPECT_EQ(in_flight.Enter(1).room, nullptr);
  EXPECT_THAT(metrics_.Render(), HasSubstr(Held(600)));
  run.reset();
  EXPECT_NE(in_flight.Enter(1000).room, nullptr);
  EXPECT_THAT(metrics_.Render(), HasSubstr(Held(0)));
}

TEST_F(InFlightTest, ThreadsNeverGoBeyondTheLimitAndLeaveNothingBehind) {
  InFlight in_flight({3, 30}, metrics_);
  {
    std::atomic<int> inside = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          const InFlight::Entry entry = in_flight.Enter(10);
          if (!entry.room) continue;
          EXPECT_LE(++inside, 3);
          --inside;
        }
      });
    }
  }
  EXPECT_NE(in_flight.Enter(30).room, nullptr);
  EXPECT_THAT(metrics_.Render(), HasSubstr(Held(0)));
}

}  // namespace
}  // namespace sendstep::plugin
