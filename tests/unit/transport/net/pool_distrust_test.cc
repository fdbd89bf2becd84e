// Servers that offer what they do not know: what a send does then, and what the next ones know.
#include "tests/unit/transport/net/pool_test.h"
#include "transport/smtp/gate.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using base::Cause;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::MailServer;
using ::testing::Not;
using testing::SendCase;
using testing::Sent;
using Reply = std::optional<std::string>;

class CountingGate : public smtp::Gate {
 public:
  asio::awaitable<bool> Pass(std::span<const size_t>) override {
    ++asked;
    co_return true;
  }
  int asked = 0;
};

class PoolDistrustTest : public testing::PoolTest {
 protected:
  // `verb` is answered with `reply`, the others as usual.
  void Answer(std::string verb, std::string reply) {
    server_.rules().answer = [verb, reply](const MailServer::Command& command) -> Reply {
      if (command.verb != verb) return std::nullopt;
      return reply;
    };
  }
  void OfferChunking() {
    server_.rules().extensions = {"PIPELINING", "CHUNKING"};
    account_.swallows_refused_chunk = true;
  }
  Sent SendThrough(CountingGate& gate) {
    SendCase one{account_};
    one.options.gate = &gate;
    return Send(one);
  }
};

struct Refusal {
  const char* code;
  bool swallows;
};

class PoolChunkTest : public PoolDistrustTest, public ::testing::WithParamInterface<Refusal> {};

TEST_P(PoolChunkTest, RefusedThoughOfferedIsSentByDataOverANewConnectionAndRemembered) {
  OfferChunking();
  server_.rules().swallows_refused_chunk = GetParam().swallows;
  Answer("BDAT", std::string(GetParam().code) + " 5.5.1 command not known\r\n");
  CountingGate gate;
  const Sent sent = SendThrough(gate);
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(gate.asked, 1);
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.Count("BDAT"), 1);
  EXPECT_THAT(server_.commands(), Contains("2 DATA"));
  EXPECT_EQ(mailer_.pool_stats().idle, 1) << "the one whose chunk was refused is not kept";
  ASSERT_TRUE(Send());
  EXPECT_EQ(server_.Count("BDAT"), 1);
  EXPECT_EQ(server_.messages()["Subject: hello"], 2);
  EXPECT_EQ(server_.connections(), 2);
}

INSTANTIATE_TEST_SUITE_P(Replies, PoolChunkTest,
                         ::testing::Values(Refusal{"500", true}, Refusal{"502", true},
                                           Refusal{"500", false}, Refusal{"502", false}),
                         [](const auto& tested) {
                           return std::string(tested.param.code) +
                                  (tested.param.swallows ? "Swallowed" : "TakenForCommands");
                         });

TEST_F(PoolDistrustTest, ChunkAfterRefusedRecipientsMayBeABadSequence) {
  OfferChunking();
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb == "RCPT") return "550 5.1.1 no such user\r\n";
    if (command.verb == "BDAT") return "503 5.5.1 RCPT first\r\n";
    return std::nullopt;
  };
  const Sent sent = Send();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().reply->code, 550);
  EXPECT_EQ(server_.connections(), 1);
  server_.rules().answer = nullptr;
  ASSERT_TRUE(Send());
  EXPECT_EQ(server_.Count("DATA"), 0) << "nothing was learned of it";
}

TEST_F(PoolDistrustTest, OtherRefusalsOfAChunkTeachNothing) {
  OfferChunking();
  Answer("BDAT", "554 5.7.1 spam\r\n");
  const Sent sent = Send();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().reply->code, 554);
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(PoolDistrustTest, BadSequenceAfterAGoodMailEndsPipelining) {
  int together = 0;
  server_.rules().answer = [&together](const MailServer::Command& command) -> Reply {
    if (command.verb != "RCPT" || command.connection > 1) return std::nullopt;
    ++together;
    return "503 5.5.1 MAIL first\r\n";
  };
  const Sent sent = Send();
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(together, 1);
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(server_.messages()["Subject: hello"], 1);
}

TEST_F(PoolDistrustTest, ReplyAboutPipeliningEndsIt) {
  Answer("DATA", "554 5.5.0 Error: improper command pipelining\r\n");
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "DATA" || command.connection > 1) return std::nullopt;
    return "554 5.5.0 Error: improper command pipelining\r\n";
  };
  const Sent sent = Send();
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.connections(), 2);
}

TEST_F(PoolDistrustTest, CloseAfterTheFirstOfSeveralRepliesEndsPipelining) {
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "RCPT" || command.connection > 1) return std::nullopt;
    return "";
  };
  const Sent sent = Send();
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(server_.connections(), 2);
}

// A server that takes one command at a time: what else comes with it is lost.
class OneAtATime {
 public:
  explicit OneAtATime(const asio::any_io_executor& executor)
      : server_(executor, [this](testing::Peer& peer) { return Serve(peer); }) {}

