#include "transport/net/send_queue.h"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <vector>

namespace sendstep::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Connection = SendQueue::Connection;
using Failure = SendQueue::OpenFailure;
using Fate = SendQueue::Fate;
using Ticket = SendQueue::Ticket;
using Turn = SendQueue::Turn;

class SendQueueTest : public ::testing::Test {
 protected:
  // The next turn's ticket, 0 where there is none.
  Ticket Next() {
    turn_ = queue_.Next(now_);
    if (turn_) beside_others_ = turn_->beside_others;
    return turn_ ? turn_->ticket : 0;
  }

  // All who have their turn now.
  std::vector<Ticket> All() {
    std::vector<Ticket> tickets;
    while (const Ticket ticket = Next()) tickets.push_back(ticket);
    return tickets;
  }

  std::vector<Ticket> Enter(int count) {
    std::vector<Ticket> tickets;
    for (int i = 0; i < count; ++i) tickets.push_back(queue_.Enter(false));
    return tickets;
  }

  Connection Made() {
    Connection connection;
    connection.id = ++last_id_;
    connection.opened = connection.used = now_;
    return connection;
  }

  // A turn to open a connection is taken, and it opens.
  Connection Open() {
    queue_.Enter(true);
    EXPECT_NE(Next(), 0);
    queue_.Opened();
    return Made();
  }

  bool Fail(Failure failure) { return queue_.OpenFailed(now_, failure, beside_others_); }

  Fate Release(Connection& connection) {
    ++connection.mails;
    connection.used = now_;
    return queue_.Release(now_, connection, true);
  }

  // So many connections that nobody uses.
  std::vector<Connection> Idle(int count) {
    std::vector<Connection> connections;
    for (int i = 0; i < count; ++i) connections.push_back(Open());
    for (Connection& connection : connections) EXPECT_EQ(Release(connection), Fate::kIdle);
    return connections;
  }

  // An empty queue with these limits.
  void Limit(const smtp::SendingLimits& limits) { queue_ = SendQueue(limits); }

  smtp::SendingLimits limits_;
  SendQueue::Time now_ = SendQueue::Time(std::chrono::hours(1000));
  SendQueue queue_{limits_};
  std::optional<Turn> turn_;
  bool beside_others_ = false;  // of the last turn
  uint64_t last_id_ = 0;
};

TEST_F(SendQueueTest, NobodyWaitsInAnEmptyQueue) {
  EXPECT_EQ(Next(), 0);
  EXPECT_TRUE(queue_.Forgettable(now_));
  EXPECT_FALSE(queue_.Wake(now_));
  EXPECT_FALSE(queue_.Expiry());
}

TEST_F(SendQueueTest, FirstComeFirstServed) {
  const std::vector<Ticket> tickets = Enter(3);
  for (const Ticket ticket : tickets) {
    EXPECT_EQ(Next(), ticket);
    queue_.Opened();
  }
}

TEST_F(SendQueueTest, WhoIsFirstGoesBeforeAllWhoAreNot) {
  const Ticket last = queue_.Enter(false);
  const Ticket first = queue_.Enter(false, true);
  EXPECT_EQ(Next(), first);
  queue_.Opened();
  EXPECT_EQ(Next(), last);
}

TEST_F(SendQueueTest, AmongThoseWhoAreFirstTheOrderOfArrivalHolds) {
  const std::vector<Ticket> tickets = {queue_.Enter(false, true), queue_.Enter(true, true),
                                       queue_.Enter(false, true)};
  for (const Ticket ticket : tickets) {
    EXPECT_EQ(Next(), ticket);
    queue_.Opened();
  }
}

TEST_F(SendQueueTest, IdleConnectionIsUsedBeforeANewOne) {
  const Connection connection = Idle(1)[0];
  queue_.Enter(false);
  ASSERT_NE(Next(), 0);
  ASSERT_TRUE(turn_->reuse);
  EXPECT_EQ(turn_->reuse->id, connection.id);
  EXPECT_EQ(turn_->reuse->mails, 1);
  EXPECT_EQ(queue_.busy(), 1);
  EXPECT_EQ(queue_.idle(), 0);
}

TEST_F(SendQueueTest, TheLastUsedConnectionIsUsedNext) {
  std::vector<Connection> connections = {Open(), Open(), Open()};
  for (const int last : {1, 2, 0}) Release(connections[last]);
  Enter(3);
  for (const int expected : {0, 2, 1}) {
    ASSERT_NE(Next(), 0);
    EXPECT_EQ(turn_->reuse->id, connections[expected].id);
  }
}

