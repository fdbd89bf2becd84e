// Sends that wait for their turn, and those that give it up.
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <stdexcept>

#include "tests/unit/transport/net/pool_test.h"
#include "transport/smtp/gate.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using base::Cause;
using base::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using testing::MailServer;
using testing::Running;
using testing::SendCase;
using testing::Sent;
using Reply = std::optional<std::string>;

// One connection only.
class PoolTurnsTest : public testing::PoolTest {
 protected:
  PoolTurnsTest() { account_.limits.max_connections = 1; }
};

TEST_F(PoolTurnsTest, NoMoreThanMaxConnectionsAreOpen) {
  server_.Hold("DATA");
  std::vector<std::shared_ptr<Running<Sent>>> sends;
  for (int i = 0; i < 5; ++i) sends.push_back(Start());
  RunUntilHeld(1);
  EXPECT_EQ(mailer_.pool_stats().waiting, 4);
  EXPECT_EQ(mailer_.pool_stats().busy, 1);
  server_.Go();
  for (const auto& one : sends) EXPECT_TRUE(Finish(one));
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(PoolTurnsTest, TurnsAreInOrderOfArrival) {
  server_.Hold("DATA");
  std::vector<std::string> subjects;
  std::vector<std::shared_ptr<Running<Sent>>> sends;
  for (int i = 0; i < 5; ++i) {
    sends.push_back(Start({.settings = account_, .subject = std::to_string(i)}));
    RunUntil([&] { return mailer_.pool_stats().waiting == i; });
  }
  server_.Go();
  for (size_t i = 0; i < sends.size(); ++i) {
    EXPECT_TRUE(Finish(sends[i]));
    EXPECT_EQ(server_.messages().size(), i + 1);
  }
}

TEST_F(PoolTurnsTest, WaitEndsAtTheDeadlineAndTellsWhenToTryAgain) {
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  const Sent sent = Send({.settings = account_, .deadline = Deadline::After(milliseconds(50))});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().cause, Cause::kHeldBack);
  EXPECT_EQ(sent.error().stage, base::Stage::kTcp);
  EXPECT_EQ(sent.error().error_class, base::ErrorClass::kTransient);
  EXPECT_GE(sent.error().retry_after, seconds(1));
  EXPECT_EQ(mailer_.pool_stats().held_back, 1u);
  EXPECT_EQ(mailer_.pool_stats().waiting, 0);
  server_.Go();
  EXPECT_TRUE(Finish(busy));
  EXPECT_TRUE(Send());
}

TEST_F(PoolTurnsTest, RateThatLeavesNoHopeRefusesAtOnce) {
  account_.limits.max_mails_per_second = 0.01;
  ASSERT_TRUE(Send());
  const Sent sent = Send({.settings = account_, .deadline = Deadline::After(seconds(50))});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().cause, Cause::kHeldBack);
  EXPECT_GT(sent.error().retry_after, seconds(80));
  EXPECT_LE(sent.error().retry_after, seconds(100));
}

TEST_F(PoolTurnsTest, RateIsKept) {
  account_.limits.max_mails_per_second = 20;
  const base::Clock::time_point begin = base::Clock::now();
  std::vector<std::shared_ptr<Running<Sent>>> sends;
  for (int i = 0; i < 30; ++i) sends.push_back(Start());
  for (const auto& one : sends) EXPECT_TRUE(Finish(one));
  EXPECT_GE(base::Clock::now() - begin, milliseconds(500)) << "ten more than a second's worth";
}

TEST_F(PoolTurnsTest, SlowServerIsPausedFor) {
  bool asked = false;
  server_.rules().answer = [&asked](const MailServer::Command& command) -> Reply {
    if (command.verb != "." || std::exchange(asked, true)) return std::nullopt;
    return "451 4.7.1 slow down\r\n";
  };
  EXPECT_FALSE(Send());
  EXPECT_EQ(mailer_.pool_stats().slowed_down, 1u);
  const base::Clock::time_point begin = base::Clock::now();
  const Sent hopeless =
      Send({.settings = account_, .deadline = Deadline::After(milliseconds(300))});
  ASSERT_FALSE(hopeless);
  EXPECT_EQ(hopeless.error().cause, Cause::kHeldBack);
  EXPECT_TRUE(Send());
  EXPECT_GE(base::Clock::now() - begin, milliseconds(500));
  EXPECT_EQ(server_.connections(), 1);
}

