// Sends of a Mailer that share connections, one after the other.
#include <boost/asio/steady_timer.hpp>

#include "tests/unit/transport/net/pool_test.h"
#include "transport/smtp/gate.h"

namespace sendstep::net {
namespace {

using base::Cause;
using std::chrono::milliseconds;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::MailServer;
using testing::Outcomes;
using testing::SendCase;
using testing::Sent;

using PooledMailerTest = testing::PoolTest;
using Reply = std::optional<std::string>;

uint64_t Ended(const Mailer& mailer, ConnectionEnd why) {
  return mailer.pool_stats().ended[static_cast<size_t>(why)];
}

TEST_F(PooledMailerTest, SecondSendGoesOnWithTheSession) {
  Outcomes first, second;
  ASSERT_TRUE(Send({.settings = account_, .observer = &first}));
  ASSERT_TRUE(Send({.settings = account_, .observer = &second}));
  EXPECT_THAT(server_.commands(), ElementsAre("1 EHLO", "1 AUTH", "1 MAIL", "1 RCPT", "1 DATA",
                                              "1 MAIL", "1 RCPT", "1 DATA"));
  EXPECT_THAT(first.stages,
              ElementsAre("dns", "tcp", "ehlo", "auth", "mail_from", "rcpt_to", "data"));
  EXPECT_THAT(second.stages, ElementsAre("mail_from", "rcpt_to", "data"));
  EXPECT_EQ(mailer_.pool_stats().opened, 1u);
  EXPECT_EQ(mailer_.pool_stats().reused, 1u);
  EXPECT_EQ(mailer_.pool_stats().idle, 1);
}

TEST_F(PooledMailerTest, SendsInManyRoundsUseOneConnection) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 1);
  EXPECT_EQ(server_.messages()["Subject: hello"], 50);
}

TEST_F(PooledMailerTest, OtherPasswordAloneIsAnotherConnection) {
  ASSERT_TRUE(Send());
  ASSERT_TRUE(Send({.settings = testing::AccountAt(server_.port(), "abracadabra")}));
  EXPECT_EQ(server_.Count("AUTH"), 2);
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(PooledMailerTest, OtherTenantIsAnotherConnection) {
  ASSERT_TRUE(Send());
  account_.tenant = "other";
  ASSERT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(mailer_.pool_stats().accounts, 2);
}

TEST_F(PooledMailerTest, RefusedMessageLeavesTheConnectionToOthers) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.line.find("nobody") == std::string::npos) return std::nullopt;
    return "550 5.1.1 no such user\r\n";
  };
  SendCase refused{account_};
  refused.recipients = {"nobody@example.org"};
  const Sent sent = Send(refused);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().reply->code, 550);
  ASSERT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 1);
  EXPECT_EQ(server_.Count("RSET"), 1);
}

// Connections that the server has closed.

TEST_F(PooledMailerTest, ConnectionThatTheServerClosedWhileIdleCostsNoErrorAndNoDelay) {
  for (const std::string farewell : {"", "421 4.4.2 idle for too long\r\n"}) {
    ASSERT_TRUE(Send());
    const int connections = server_.connections();
    server_.CloseAll(farewell);
    RunUntilOpen(0);
    const Sent sent = SendSoon();
    ASSERT_TRUE(sent) << sent.error().detail;
    EXPECT_EQ(server_.connections(), connections + 1);
  }
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kDead), 2u);
}

TEST_F(PooledMailerTest, ConnectionThatTheServerClosedCostsNoRate) {
  account_.limits.max_mails_per_second = 2;
  ASSERT_TRUE(Send());
  server_.CloseAll("");
  RunUntilOpen(0);
  const Sent sent =
      Send({.settings = account_, .deadline = base::Deadline::After(milliseconds(400))});
  EXPECT_TRUE(sent) << sent.error().detail;
}