TEST_F(SendQueueTest, FreshWantTakesNoIdleConnection) {
  Idle(1);
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  EXPECT_FALSE(turn_->reuse);
  EXPECT_EQ(queue_.idle(), 1);
}

TEST_F(SendQueueTest, OthersPassAFreshWantThatMustWaitForItsConnection) {
  Idle(1);
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  Fail(Failure::kOther);  // one at a time again
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  const Ticket fresh = queue_.Enter(true);
  const Ticket other = queue_.Enter(false);
  EXPECT_EQ(Next(), other);
  EXPECT_TRUE(turn_->reuse);
  queue_.Opened();
  EXPECT_EQ(Next(), fresh);
}

TEST_F(SendQueueTest, NoMoreThanMaxConnectionsAreInUse) {
  limits_.max_connections = 3;
  Limit(limits_);
  std::vector<Connection> connections = {Open(), Open(), Open()};
  const Ticket waits = queue_.Enter(false);
  EXPECT_EQ(Next(), 0);
  EXPECT_FALSE(queue_.Wake(now_)) << "time alone does not help";
  Release(connections[1]);
  EXPECT_EQ(Next(), waits);
  EXPECT_EQ(turn_->reuse->id, connections[1].id);
}

TEST_F(SendQueueTest, OneConnectionIsAlwaysAllowed) {
  limits_.max_connections = 0;
  Limit(limits_);
  Enter(2);
  EXPECT_EQ(All().size(), 1u);
}

TEST_F(SendQueueTest, ConnectionThatHasSentItsMailsIsClosed) {
  limits_.max_mails_per_connection = 2;
  Limit(limits_);
  Connection connection = Open();
  EXPECT_EQ(Release(connection), Fate::kIdle);
  Enter(1);
  ASSERT_NE(Next(), 0);
  EXPECT_EQ(Release(connection), Fate::kMails);
  EXPECT_EQ(queue_.idle(), 0);
}

TEST_F(SendQueueTest, TheServersOwnLimitHoldsWhereItIsLower) {
  Connection connection = Open();
  connection.max_mails = 1;
  EXPECT_EQ(Release(connection), Fate::kMails);
  limits_.max_mails_per_connection = 1;
  Limit(limits_);
  Connection other = Open();
  other.max_mails = 5;
  EXPECT_EQ(Release(other), Fate::kMails);
}

TEST_F(SendQueueTest, UnusableConnectionIsNotKept) {
  const Connection connection = Open();
  EXPECT_EQ(queue_.Release(now_, connection, false), Fate::kUnusable);
  EXPECT_EQ(queue_.idle(), 0);
}

TEST_F(SendQueueTest, ConnectionTooOldIsNotKept) {
  Connection connection = Open();
  now_ += limits_.max_age;
  EXPECT_EQ(Release(connection), Fate::kAge);
}

TEST_F(SendQueueTest, IdleConnectionExpiresAfterMaxIdle) {
  const Connection connection = Idle(1)[0];
  EXPECT_EQ(queue_.Expiry(), now_ + limits_.max_idle);
  now_ += limits_.max_idle - milliseconds(1);
  EXPECT_THAT(queue_.Expire(now_), IsEmpty());
  now_ += milliseconds(1);
  EXPECT_THAT(queue_.Expire(now_), ElementsAre(connection.id));
  EXPECT_EQ(queue_.idle(), 0);
  EXPECT_FALSE(queue_.Expiry());
}

TEST_F(SendQueueTest, IdleConnectionExpiresAfterMaxAgeThoughItWasUsed) {
  Connection connection = Open();
  now_ += limits_.max_age - seconds(1);
  EXPECT_EQ(Release(connection), Fate::kIdle);
  EXPECT_EQ(queue_.Expiry(), now_ + seconds(1));
  now_ += seconds(1);
  EXPECT_THAT(queue_.Expire(now_), ElementsAre(connection.id));
}

TEST_F(SendQueueTest, TheOldestExpiryIsTold) {
  std::vector<Connection> connections = {Open(), Open()};
  const SendQueue::Time first = now_;
  Release(connections[0]);
  now_ += seconds(5);
  Release(connections[1]);
  EXPECT_EQ(queue_.Expiry(), first + limits_.max_idle);
  EXPECT_THAT(queue_.Expire(first + limits_.max_idle), ElementsAre(connections[0].id));
  EXPECT_EQ(queue_.Expiry(), now_ + limits_.max_idle);
}

