// How fast a SendQueue lets an account be used: rate, pause and window.
#include <gmock/gmock.h>

#include <chrono>
#include <vector>

#include "transport/net/send_queue.h"

namespace sendstep::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SendQueuePaceTest : public ::testing::Test {
 protected:
  explicit SendQueuePaceTest(double mails_per_second = 0) { Rate(mails_per_second); }

  void Rate(double mails_per_second) {
    limits_.max_mails_per_second = mails_per_second;
    queue_ = SendQueue(limits_);
  }

  void Enter(int count) {
    for (int i = 0; i < count; ++i) queue_.Enter(false);
  }

  // One message after the other, as many as go now.
  int SendAll() {
    int sent = 0;
    while (const auto turn = queue_.Next(now_)) {
      if (!turn->reuse) queue_.Opened();
      queue_.Release(now_, turn->reuse.value_or(Made()), true);
      ++sent;
    }
    return sent;
  }

  // So many connections that are in use.
  void Use(int count) {
    Enter(count);
    while (queue_.busy() < count) {
      if (!queue_.Next(now_)->reuse) queue_.Opened();
    }
  }

  // How many more come into use.
  int More() {
    Enter(100);
    int more = 0;
    for (; const auto turn = queue_.Next(now_); ++more) {
      if (!turn->reuse) queue_.Opened();
    }
    return more;
  }

  SendQueue::Connection Made() {
    SendQueue::Connection connection;
    connection.opened = connection.used = now_;
    return connection;
  }

  smtp::SendingLimits limits_;
  SendQueue::Time now_ = SendQueue::Time(std::chrono::hours(1000));
  SendQueue queue_{limits_};
};

TEST_F(SendQueuePaceTest, WithoutRateAllGoAtOnce) {
  Enter(500);
  EXPECT_EQ(SendAll(), 500);
  EXPECT_EQ(queue_.Expected(now_), now_);
}

TEST_F(SendQueuePaceTest, OneSecondsWorthGoesAtOnceThenOneAfterEachInterval) {
  Rate(10);
  Enter(20);
  EXPECT_EQ(SendAll(), 10);
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(queue_.Wake(now_), now_ + milliseconds(100));
    now_ += milliseconds(100) - std::chrono::nanoseconds(1);
    ASSERT_EQ(SendAll(), 0);
    now_ += std::chrono::nanoseconds(1);
    ASSERT_EQ(SendAll(), 1);
  }
  EXPECT_FALSE(queue_.Wake(now_));
}

TEST_F(SendQueuePaceTest, BurstComesBackWithTime) {
  Rate(10);
  Enter(30);
  EXPECT_EQ(SendAll(), 10);
  now_ += milliseconds(300);
  EXPECT_EQ(SendAll(), 3);
  now_ += std::chrono::hours(1);
  EXPECT_EQ(SendAll(), 10) << "no more than that";
}

TEST_F(SendQueuePaceTest, RateBelowOneSpacesEachFromTheLast) {
  Rate(0.5);
  Enter(3);
  EXPECT_EQ(SendAll(), 1);
  EXPECT_EQ(queue_.Wake(now_), now_ + seconds(2));
  now_ += seconds(2);
  EXPECT_EQ(SendAll(), 1);
}

TEST_F(SendQueuePaceTest, FractionOfARateGivesNoBurst) {
  Rate(2.5);
  Enter(4);
  EXPECT_EQ(SendAll(), 2);
  EXPECT_EQ(queue_.Wake(now_), now_ + milliseconds(400));
}

TEST_F(SendQueuePaceTest, ExpectedIsWhenOneMoreWouldGo) {
  Rate(10);
  for (int waiting = 0; waiting < 25; ++waiting) {
    const SendQueue::Time expected = queue_.Expected(now_);
    EXPECT_EQ(expected, now_ + milliseconds(100) * std::max(0, waiting - 9)) << waiting;
    Enter(1);
  }
}

TEST_F(SendQueuePaceTest, ExpectedIsNowWhereOthersWaitForAConnectionAndNotForTheRate) {
  limits_.max_connections = 1;
  Rate(10);
  Use(1);
  Enter(5);
  EXPECT_EQ(queue_.Expected(now_), now_);
}

TEST_F(SendQueuePaceTest, ExpectedHoldsWhileTheQueueMovesOn) {
  Rate(4);
  Enter(10);
  const SendQueue::Time expected = queue_.Expected(now_);
  queue_.Enter(false);
  int sent = SendAll();
  while (queue_.waiting() > 0) {
    now_ = *queue_.Wake(now_);
    sent += SendAll();
  }
  EXPECT_EQ(sent, 11);
  EXPECT_EQ(now_, expected);
}