TEST_F(PooledMailerTest, FarewellAsReplyToMailOverAUsedConnectionIsTriedAgain) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "MAIL" || command.mails == 0) return std::nullopt;
    return "421 4.4.2 idle for too long\r\n";
  };
  ASSERT_TRUE(Send());
  const Sent sent = SendSoon();
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.messages()["Subject: hello"], 2);
  EXPECT_EQ(mailer_.pool_stats().slowed_down, 0u);
}

TEST_F(PooledMailerTest, FarewellOverTheSecondConnectionTooIsAnErrorAndSlowsDown) {
  int mails = 0;
  server_.rules().answer = [&mails](const MailServer::Command& command) -> Reply {
    if (command.verb != "MAIL" || ++mails == 1) return std::nullopt;
    return "421 4.7.0 try again later\r\n";
  };
  ASSERT_TRUE(Send());
  const Sent sent = Send();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().reply->code, 421);
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(mailer_.pool_stats().slowed_down, 1u);
}

TEST_F(PooledMailerTest, ConnectionLostInsteadOfAReplyIsTriedAgainOverANewOneOnly) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "MAIL" || command.mails == 0) return std::nullopt;
    return "";
  };
  ASSERT_TRUE(Send());
  EXPECT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.messages()["Subject: hello"], 2);

  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "MAIL") return std::nullopt;
    return "";
  };
  EXPECT_FALSE(Send());
  EXPECT_EQ(server_.connections(), 3) << "the used one, and one new one";
}

TEST_F(PooledMailerTest, WhoMayNotOpenANewOneWaitsForAnotherThatIsOpen) {
  server_.Hold("DATA");
  const auto one = Start();
  const auto other = Start();
  RunUntilHeld(2);
  server_.Go();
  ASSERT_TRUE(Finish(one));
  ASSERT_TRUE(Finish(other));
  ASSERT_EQ(server_.open(), 2);

  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  bool refused = false;
  server_.rules().answer = [&refused](const MailServer::Command& command) -> Reply {
    if (command.verb == "greeting") return "421 4.7.0 too many connections\r\n";
    if (command.verb != "MAIL" || std::exchange(refused, true)) return std::nullopt;
    return "421 4.4.2 idle for too long\r\n";
  };
  const auto waits = Start();
  RunUntil([&] { return server_.connections() == 3 && mailer_.pool_stats().waiting == 1; });
  server_.Go();
  EXPECT_TRUE(Finish(busy));
  const Sent sent = Finish(waits);
  EXPECT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.connections(), 3);
}

TEST_F(PooledMailerTest, SecondConnectionThatIsStaleTooIsPassedOver) {
  server_.Hold("DATA");
  const std::vector started = {Start(), Start(), Start()};
  RunUntilHeld(3);
  server_.Go();
  for (const auto& one : started) ASSERT_TRUE(Finish(one));
  ASSERT_EQ(mailer_.pool_stats().idle, 3);

  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  int stale = 0;
  server_.rules().answer = [&stale](const MailServer::Command& command) -> Reply {
    if (command.verb == "greeting") return "421 4.7.0 too many connections\r\n";
    if (command.verb != "MAIL" || ++stale > 2) return std::nullopt;
    return "";
  };
  const auto waits = Start();
  RunUntil([&] { return stale == 2 && mailer_.pool_stats().waiting == 1; });
  server_.Go();
  EXPECT_TRUE(Finish(busy));
  const Sent sent = Finish(waits);
  EXPECT_TRUE(sent) << sent.error().detail;
}

TEST_F(PooledMailerTest, UnansweredConnectionBesideAnotherGivesWayToIt) {
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  // Of its 300 seconds for a greeting the second leaves nearly all.
  server_.Hold("greeting");
  const auto waits = Start();
  RunUntil([&] { return mailer_.pool_stats().waiting == 1; });
  EXPECT_EQ(server_.connections(), 2);
  server_.Go();
  EXPECT_TRUE(Finish(busy));
  const Sent sent = Finish(waits);
  EXPECT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.Count("MAIL"), 2);
}