  uint16_t port() const { return server_.port(); }
  int connections() const { return server_.connections(); }
  int taken() const { return taken_; }

 private:
  asio::awaitable<void> Serve(testing::Peer& peer) {
    co_await peer.Write("220 mx.example ESMTP\r\n");
    for (;;) {
      const std::string bytes = co_await peer.ReadSome();
      const std::string verb = bytes.substr(0, 4);
      const bool several = bytes.find("\r\n") + 2 < bytes.size();
      if (in_data_) {
        in_data_ = false;
        ++taken_;
        co_await peer.Write("250 2.0.0 queued\r\n");
      } else if (verb == "EHLO") {
        co_await peer.Write("250-mx.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n");
      } else if (several) {
        co_await peer.Write("250 2.1.0 ok\r\n503 5.5.1 one at a time\r\n503 5.5.1 so it is\r\n");
      } else if (verb == "DATA") {
        in_data_ = true;
        co_await peer.Write("354 go on\r\n");
      } else {
        co_await peer.Write(verb == "AUTH" ? "235 2.7.0 ok\r\n" : "250 2.0.0 ok\r\n");
      }
    }
  }

  bool in_data_ = false;
  int taken_ = 0;
  testing::LoopbackServer server_;
};

TEST_F(PoolDistrustTest, ServerThatLeavesWithoutAWordIsToldTheMessageApartFromThenOn) {
  OfferChunking();
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb != "MAIL" || command.mails == 0) return std::nullopt;
    return "";
  };
  ASSERT_TRUE(Send());
  const Sent lost = Send();
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().error_class, base::ErrorClass::kUncertain);
  for (int i = 0; i < 3; ++i) {
    const Sent sent = Send();
    EXPECT_TRUE(sent) << sent.error().detail;
  }
  EXPECT_EQ(server_.messages()["Subject: hello"], 4);
}

TEST_F(PoolDistrustTest, WithoutPipeliningCommandsGoOneByOneFromThenOn) {
  OneAtATime server(context_.get_executor());
  const smtp::SmtpSettings settings = testing::AccountAt(server.port());
  for (int i = 0; i < 3; ++i) {
    const Sent sent = Send({.settings = settings});
    ASSERT_TRUE(sent) << i << ": " << sent.error().detail;
  }
  EXPECT_EQ(server.taken(), 3);
  EXPECT_EQ(server.connections(), 2) << "it is tried once";
  mailer_.CloseIdle();
  RunUntil([&] { return mailer_.pool_stats().idle == 0; });
}

TEST_F(PoolDistrustTest, ServerThatKnowsNeitherIsFoundOutInOneSend) {
  OfferChunking();
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    if (command.verb == "BDAT") return "502 5.5.1 command not known\r\n";
    if (command.verb == "DATA" && command.connection == 2) {
      return "554 5.5.0 improper command pipelining\r\n";
    }
    return std::nullopt;
  };
  CountingGate gate;
  const Sent sent = SendThrough(gate);
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_EQ(gate.asked, 1);
  EXPECT_EQ(server_.connections(), 3);
  EXPECT_EQ(server_.messages()["Subject: hello"], 1);
}

TEST_F(PoolDistrustTest, DistrustIsTheAccountsOwn) {
  OfferChunking();
  Answer("BDAT", "502 5.5.1 command not known\r\n");
  ASSERT_TRUE(Send());
  account_.tenant = "other";
  ASSERT_TRUE(Send());
  EXPECT_EQ(server_.Count("BDAT"), 2);
}

TEST_F(PoolDistrustTest, OwnConnectionIsTriedAgainOverAnotherOfItsOwn) {
  OfferChunking();
  Answer("BDAT", "502 5.5.1 command not known\r\n");
  SendCase own{account_};
  own.options.own_connection = true;
  ASSERT_TRUE(Send(own));
  RunUntilOpen(0);
  EXPECT_EQ(server_.connections(), 2);
  EXPECT_EQ(mailer_.pool_stats().idle, 0);
}

TEST_F(PoolDistrustTest, GateIsNotPassedAgainForOthersThanBefore) {
  OfferChunking();
  Answer("BDAT", "502 5.5.1 command not known\r\n");
  server_.rules().answer = [](const MailServer::Command& command) -> Reply {
    const bool bob = command.line.find("bob") != std::string::npos;
    if (command.verb == "RCPT" && bob && command.connection == 1) return "451 4.2.1 later\r\n";
    if (command.verb == "BDAT") return "502 5.5.1 command not known\r\n";
    return std::nullopt;
  };
  // Not in one flight, so that the gate is told who was accepted.
  server_.rules().extensions = {"CHUNKING"};
  CountingGate gate;
  SendCase two{account_};
  two.recipients = {"ada@example.org", "bob@example.org"};
  two.options.gate = &gate;
  const Sent sent = Send(two);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().reply->code, 502) << "the first failure";
  EXPECT_EQ(gate.asked, 1);
  EXPECT_TRUE(server_.messages().empty());
}

}  // namespace
}  // namespace sendstep::net
