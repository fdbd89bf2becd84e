// A SendQueue under random use, with a server of its own limits at the other end.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "transport/net/send_queue.h"

namespace sendstep::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Connection = SendQueue::Connection;
using Failure = SendQueue::OpenFailure;
using Fate = SendQueue::Fate;
using Ticket = SendQueue::Ticket;
using Time = SendQueue::Time;

struct Sender {
  bool fresh = false;
  bool first = false;
};

class Walk {
 public:
  Walk(unsigned seed, const smtp::SendingLimits& limits) : random_(seed), queue_(limits) {}

  // Does one thing or another, and everyone has the turn that he may have.
  void Step() {
    switch (Random(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (waiting_.size() < 40) Enter(Random(8) == 0, Random(16) == 0);
        break;
      case 4:
        if (Random(4) == 0) Leave();
        break;
      case 5:
      case 6:
        EndOpening();
        break;
      case 7:
      case 8:
        EndMessage();
        break;
      case 9:
        EndClosing();
        break;
      case 10:
        now_ += milliseconds(Random(200));
        break;
      default:
        Rarely();
    }
    Dispatch();
    Check();
  }

  // Nobody comes any more, and all that is under way ends well: whoever waits has his turn.
  void Drain() {
    for (int step = 0; !waiting_.empty(); ++step) {
      ASSERT_LT(step, 10000) << "somebody waits for ever";
      if (!connecting_.empty()) {
        Opened();
      } else if (!busy_.empty()) {
        Release(true, true);
      } else if (closing_ > 0) {
        EndClosing();
      } else {
        const auto wake = queue_.Wake(now_);
        ASSERT_TRUE(wake) << "nobody would wake the " << waiting_.size() << " who wait";
        ASSERT_GT(*wake, now_);
        now_ = *wake;
      }
      Dispatch();
      Check();
    }
    EXPECT_EQ(entered_, turns_ + left_ + given_up_);
  }

  int turns() const { return turns_; }
  int given_up() const { return given_up_; }

 private:
  int Random(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void Enter(bool fresh, bool first) {
    const Ticket ticket = queue_.Enter(fresh, first);
    ASSERT_TRUE(waiting_.emplace(ticket, Sender{fresh, first}).second);
    ++entered_;
  }

  void Leave() {
    if (waiting_.empty()) return;
    const auto one = std::next(waiting_.begin(), Random(static_cast<int>(waiting_.size())));
    queue_.Leave(one->first);
    waiting_.erase(one);
    ++left_;
  }

  void Opened() {
    TakeConnecting();
    queue_.Opened();
    Connection connection;
    connection.id = ++last_id_;
    connection.opened = connection.used = now_;
    connection.max_mails = Random(3) == 0 ? 1 + Random(4) : 0;
    busy_.push_back(connection);
  }

  bool TakeConnecting() {
    const auto one = connecting_.begin() + Random(static_cast<int>(connecting_.size()));
    const bool beside = *one;
    connecting_.erase(one);
    return beside;
  }

  void EndOpening() {
    if (connecting_.empty()) return;
    if (Random(3) != 0) return Opened();
    const bool beside = TakeConnecting();
    const Failure failure = static_cast<Failure>(Random(3));
    const int others = static_cast<int>(busy_.size() + idle_.size()) + closing_;
    const bool wait = queue_.OpenFailed(now_, failure, beside);
    EXPECT_EQ(wait, failure == Failure::kTurnedAway && (others > 0 || beside));
    if (wait) {
      Enter(false, true);
    } else if (failure != Failure::kGivenUp) {
      const auto tickets = queue_.GiveUp();
      if (others > 0 || !connecting_.empty()) {
        EXPECT_TRUE(tickets.empty());
      } else {
        EXPECT_EQ(tickets.size(), waiting_.size()) << "with nothing open everyone is given up";
      }
      for (const Ticket ticket : tickets) EXPECT_EQ(waiting_.erase(ticket), 1u);
      given_up_ += static_cast<int>(tickets.size());
    }
  }

  void EndMessage() {
    if (busy_.empty()) return;
    if (busy_.back().mails > 0 && Random(10) == 0) {
      busy_.pop_back();
      queue_.FoundDead();
      queue_.Closed();
      return Enter(false, true);
    }
    Release(Random(6) != 0, Random(3) != 0);
  }

  void Release(bool usable, bool taken) {
    const auto one = busy_.begin() + Random(static_cast<int>(busy_.size()));
    Connection connection = *one;
    busy_.erase(one);
    ++connection.mails;
    connection.used = now_;
    if (taken) queue_.SpeedUp();
    if (queue_.Release(now_, connection, usable) == Fate::kIdle) {
      EXPECT_TRUE(usable);
      EXPECT_TRUE(connection.max_mails == 0 || connection.mails < connection.max_mails);
      idle_.insert(connection.id);
    } else {
      ++closing_;
    }
  }

  void EndClosing() {
    if (closing_ == 0) return;
    --closing_;
    queue_.Closed();
  }

  void Rarely() {
    switch (Random(45)) {
      case 0:
        queue_.SlowDown(now_);
        break;
      case 1:
        now_ += seconds(Random(40));
        break;
      case 2:
        for (const uint64_t id : queue_.CloseIdle()) ToClose(id);
        EXPECT_TRUE(idle_.empty());
        break;
      default:
        break;
    }
  }

  void ToClose(uint64_t id) {
    EXPECT_EQ(idle_.erase(id), 1u);
    ++closing_;
  }

  void Dispatch() {
    for (const uint64_t id : queue_.Expire(now_)) ToClose(id);
    while (const auto turn = queue_.Next(now_)) {
      const auto sender = waiting_.find(turn->ticket);
      ASSERT_NE(sender, waiting_.end());
      for (auto before = waiting_.begin(); before != sender; ++before) {
        // Only who needs a new connection is passed over, by one who does not.
        EXPECT_TRUE(before->second.fresh && turn->reuse);
      }
      if (turn->reuse) {
        EXPECT_FALSE(sender->second.fresh);
        EXPECT_EQ(idle_.erase(turn->reuse->id), 1u);
        busy_.push_back(*turn->reuse);
      } else {
        EXPECT_EQ(turn->beside_others, Open() > static_cast<int>(connecting_.size()));
        connecting_.push_back(turn->beside_others);
        EXPECT_LE(Open(), queue_.limits().max_connections);
      }
      EXPECT_LE(InUse(), queue_.limits().max_connections);
      waiting_.erase(sender);
      ++turns_;
    }
    while (const auto id = queue_.MakeRoom(now_)) ToClose(*id);
  }

  void Check() {
    ASSERT_EQ(queue_.waiting(), static_cast<int>(waiting_.size()));
    ASSERT_EQ(queue_.connecting(), static_cast<int>(connecting_.size()));
    ASSERT_EQ(queue_.busy(), static_cast<int>(busy_.size()));
    ASSERT_EQ(queue_.idle(), static_cast<int>(idle_.size()));
    if (queue_.Forgettable(now_)) ASSERT_TRUE(waiting_.empty() && Open() == 0);
    const auto wake = queue_.Wake(now_);
    if (wake) {
      ASSERT_GT(*wake, now_);
    } else if (!waiting_.empty()) {
      ASSERT_GT(InUse() + closing_, 0) << "somebody waits for nothing";
    }
    ASSERT_EQ(queue_.Expiry().has_value(), !idle_.empty());
    if (!idle_.empty()) ASSERT_GT(*queue_.Expiry(), now_);
  }

  int InUse() const { return static_cast<int>(connecting_.size() + busy_.size()); }
  int Open() const { return InUse() + static_cast<int>(idle_.size()) + closing_; }

  std::mt19937 random_;
  Time now_ = Time(std::chrono::hours(1000));
  SendQueue queue_;
  std::map<Ticket, Sender> waiting_;
  std::vector<Connection> busy_;
  std::set<uint64_t> idle_;
  std::vector<bool> connecting_;  // beside others?
  int closing_ = 0;
  uint64_t last_id_ = 0;
  int entered_ = 0, turns_ = 0, left_ = 0, given_up_ = 0;
};

struct WalkCase {
  const char* name;
  double mails_per_second;
  int max_mails;
};

class SendQueueWalkTest : public ::testing::TestWithParam<WalkCase> {};

TEST_P(SendQueueWalkTest, EveryoneHasHisTurnInOrderAndNoLimitIsPassed) {
  smtp::SendingLimits limits;
  limits.max_connections = 4;
  limits.max_mails_per_second = GetParam().mails_per_second;
  limits.max_mails_per_connection = GetParam().max_mails;
  int turns = 0;
  int given_up = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Walk walk(seed, limits);
    for (int step = 0; step < 5000; ++step) {
      walk.Step();
      if (HasFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
    walk.Drain();
    if (HasFailure()) FAIL() << "seed " << seed << ", in the end";
    turns += walk.turns();
    given_up += walk.given_up();
  }
  EXPECT_GT(turns, 1000);
  EXPECT_GT(given_up, 10);
}

INSTANTIATE_TEST_SUITE_P(Limits, SendQueueWalkTest,
                         ::testing::Values(WalkCase{"NoRate", 0, 100}, WalkCase{"Rate", 20, 100},
                                           WalkCase{"FewMails", 0, 2}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace sendstep::net
