// Many sends at once, from several threads; meant for ThreadSanitizer too.
#include "tests/unit/transport/net/pool_test.h"

namespace sendstep::net {
namespace {

using base::Cause;
using base::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::MailServer;
using testing::Sent;
using PoolCrowdTest = testing::PoolCrowdTest;
using Reply = std::optional<std::string>;

TEST_F(PoolCrowdTest, MaxConnectionsHoldUnderAHundredSends) {
  account_.limits.max_connections = 5;
  ExpectSent(Finish(StartMany(100)));
  EXPECT_LE(server_.most_open(), 5);
  const PoolStats stats = mailer_.pool_stats();
  EXPECT_EQ(stats.busy + stats.connecting + stats.waiting, 0);
  EXPECT_EQ(stats.opened + stats.reused, 100u);
}

TEST_F(PoolCrowdTest, ConnectionsThatSendFewMailsAreReplacedWithoutPassingTheLimit) {
  account_.limits.max_connections = 3;
  account_.limits.max_mails_per_connection = 4;
  ExpectSent(Finish(StartMany(100)));
  EXPECT_LE(server_.most_open(), 3);
  EXPECT_GE(server_.connections(), 25);
}

TEST_F(PoolCrowdTest, OneConnectionIsEnoughWhereTheServerRefusesMoreAtTheGreeting) {
  server_.rules().max_open = 1;
  ExpectSent(Finish(StartMany(50)));
}

TEST_F(PoolCrowdTest, OneConnectionIsEnoughWhereTheServerClosesOthersWithoutAWord) {
  server_.rules().max_open = 1;
  server_.rules().turns_away = "";
  ExpectSent(Finish(StartMany(50)));
}

TEST_F(PoolCrowdTest, TheOneConnectionAllowedIsReplacedWhenItHasSentItsMails) {
  server_.rules().max_open = 1;
  account_.limits.max_mails_per_connection = 5;
  ExpectSent(Finish(StartMany(50)));
  EXPECT_GE(server_.connections(), 10);
}

TEST_F(PoolCrowdTest, ServerThatClosesAfterSomeMessagesLosesNone) {
  server_.rules().max_mails = 5;
  account_.limits.max_connections = 4;
  ExpectSent(Finish(StartMany(200)));
}

TEST_F(PoolCrowdTest, WrongPasswordIsTriedOnceForAllWhoWait) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "AUTH") return std::nullopt;
    return "535 5.7.8 wrong password\r\n";
  };
  server_.Hold("AUTH");
  auto running = StartMany(50);
  ASSERT_TRUE(Eventually([&] { return mailer_.pool_stats().waiting == 49; }));
  server_.Go();
  for (const Sent& sent : Finish(std::move(running))) {
    ASSERT_FALSE(sent);
    ASSERT_TRUE(sent.error().reply);
    EXPECT_EQ(sent.error().reply->code, 535);
  }
  EXPECT_EQ(server_.Count("AUTH"), 1);
}

TEST_F(PoolCrowdTest, ServerThatComesBackMeetsNoCrowd) {
  server_.Hold("greeting");
  auto running = StartMany(60);
  ASSERT_TRUE(Eventually([&] { return mailer_.pool_stats().waiting == 59; }));
  ASSERT_TRUE(Eventually([&] { return server_.held() == 1; }));
  EXPECT_EQ(server_.connections(), 1);
  server_.Go();
  ExpectSent(Finish(std::move(running)));
  EXPECT_LE(server_.most_open(), account_.limits.max_connections);
}

TEST_F(PoolCrowdTest, DeadlinesEndTheWaitOfManyAtOnce) {
  account_.limits.max_connections = 2;
  server_.Hold("DATA");
  auto running = StartMany(2);
  ASSERT_TRUE(Eventually([&] { return server_.held() == 2; }));
  for (const Sent& sent : Finish(StartMany(60, Deadline::After(milliseconds(100))))) {
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().cause, Cause::kHeldBack);
    EXPECT_GE(sent.error().retry_after, seconds(1));
  }
  server_.Go();
  for (const Sent& sent : Finish(std::move(running))) EXPECT_TRUE(sent);
  EXPECT_EQ(mailer_.pool_stats().held_back, 60u);
}

TEST_F(PoolCrowdTest, AccountsBesideEachOther) {
  std::vector<std::future<Sent>> running;
  for (int round = 0; round < 10; ++round) {
    for (int account = 0; account < 8; ++account) {
      testing::SendCase one{account_};
      one.settings.tenant = std::to_string(account);
      one.settings.limits.max_connections = 2;
      one.subject = std::to_string(account) + "/" + std::to_string(round);
      running.push_back(Start(one));
    }
  }
  ExpectSent(Finish(std::move(running)));
  EXPECT_LE(server_.most_open(), 16);
  EXPECT_EQ(mailer_.pool_stats().accounts, 8);
}

TEST_F(PoolCrowdTest, AbandonUnderLoadEndsAll) {
  account_.limits.max_connections = 4;
  server_.Hold("MAIL");
  auto running = StartMany(80);
  ASSERT_TRUE(Eventually([&] { return server_.held() > 0 && mailer_.pool_stats().waiting > 60; }));
  mailer_.Abandon();
  for (const Sent& sent : Finish(std::move(running))) {
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().cause, Cause::kStopped);
  }
  const PoolStats stats = mailer_.pool_stats();
  EXPECT_EQ(stats.waiting + stats.connecting + stats.busy, 0);
  server_.Go();
}

TEST_F(PoolCrowdTest, CloseIdleUnderLoadLosesNothing) {
  account_.limits.max_connections = 4;
  auto running = StartMany(100);
  ASSERT_TRUE(Eventually([&] { return server_.messages().size() > 10; }));
  mailer_.CloseIdle();
  ExpectSent(Finish(std::move(running)));
  EXPECT_TRUE(Eventually([&] { return server_.open() == 0; }));
  EXPECT_EQ(mailer_.pool_stats().idle, 0);
}

TEST_F(PoolCrowdTest, NothingIsSentTwiceOrForgottenWhereTheServerBreaksConnections) {
  account_.limits.max_connections = 6;
  auto running = StartMany(150);
  for (size_t i = 1; i <= 5; ++i) {
    const auto over = [&] { return mailer_.pool_stats().busy + mailer_.pool_stats().waiting == 0; };
    ASSERT_TRUE(Eventually([&] { return server_.messages().size() > 20 * i || over(); }));
    server_.CloseAll("");
  }
  const std::vector<Sent> all = Finish(std::move(running));
  auto messages = server_.messages();
  int sent = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const int delivered = messages["Subject: " + std::to_string(i + 1)];
    if (all[i]) {
      ++sent;
      EXPECT_EQ(delivered, 1) << i;
      continue;
    }
    EXPECT_EQ(all[i].error().cause, Cause::kConnectionLost) << all[i].error().detail;
    EXPECT_LE(delivered, all[i].error().error_class == base::ErrorClass::kUncertain ? 1 : 0) << i;
  }
  EXPECT_GE(sent, 100);
  const PoolStats stats = mailer_.pool_stats();
  EXPECT_EQ(stats.waiting + stats.connecting + stats.busy, 0);
}

}  // namespace
}  // namespace sendstep::net