TEST_F(SendQueueTest, AllIdleConnectionsCanBeClosed) {
  const std::vector<Connection> connections = Idle(2);
  EXPECT_THAT(queue_.CloseIdle(), ElementsAre(connections[0].id, connections[1].id));
  EXPECT_EQ(queue_.idle(), 0);
  EXPECT_FALSE(queue_.Forgettable(now_)) << "they are not closed yet";
  queue_.Closed();
  queue_.Closed();
  EXPECT_TRUE(queue_.Forgettable(now_));
}

// At the limit.

TEST_F(SendQueueTest, IdleConnectionMakesRoomForAFreshWantAndIsClosedFirst) {
  limits_.max_connections = 2;
  Limit(limits_);
  const std::vector<Connection> connections = Idle(2);
  const Ticket fresh = queue_.Enter(true);
  EXPECT_EQ(Next(), 0);
  EXPECT_EQ(queue_.MakeRoom(now_), connections[0].id) << "the one not used for longest";
  EXPECT_EQ(Next(), 0) << "the server still counts it";
  EXPECT_EQ(queue_.MakeRoom(now_), std::nullopt) << "one is enough";
  queue_.Closed();
  EXPECT_EQ(Next(), fresh);
  EXPECT_EQ(queue_.idle(), 1);
}

TEST_F(SendQueueTest, NobodyPassesAFreshWantThatRoomIsMadeFor) {
  limits_.max_connections = 2;
  Limit(limits_);
  std::vector<Connection> connections = {Open(), Open()};
  const Ticket fresh = queue_.Enter(true, true);
  const Ticket other = queue_.Enter(false);
  Release(connections[0]);
  EXPECT_EQ(Next(), 0);
  EXPECT_EQ(queue_.MakeRoom(now_), connections[0].id);
  Release(connections[1]);
  EXPECT_EQ(Next(), other) << "until the goodbye is said";
  queue_.Closed();
  EXPECT_EQ(Next(), fresh);
}

TEST_F(SendQueueTest, TightestOfAllLimitsHold) {
  limits_ = {5, 50, std::chrono::seconds(20), std::chrono::seconds(200), 0};
  Limit(limits_);
  queue_.Tighten({9, 9, std::chrono::seconds(9), std::chrono::seconds(900), 7});
  queue_.Tighten({3, 90, std::chrono::seconds(90), std::chrono::seconds(90), 0});
  EXPECT_EQ(queue_.limits().max_connections, 3);
  EXPECT_EQ(queue_.limits().max_mails_per_connection, 9);
  EXPECT_EQ(queue_.limits().max_idle, std::chrono::seconds(9));
  EXPECT_EQ(queue_.limits().max_age, std::chrono::seconds(90));
  EXPECT_EQ(queue_.limits().max_mails_per_second, 7);
}

TEST_F(SendQueueTest, NobodyIsMadeRoomForWithoutNeed) {
  limits_.max_connections = 2;
  Limit(limits_);
  Connection busy = Open();
  Idle(1);
  EXPECT_EQ(queue_.MakeRoom(now_), std::nullopt) << "nobody waits";
  queue_.Enter(false);
  EXPECT_NE(Next(), 0);
  queue_.Enter(true);
  EXPECT_EQ(queue_.MakeRoom(now_), std::nullopt) << "all are in use";
  Release(busy);
  EXPECT_TRUE(queue_.MakeRoom(now_));
}

TEST_F(SendQueueTest, NewConnectionWaitsForTheGoodbyeOfTheOneItReplaces) {
  limits_.max_connections = 1;
  limits_.max_mails_per_connection = 1;
  Limit(limits_);
  Connection connection = Open();
  const Ticket ticket = queue_.Enter(false);
  EXPECT_EQ(Release(connection), Fate::kMails);
  EXPECT_EQ(Next(), 0);
  EXPECT_THAT(queue_.GiveUp(), IsEmpty());
  queue_.Closed();
  EXPECT_EQ(Next(), ticket);
}

TEST_F(SendQueueTest, ConnectionFoundDeadMakesRoomAtOnceAndCostsNoRate) {
  limits_.max_connections = 1;
  limits_.max_mails_per_second = 2;
  Limit(limits_);
  Idle(1);
  queue_.Enter(false);
  ASSERT_NE(Next(), 0);
  ASSERT_TRUE(turn_->reuse);
  queue_.FoundDead();
  queue_.Closed();
  const Ticket again = queue_.Enter(false, true);
  EXPECT_EQ(Next(), again);
  EXPECT_FALSE(turn_->reuse);
}