// Cancelled.

TEST_F(PoolTurnsTest, CancelledWaitLeavesTheTurnToTheNext) {
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  const auto cancelled = Start();
  RunUntilWaiting(1);
  const auto next = Start();
  RunUntilWaiting(2);
  cancelled->Cancel();
  const Sent sent = Finish(cancelled);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().cause, Cause::kCancelled);
  EXPECT_EQ(mailer_.pool_stats().waiting, 1);
  server_.Go();
  EXPECT_TRUE(Finish(busy));
  EXPECT_TRUE(Finish(next));
  EXPECT_EQ(server_.messages()["Subject: hello"], 2);
}

TEST_F(PoolTurnsTest, CancelledTogetherWithTheTurnLeavesItToTheNext) {
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  const auto cancelled = Start();
  const auto next = Start();
  RunUntilWaiting(2);
  server_.Go();
  RunUntil([&] { return mailer_.pool_stats().waiting == 1; });
  cancelled->Cancel();
  EXPECT_TRUE(Finish(busy));
  EXPECT_FALSE(Finish(cancelled));
  EXPECT_TRUE(Finish(next));
}

TEST_F(PoolTurnsTest, CancelledOnItsWayToTheWaitDoesNotWait) {
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  std::shared_ptr<Running<Sent>> cancelled;
  auto body = [&]() -> asio::awaitable<Sent> {
    // After the call has begun, and before it waits.
    asio::post(co_await asio::this_coro::executor, [&cancelled] { cancelled->Cancel(); });
    co_return co_await testing::SendOne(mailer_, {.settings = account_});
  };
  cancelled = CoroutineTest::Start<Sent>(body);
  const Sent sent = Finish(cancelled);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().cause, Cause::kCancelled);
  server_.Go();
  EXPECT_TRUE(Finish(busy));
}

TEST_F(PoolTurnsTest, CancelledWhileConnectingLetsTheNextConnect) {
  server_.Hold("EHLO");
  const auto cancelled = Start();
  RunUntilHeld(1);
  const auto next = Start();
  RunUntilWaiting(1);
  cancelled->Cancel();
  EXPECT_EQ(Finish(cancelled).error().cause, Cause::kCancelled);
  RunUntilHeld(2);
  server_.Go();
  EXPECT_TRUE(Finish(next));
  EXPECT_EQ(mailer_.pool_stats().opened, 1u);
}

TEST_F(PoolTurnsTest, DeadlineThatPassesWhileConnectingLetsTheNextConnect) {
  server_.Hold("EHLO");
  const auto late = Start({.settings = account_, .deadline = Deadline::After(milliseconds(100))});
  RunUntilHeld(1);
  const auto next = Start();
  RunUntilWaiting(1);
  EXPECT_EQ(Finish(late).error().cause, Cause::kTimeout);
  RunUntilHeld(2);
  server_.Go();
  EXPECT_TRUE(Finish(next));
}

TEST_F(PoolTurnsTest, ConnectionOfACancelledTransactionIsNotUsedAgain) {
  server_.Hold("DATA");
  const auto cancelled = Start();
  RunUntilHeld(1);
  const auto next = Start();
  RunUntilWaiting(1);
  cancelled->Cancel();
  EXPECT_EQ(Finish(cancelled).error().cause, Cause::kCancelled);
  RunUntilHeld(2);
  server_.Go();
  EXPECT_TRUE(Finish(next));
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.messages()["Subject: hello"], 1);
}

// Abandoned.