TEST_F(PooledMailerTest, WhoWasTurnedAwayAndHasNoOtherTurnIsToldOfThat) {
  server_.rules().max_open = 1;
  server_.Hold("DATA");
  const auto busy = Start();
  RunUntilHeld(1);
  const Sent sent = SendSoon();
  ASSERT_FALSE(sent);
  ASSERT_TRUE(sent.error().reply) << sent.error().detail;
  EXPECT_EQ(sent.error().reply->code, 421);
  server_.Go();
  EXPECT_TRUE(Finish(busy));
}

TEST_F(PooledMailerTest, RetryOverANewConnectionIsNotPassedByThoseWhoWait) {
  account_.limits.max_connections = 1;
  server_.Hold("DATA");
  const auto first = Start();
  RunUntilHeld(1);
  bool refused = false;
  server_.rules().answer = [&refused](const MailServer::Command& command) -> Reply {
    if (command.verb != "MAIL" || command.mails == 0 || std::exchange(refused, true)) {
      return std::nullopt;
    }
    return "421 4.4.2 idle for too long\r\n";
  };
  std::vector<std::shared_ptr<testing::Running<Sent>>> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(Start({.settings = account_, .subject = std::to_string(i)}));
  }
  RunUntilWaiting(5);
  server_.Go();
  EXPECT_TRUE(Finish(first));
  EXPECT_TRUE(Finish(waiting[0]));
  EXPECT_LE(server_.messages().size(), 3u) << "few went before the one that was tried again";
  for (size_t i = 1; i < waiting.size(); ++i) EXPECT_TRUE(Finish(waiting[i]));
}

TEST_F(PooledMailerTest, OfDifferentLimitsTheTightestHold) {
  SendCase limited{account_};
  limited.settings.limits.max_mails_per_second = 0.001;
  ASSERT_TRUE(Send(limited));
  const Sent sent = SendSoon();
  ASSERT_FALSE(sent) << "though this one has no limit";
  EXPECT_EQ(sent.error().cause, base::Cause::kHeldBack);
}

TEST_F(PooledMailerTest, LossAfterTheEndOfTheMessageIsUncertainAndNotTriedAgain) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "." || command.mails == 0) return std::nullopt;
    return "";
  };
  ASSERT_TRUE(Send());
  const Sent sent = Send();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().error_class, base::ErrorClass::kUncertain);
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(PooledMailerTest, ServerThatClosesAfterSomeMessagesLosesNone) {
  server_.rules().max_mails = 7;
  for (int i = 0; i < 200; ++i) {
    const Sent sent = Send({.settings = account_, .subject = std::to_string(i)});
    ASSERT_TRUE(sent) << i << ": " << sent.error().detail;
  }
  const auto messages = server_.messages();
  EXPECT_EQ(messages.size(), 200u);
  for (const auto& [subject, count] : messages) EXPECT_EQ(count, 1) << subject;
  EXPECT_EQ(server_.connections(), 29);
}

// Limits of a connection.

TEST_F(PooledMailerTest, ConnectionIsLeftWithQuitAfterItsMails) {
  account_.limits.max_mails_per_connection = 2;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Send());
  RunUntilOpen(1);
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.Count("QUIT"), 1);
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kMails), 1u);
}

TEST_F(PooledMailerTest, LimitThatTheServerTellsIsKept) {
  server_.rules().extensions = {"PIPELINING", "LIMITS MAILMAX=3"};
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(PooledMailerTest, IdleConnectionIsLeftWithQuitInTime) {
  account_.limits.max_idle = std::chrono::seconds(1);
  ASSERT_TRUE(Send());
  RunUntilOpen(0);
  EXPECT_EQ(server_.Count("QUIT"), 1);
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kIdle), 1u);
  EXPECT_EQ(mailer_.pool_stats().idle, 0);
}

TEST_F(PooledMailerTest, ConnectionIsLeftWhenItIsTooOld) {
  account_.limits.max_age = std::chrono::seconds(0);
  ASSERT_TRUE(Send());
  RunUntilOpen(0);
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kAge), 1u);
}

// Connections of one's own.