TEST_F(SendQueueTest, IsNotForgettableWhileRatePauseOrLessonHold) {
  limits_.max_mails_per_second = 1;
  Limit(limits_);
  queue_.Release(now_, Open(), false);
  queue_.Closed();
  EXPECT_FALSE(queue_.Forgettable(now_)) << "rate";
  now_ += std::chrono::seconds(1);
  EXPECT_TRUE(queue_.Forgettable(now_));

  queue_.SlowDown(now_);
  EXPECT_FALSE(queue_.Forgettable(now_)) << "pause";
  now_ += SendQueue::kFirstPause;
  EXPECT_FALSE(queue_.Forgettable(now_)) << "slowed down";
  now_ += SendQueue::kLongestPause;
  EXPECT_TRUE(queue_.Forgettable(now_));

  limits_.max_mails_per_second = 0;
  Limit(limits_);
  const Connection other = Open();
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  EXPECT_TRUE(Fail(Failure::kTurnedAway));
  queue_.Release(now_, other, false);
  queue_.Closed();
  EXPECT_FALSE(queue_.Forgettable(now_)) << "lesson";
  now_ += SendQueue::kLearnedFor;
  EXPECT_TRUE(queue_.Forgettable(now_));
}

// How many connections begin at once.

TEST_F(SendQueueTest, ConnectionsBeginOneAtATimeAndTwiceAsManyAfterEachThatSucceeds) {
  Enter(20);
  EXPECT_EQ(All().size(), 1u);
  queue_.Opened();
  EXPECT_EQ(All().size(), 2u);
  queue_.Opened();
  EXPECT_EQ(All().size(), 3u) << "four at once, of which one is on its way";
  queue_.Opened();
  EXPECT_EQ(All().size(), 5u) << "eight, of which three are";
}

TEST_F(SendQueueTest, AConnectionThatTakesLongKeepsNobodyElseFromTrying) {
  const std::vector<Ticket> tickets = Enter(3);
  EXPECT_EQ(Next(), tickets[0]);
  EXPECT_EQ(Next(), 0);
  EXPECT_EQ(queue_.Wake(now_), now_ + SendQueue::kPatience);
  now_ += SendQueue::kPatience;
  EXPECT_EQ(Next(), tickets[1]);
  EXPECT_EQ(Next(), 0) << "one more each time";
}

TEST_F(SendQueueTest, AfterAFailureTheyBeginOneAtATimeAgain) {
  for (const Failure failure : {Failure::kOther, Failure::kTurnedAway}) {
    SendQueue queue(limits_);
    for (int i = 0; i < 20; ++i) queue.Enter(false);
    queue.Next(now_);
    queue.Opened();
    while (queue.Next(now_)) continue;
    ASSERT_EQ(queue.connecting(), 2);
    queue.OpenFailed(now_, failure, false);
    EXPECT_FALSE(queue.Next(now_));
    queue.OpenFailed(now_, failure, false);
    now_ += SendQueue::kLearnedFor;
    EXPECT_TRUE(queue.Next(now_));
    EXPECT_FALSE(queue.Next(now_));
  }
}

TEST_F(SendQueueTest, SendThatGivesUpTeachesNothing) {
  Enter(20);
  Next();
  queue_.Opened();
  EXPECT_EQ(All().size(), 2u);
  EXPECT_FALSE(Fail(Failure::kGivenUp));
  EXPECT_EQ(All().size(), 1u) << "the next one connects";
}

TEST_F(SendQueueTest, FailureEndsAllWhoWaitWhereNothingIsOpen) {
  const std::vector<Ticket> tickets = Enter(3);
  ASSERT_EQ(Next(), tickets[0]);
  EXPECT_FALSE(Fail(Failure::kOther));
  EXPECT_THAT(queue_.GiveUp(), ElementsAre(tickets[1], tickets[2]));
  EXPECT_TRUE(queue_.Forgettable(now_));
}

TEST_F(SendQueueTest, FailureEndsNobodyElseWhileSomethingIsOpen) {
  Connection busy = Open();
  Enter(3);
  ASSERT_NE(Next(), 0);
  EXPECT_FALSE(Fail(Failure::kOther));
  EXPECT_THAT(queue_.GiveUp(), IsEmpty());
  Release(busy);
  EXPECT_THAT(queue_.GiveUp(), IsEmpty());
  EXPECT_EQ(queue_.waiting(), 2);
}