TEST_F(SendQueuePaceTest, WhoGoesFirstExpectsNotToWaitForTheOthers) {
  Rate(1);
  Enter(5);
  EXPECT_EQ(queue_.Expected(now_), now_ + seconds(5));
  EXPECT_EQ(queue_.Expected(now_, true), now_);
  queue_.Enter(false, true);
  EXPECT_EQ(queue_.Expected(now_, true), now_ + seconds(1));
}

TEST_F(SendQueuePaceTest, ExpectedKnowsThePause) {
  Rate(1);
  queue_.SlowDown(now_);
  EXPECT_EQ(queue_.Expected(now_), now_ + SendQueue::kFirstPause);
  Enter(2);
  EXPECT_EQ(queue_.Expected(now_), now_ + SendQueue::kFirstPause + seconds(2));
}

TEST_F(SendQueuePaceTest, SlowDownPausesAndTellsWhenItEnds) {
  Enter(1);
  queue_.SlowDown(now_);
  EXPECT_FALSE(queue_.Next(now_));
  EXPECT_EQ(queue_.Wake(now_), now_ + SendQueue::kFirstPause);
  now_ += SendQueue::kFirstPause;
  EXPECT_EQ(SendAll(), 1);
}

TEST_F(SendQueuePaceTest, EachPauseIsTwiceAsLongUpToAMinute) {
  Enter(1);
  for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
    queue_.SlowDown(now_);
    ASSERT_EQ(queue_.Wake(now_), now_ + seconds(expected));
    now_ += seconds(expected);
  }
}

TEST_F(SendQueuePaceTest, SeveralThatWereOnTheirWayCountOnce) {
  Use(8);
  for (int i = 0; i < 8; ++i) queue_.SlowDown(now_ + milliseconds(i));
  Enter(1);
  EXPECT_EQ(queue_.Wake(now_), now_ + SendQueue::kFirstPause);
  now_ += SendQueue::kFirstPause;
  for (int i = 0; i < 5; ++i) queue_.Release(now_, Made(), true);
  EXPECT_EQ(queue_.busy(), 3);
  EXPECT_EQ(More(), 1) << "half of eight";
}

TEST_F(SendQueuePaceTest, HalfOfWhatIsInUseIsLeftButOneAlways) {
  Use(4);
  for (const int left : {2, 1, 1}) {
    queue_.SlowDown(now_);
    now_ += SendQueue::kLongestPause;
    while (queue_.busy() > 0) queue_.Release(now_, Made(), true);
    EXPECT_EQ(More(), left);
  }
}

TEST_F(SendQueuePaceTest, EachMessageTakenAllowsAPartOfAConnectionMore) {
  limits_.max_connections = 4;
  Rate(0);
  Use(4);
  queue_.SlowDown(now_);
  now_ += SendQueue::kFirstPause;
  while (queue_.busy() > 2) queue_.Release(now_, Made(), true);
  EXPECT_EQ(More(), 0);
  queue_.SpeedUp();
  EXPECT_EQ(More(), 0);
  queue_.SpeedUp();
  queue_.SpeedUp();
  EXPECT_EQ(More(), 1) << "2 + 1/2 + 1/2.5 + 1/2.9 is more than 3";
  for (int i = 0; i < 4; ++i) queue_.SpeedUp();
  EXPECT_EQ(More(), 1);
}

TEST_F(SendQueuePaceTest, PausesBecomeShorterWithEachMessageTaken) {
  Use(8);
  for (int i = 0; i < 4; ++i) {
    queue_.SlowDown(now_);
    now_ += SendQueue::kLongestPause;
  }
  queue_.SpeedUp();  // the next would have been 16 s
  queue_.SlowDown(now_);
  EXPECT_EQ(queue_.Expected(now_), now_ + seconds(8));
}

TEST_F(SendQueuePaceTest, OnceAllConnectionsAreAllowedAgainTheSlowDownIsForgotten) {
  limits_.max_connections = 2;
  Rate(0);
  Use(2);
  for (int i = 0; i < 5; ++i) {
    queue_.SlowDown(now_);
    now_ += SendQueue::kLongestPause;
  }
  queue_.SpeedUp();
  queue_.SlowDown(now_);
  EXPECT_EQ(queue_.Expected(now_), now_ + SendQueue::kFirstPause);
}

TEST_F(SendQueuePaceTest, MessageTakenWithoutSlowDownChangesNothing) {
  queue_.SpeedUp();
  EXPECT_EQ(More(), limits_.max_connections);
}

TEST_F(SendQueuePaceTest, PauseAndRateAreBothWaitedFor) {
  Rate(0.25);
  Enter(2);
  EXPECT_EQ(SendAll(), 1);
  queue_.SlowDown(now_);
  EXPECT_EQ(queue_.Wake(now_), now_ + seconds(4));
}

}  // namespace
}  // namespace sendstep::net