TEST_F(PooledMailerTest, OwnConnectionIsNeitherTakenFromNorLeftToOthers) {
  SendCase own{account_};
  own.options.own_connection = true;
  ASSERT_TRUE(Send(own));
  RunUntilOpen(0);
  EXPECT_EQ(server_.Count("QUIT"), 1);
  EXPECT_EQ(mailer_.pool_stats().idle, 0);
  ASSERT_TRUE(Send());
  ASSERT_TRUE(Send(own));
  EXPECT_EQ(mailer_.pool_stats().idle, 1) << "the one in the middle";
  EXPECT_EQ(server_.connections(), 3);
  EXPECT_EQ(server_.Count("AUTH"), 3);
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kBroken), 0u);
}

TEST_F(PooledMailerTest, CheckNeitherUsesNorLeavesASharedConnection) {
  ASSERT_TRUE(Send());
  auto check = [&]() -> boost::asio::awaitable<Sent> {
    Outcomes outcomes;
    co_return co_await mailer_.Check(account_, std::nullopt, base::Deadline::Never(), outcomes);
  };
  ASSERT_TRUE(Await<Sent>(check));
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(mailer_.pool_stats().idle, 1);
  ASSERT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(PooledMailerTest, IdleConnectionMakesRoomForOneOfItsOwnBeforeItOpens) {
  account_.limits.max_connections = 1;
  server_.rules().max_open = 1;
  ASSERT_TRUE(Send());
  SendCase own{account_};
  own.options.own_connection = true;
  const Sent sent = Send(own);
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.most_open(), 1);
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kEvicted), 1u);
}

TEST_F(PooledMailerTest, OneOfItsOwnThatIsTurnedAwayComesOnceAnotherHasMadeRoom) {
  server_.rules().max_open = 1;
  ASSERT_TRUE(Send());
  SendCase own{account_};
  own.options.own_connection = true;
  const Sent sent = Send(own);
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.connections(), 3) << "one was turned away";
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kEvicted), 1u);
}

// Accounts.

TEST_F(PooledMailerTest, OfTooManyAccountsThoseThatOweNothingAreForgotten) {
  account_.limits.max_mails_per_second = 0.001;
  account_.limits.max_mails_per_connection = 1;
  ASSERT_TRUE(Send());
  RunUntilOpen(0);
  SendCase other{account_};
  other.settings.limits.max_mails_per_second = 0;
  other.deadline = base::Deadline::After(milliseconds(-1));
  for (size_t i = 0; i < Pool::kMaxAccounts + 100; ++i) {
    other.settings.tenant = std::to_string(i);
    ASSERT_FALSE(Send(other));
  }
  EXPECT_LE(mailer_.pool_stats().accounts, static_cast<int>(Pool::kMaxAccounts));
  const Sent sent = SendSoon();
  ASSERT_FALSE(sent) << "the first still owes the rest of its interval";
  EXPECT_EQ(sent.error().cause, base::Cause::kHeldBack);
}

// The end.

TEST_F(PooledMailerTest, CloseIdleSaysQuitAndLaterSendsCloseAfterwards) {
  ASSERT_TRUE(Send());
  mailer_.CloseIdle();
  RunUntilOpen(0);
  EXPECT_EQ(server_.Count("QUIT"), 1);
  ASSERT_TRUE(Send());
  RunUntilOpen(0);
  EXPECT_EQ(server_.Count("QUIT"), 2);
  EXPECT_EQ(mailer_.pool_stats().idle, 0);
  EXPECT_EQ(Ended(mailer_, ConnectionEnd::kStop), 2u);
}

TEST_F(PooledMailerTest, SilentServerIsLeftThoughItNeverAnswersQuit) {
  account_.timeouts.quit = milliseconds(50);
  ASSERT_TRUE(Send());
  server_.Hold("QUIT");
  mailer_.CloseIdle();
  RunUntilHeld(1);
  ASSERT_TRUE(Send());
  RunUntilHeld(2);
  server_.Go();
  RunUntilOpen(0);
}

}  // namespace
}  // namespace sendstep::net