TEST_F(SendQueueTest, FailureEndsNobodyElseWhileAnotherConnects) {
  Open();
  Enter(4);
  All();
  ASSERT_EQ(queue_.connecting(), 2);
  EXPECT_FALSE(Fail(Failure::kOther));
  EXPECT_THAT(queue_.GiveUp(), IsEmpty());
}

// Turned away.

TEST_F(SendQueueTest, TurnedAwayWithNothingOpenIsAFailureLikeOthers) {
  Enter(2);
  Next();
  EXPECT_FALSE(Fail(Failure::kTurnedAway));
  EXPECT_EQ(queue_.GiveUp().size(), 1u);
}

TEST_F(SendQueueTest, TurnedAwayWithOthersOpenShowsTheServersLimitForAWhile) {
  std::vector<Connection> open = {Open(), Open()};
  Enter(5);
  ASSERT_NE(Next(), 0);
  EXPECT_TRUE(Fail(Failure::kTurnedAway));
  EXPECT_EQ(Next(), 0);
  EXPECT_EQ(queue_.Wake(now_), now_ + SendQueue::kLearnedFor);
  EXPECT_EQ(Release(open[0]), Fate::kIdle);
  EXPECT_NE(Next(), 0);
  EXPECT_TRUE(turn_->reuse);
  EXPECT_EQ(Next(), 0);
  now_ += SendQueue::kLearnedFor;
  EXPECT_NE(Next(), 0) << "it may be more by now";
  EXPECT_FALSE(turn_->reuse);
}

TEST_F(SendQueueTest, TurnedAwayWhileOneIsBeingClosedIsNoFailure) {
  limits_.max_mails_per_connection = 1;
  Limit(limits_);
  Connection connection = Open();
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  ASSERT_EQ(Release(connection), Fate::kMails);
  EXPECT_TRUE(Fail(Failure::kTurnedAway));
  const Ticket again = queue_.Enter(false, true);
  EXPECT_EQ(Next(), 0);
  queue_.Closed();
  EXPECT_EQ(Next(), again);
}

TEST_F(SendQueueTest, TurnedAwayOnceTheOthersAreGoneIsTriedAgainAndNotOnceMore) {
  Connection connection = Open();
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  EXPECT_TRUE(turn_->beside_others);
  queue_.Release(now_, connection, false);
  queue_.Closed();
  EXPECT_TRUE(Fail(Failure::kTurnedAway));
  const Ticket again = queue_.Enter(false, true);
  EXPECT_EQ(Next(), again);
  EXPECT_FALSE(turn_->beside_others);
  EXPECT_FALSE(Fail(Failure::kTurnedAway));
}

TEST_F(SendQueueTest, ConnectionIsKeptForThoseWhoWillBeTurnedAway) {
  Connection open = Open();
  Open();
  queue_.Enter(true);
  queue_.Enter(true);
  EXPECT_EQ(All().size(), 2u);
  queue_.Release(now_, Made(), false);
  queue_.Closed();
  EXPECT_TRUE(Fail(Failure::kTurnedAway)) << "one is allowed, one is in use, and one is opening";
  EXPECT_EQ(Release(open), Fate::kIdle);
}

TEST_F(SendQueueTest, TurnedAwayCostsNoRate) {
  limits_.max_mails_per_second = 2;
  Limit(limits_);
  Connection open = Open();
  queue_.Enter(true);
  ASSERT_NE(Next(), 0);
  EXPECT_TRUE(Fail(Failure::kTurnedAway));
  Release(open);
  const Ticket again = queue_.Enter(false, true);
  EXPECT_EQ(Next(), again);
}

// Who leaves.

TEST_F(SendQueueTest, WhoLeavesIsPassedOver) {
  const std::vector<Ticket> tickets = Enter(3);
  queue_.Leave(tickets[0]);
  EXPECT_EQ(queue_.waiting(), 2);
  EXPECT_EQ(Next(), tickets[1]);
}

TEST_F(SendQueueTest, LeavingAfterTheTurnChangesNothing) {
  const std::vector<Ticket> tickets = Enter(1);
  ASSERT_EQ(Next(), tickets[0]);
  queue_.Leave(tickets[0]);
  EXPECT_EQ(queue_.connecting(), 1);
}

}  // namespace
}  // namespace sendstep::net