TEST_F(PoolTurnsTest, AbandonEndsWhoWaitsAndWhoConnects) {
  server_.Hold("EHLO");
  const auto connecting = Start();
  RunUntilHeld(1);
  const auto waiting = Start();
  RunUntilWaiting(1);
  mailer_.Abandon();
  for (const auto& one : {connecting, waiting}) {
    const Sent sent = Finish(one);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().cause, Cause::kStopped);
    EXPECT_EQ(sent.error().error_class, base::ErrorClass::kTransient);
  }
  EXPECT_EQ(mailer_.pool_stats().waiting, 0);
  EXPECT_EQ(mailer_.pool_stats().connecting, 0);
}

TEST_F(PoolTurnsTest, AbandonLeavesIdleConnectionsToCloseIdle) {
  ASSERT_TRUE(Send());
  mailer_.Abandon();
  EXPECT_EQ(Send().error().cause, Cause::kStopped);
  mailer_.CloseIdle();
  RunUntilOpen(0);
  EXPECT_EQ(server_.Count("QUIT"), 1);
}

TEST_F(PoolTurnsTest, CloseIdleDoesNotEndWhoWaits) {
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  const auto waiting = Start();
  RunUntilWaiting(1);
  mailer_.CloseIdle();
  server_.Go();
  EXPECT_TRUE(Finish(busy));
  EXPECT_TRUE(Finish(waiting));
  RunUntilOpen(0);
}

TEST_F(PoolTurnsTest, WhoWaitsForTheRateIsWokenAfterCloseIdleToo) {
  account_.limits.max_mails_per_second = 4;
  std::vector<std::shared_ptr<Running<Sent>>> sends;
  for (int i = 0; i < 5; ++i) sends.push_back(Start());
  RunUntilWaiting(1);
  mailer_.CloseIdle();
  for (const auto& one : sends) EXPECT_TRUE(Finish(one));
}

// Gates.

class ThrowingGate : public smtp::Gate {
 public:
  asio::awaitable<bool> Pass(std::span<const size_t>) override {
    throw std::runtime_error("no gate");
    co_return true;
  }
};

TEST_F(PoolTurnsTest, GateThatThrowsFreesItsTurn) {
  ThrowingGate gate;
  SendCase throwing{account_};
  throwing.options.gate = &gate;
  throwing.observer = new testing::Outcomes;
  const std::unique_ptr<smtp::Observer> observer(throwing.observer);
  bool thrown = false;
  server_.Hold("DATA");
  auto body = [&]() -> asio::awaitable<bool> {
    try {
      co_await testing::SendOne(mailer_, throwing);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    co_return true;
  };
  const auto broken = CoroutineTest::Start<bool>(body);
  RunUntilHeld(1);
  const auto waiting = Start();
  RunUntilWaiting(1);
  server_.Go();
  Finish(broken);
  EXPECT_TRUE(thrown);
  EXPECT_TRUE(Finish(waiting));
  EXPECT_EQ(server_.connections(), 2) << "what the gate left is not used again";
  EXPECT_EQ(server_.messages()["Subject: hello"], 1);
}

// Accounts beside each other.

TEST_F(PoolTurnsTest, SilentAccountDoesNotHoldUpAnother) {
  MailServer silent(context_.get_executor());
  silent.Hold("greeting");
  std::vector<std::shared_ptr<Running<Sent>>> stuck;
  const smtp::SmtpSettings other = testing::AccountAt(silent.port());
  for (int i = 0; i < 30; ++i) stuck.push_back(Start({.settings = other}));
  RunUntil([&] { return silent.held() == 1; });
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Send());
  mailer_.Abandon();
  for (const auto& one : stuck) EXPECT_FALSE(Finish(one));
}

TEST_F(PoolTurnsTest, PausedAccountDoesNotHoldUpAnother) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "greeting") return std::nullopt;
    return "421 4.3.2 not now\r\n";
  };
  EXPECT_FALSE(Send());
  EXPECT_EQ(mailer_.pool_stats().slowed_down, 1u);
  MailServer other(context_.get_executor());
  EXPECT_TRUE(
      Send({.settings = testing::AccountAt(other.port()), .deadline = Deadline::After(kSoon)}));
}

}  // namespace
}  // namespace sendstep::net
