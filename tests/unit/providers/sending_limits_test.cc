#include "providers/sending_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace sendstep::providers {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(SendingLimitsTest, WhatIsNotSaidStaysAsItIs) {
  smtp::SendingLimits limits;
  limits.max_connections = 7;
  limits.max_mails_per_second = 2;
  const smtp::SendingLimits same = WithChoice(limits, {});
  EXPECT_EQ(same.max_connections, 7);
  EXPECT_EQ(same.max_mails_per_connection, limits.max_mails_per_connection);
  EXPECT_EQ(same.max_idle, limits.max_idle);
  EXPECT_EQ(same.max_mails_per_second, 2);
}

TEST(SendingLimitsTest, WhatIsSaidIsTaken) {
  const smtp::SendingLimits limits = WithChoice({}, {3, 10, 5, 0.5});
  EXPECT_EQ(limits.max_connections, 3);
  EXPECT_EQ(limits.max_mails_per_connection, 10);
  EXPECT_EQ(limits.max_idle, seconds(5));
  EXPECT_EQ(limits.max_mails_per_second, 0.5);
}

TEST(SendingLimitsTest, WhatIsOutOfBoundsBecomesTheNearestBound) {
  const smtp::SendingLimits most = WithChoice({}, {4'000'000'000, 4'000'000'000, 9999, kInfinity});
  EXPECT_EQ(most.max_connections, kMaxConnections);
  EXPECT_EQ(most.max_mails_per_connection, 1'000'000);
  EXPECT_EQ(most.max_idle, smtp::SendingLimits().max_age);
  EXPECT_EQ(most.max_mails_per_second, 100'000);
  for (const double rate : {-1.0, 1e-300, -kInfinity, kNan}) {
    EXPECT_EQ(WithChoice({}, {.max_mails_per_second = rate}).max_mails_per_second, 0.0001) << rate;
  }
}

TEST(SendingLimitsTest, BoundsThemselvesAreSound) {
  EXPECT_THAT(LimitFaults({}), IsEmpty());
  EXPECT_THAT(LimitFaults({1, 1, 1, 0.0001}), IsEmpty());
  EXPECT_THAT(LimitFaults({10'000, 1'000'000, 300, 100'000}), IsEmpty());
}

TEST(SendingLimitsTest, EveryFaultNamesItsFieldAndItsBounds) {
  EXPECT_THAT(LimitFaults({10'001, 1'000'001, 301, 100'001}),
              ElementsAre("max_connections is not from 1 to 10000",
                          "max_mails_per_connection is not from 1 to 1000000",
                          "max_idle_seconds is not from 1 to 300",
                          "max_mails_per_second is not from 0.0001 to 100000"));
  for (const double rate : {-1.0, 1e-300, kInfinity, kNan}) {
    EXPECT_EQ(LimitFaults({.max_mails_per_second = rate}).size(), 1u) << rate;
  }
}

}  // namespace
}  // namespace sendstep::providers
