// Whole sends: resolver, connection, TLS and SMTP against a server in process.
#include "transport/net/mailer.h"

#include <gmock/gmock.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>
#include <vector>

#include "tests/support/loopback_server.h"
#include "tests/unit/transport/net/coroutine_test.h"
#include "transport/smtp/gate.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using base::Cause;
using base::Deadline;
using base::Result;
using base::Stage;
using smtp::DeliveryReport;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Identity;
using ::testing::IsEmpty;
using testing::LoopbackServer;
using testing::Peer;
using testing::TestCa;
using Sent = Result<DeliveryReport>;
using Checked = Result<smtp::DeliveryReport>;

const TestCa& Ca() {
  static const TestCa& ca = *new TestCa;
  return ca;
}

// Answers with what it was given.
class FixedResolver : public dns::Resolver {
 public:
  asio::awaitable<Result<std::vector<asio::ip::address>>> Resolve(const std::string&,
                                                                  Deadline) override {
    ++calls;
    if (hang) {
      asio::steady_timer never(co_await asio::this_coro::executor,
                               asio::steady_timer::time_point::max());
      co_await never.async_wait(asio::as_tuple(asio::use_awaitable));
      co_return base::Failed(Stage::kDns, Cause::kCancelled, base::ErrorClass::kTransient);
    }
    co_return answer;
  }
  Result<std::vector<asio::ip::address>> answer =
      std::vector<asio::ip::address>{asio::ip::address_v4::loopback()};
  bool hang = false;  // until cancelled
  int calls = 0;
};

// Writes down stages, details and the outcome.
class Recorder : public smtp::Observer {
 public:
  void StageStarted(Stage stage) override { stages.emplace_back(base::StageName(stage)); }
  void StageDetail(std::string_view detail) override { details.emplace_back(detail); }
  void Finished() override { outcomes.emplace_back("finished"); }
  void Failed(const base::Error& error) override {
    outcomes.push_back("failed in " + std::string(base::StageName(error.stage)));
  }
  void TlsEstablished(const smtp::TlsInfo& info) override { tls = info.version; }

  std::vector<std::string> stages, details, outcomes;
  std::string tls;
};

// What an SmtpServer does, and what it saw.
struct Script {
  bool implicit_tls = false;
  bool offer_starttls = true;
  Identity identity;
  // Falls silent for good instead of answering this: "greeting", "EHLO", "STARTTLS", "AUTH",
  // "MAIL", "RCPT", "DATA", ".", "QUIT".
  std::string silent_at;
  // Waits for it before the reply to the end of data.
  asio::steady_timer* hold_final_reply = nullptr;
  bool close_after_final_reply = false;

  std::vector<std::string> commands;  // first words
  std::string message;
  bool silent = false;
  bool end_of_data = false;
  bool over = false;  // the connection
};

class SmtpServer {
 public:
  SmtpServer(Peer& peer, Script& script) : peer_(peer), script_(script) {}
  ~SmtpServer() { script_.over = true; }

  asio::awaitable<void> Run() {
    if (script_.implicit_tls) co_await peer_.StartTls(script_.identity);
    co_await Answer("greeting", "220 mx.example ESMTP\r\n");
    for (;;) {
      const std::string line = co_await peer_.ReadLine();
      const std::string verb = line.substr(0, line.find(' '));
      script_.commands.push_back(verb);
      if (verb == "EHLO") {
        const char* starttls = script_.offer_starttls ? "250-STARTTLS\r\n" : "";
        co_await Answer(verb, std::string("250-mx.example\r\n") + starttls +
                                  "250-PIPELINING\r\n250 AUTH PLAIN\r\n");
      } else if (verb == "STARTTLS") {
        co_await Answer(verb, "220 go ahead\r\n");
        script_.offer_starttls = false;
        co_await peer_.StartTls(script_.identity);
      } else if (verb == "AUTH") {
        co_await Answer(verb, "235 2.7.0 welcome\r\n");
      } else if (verb == "DATA") {
        co_await Answer(verb, "354 go on\r\n");
        if (co_await TakeMessage()) co_return;
      } else if (verb == "QUIT") {
        co_await Answer(verb, "221 bye\r\n");
        co_return;
      } else {
        co_await Answer(verb, "250 2.0.0 ok\r\n");
      }
    }
  }

 private:
  asio::awaitable<void> Answer(std::string at, std::string reply) {
    if (script_.silent_at == at) {
      script_.silent = true;
      co_await peer_.ReadAll();
      throw boost::system::system_error(asio::error::eof);
    }
    co_await peer_.Write(reply);
  }

  // True when the connection is over.
  asio::awaitable<bool> TakeMessage() {
    std::string line;
    for (;;) {
      line = co_await peer_.ReadLine();
      if (line == ".") break;
      script_.message += line + "\r\n";
    }
    script_.end_of_data = true;
    if (script_.hold_final_reply) {
      boost::system::error_code ec;
      auto token = asio::redirect_error(asio::use_awaitable, ec);
      co_await script_.hold_final_reply->async_wait(token);
    }
    co_await Answer(".", "250 2.0.0 queued as 4711\r\n");
    co_return script_.close_after_final_reply;
  }

  Peer& peer_;
  Script& script_;
};

smtp::Envelope ToAda() {
  smtp::Envelope envelope;
  envelope.sender = *base::ParseAddress("me@example.com");
  envelope.recipients = {*base::ParseAddress("ada@example.org")};
  return envelope;
}

const char kMessage[] = "Subject: hello\r\n\r\nHello.\r\n";
const base::Content kContent(kMessage);

smtp::SmtpSettings Settings(uint16_t port) {
  smtp::SmtpSettings settings;
  settings.host = "mx.example";
  settings.port = port;
  settings.ehlo_name = "client.example";
  settings.tls.ca_pem = Ca().certificate_pem();
  settings.timeouts.quit = milliseconds(50);
  smtp::Credentials credentials;
  credentials.username = "me";
  credentials.password = base::Secret("open sesame");
  settings.credentials = credentials;
  return settings;
}

Identity ServerIdentity(const std::string& name = "mx.example") {
  testing::LeafOptions options;
  options.names = {name};
  return Ca().Issue(options);
}

class MailerTest : public testing::CoroutineTest {
 protected:
  MailerTest() : mailer_(context_.get_executor(), resolver_) {
    options_.own_connection = true;
    script_.identity = ServerIdentity();
    auto serve = [this](Peer& peer) -> asio::awaitable<void> {
      SmtpServer server(peer, script_);
      co_await server.Run();
    };
    server_.emplace(context_.get_executor(), serve);
    settings_ = Settings(server_->port());
  }

  std::shared_ptr<testing::Running<Sent>> StartSend(Deadline deadline = Deadline::Never()) {
    auto body = [this, deadline]() -> asio::awaitable<Sent> {
      co_return co_await mailer_.Send(settings_, envelope_, kContent, options_, deadline,
                                      observer_);
    };
    return Start<Sent>(body);
  }

  Sent Send(Deadline deadline = Deadline::Never()) { return Finish(StartSend(deadline)); }

  Checked Check(const std::optional<smtp::Envelope>& envelope) {
    auto body = [&]() -> asio::awaitable<Checked> {
      co_return co_await mailer_.Check(settings_, envelope, Deadline::Never(), observer_);
    };
    return Await<Checked>(body);
  }

  FixedResolver resolver_;
  Mailer mailer_;
  Recorder observer_;
  Script script_;
  std::optional<LoopbackServer> server_;
  smtp::SmtpSettings settings_;
  smtp::SendOptions options_;
  const smtp::Envelope envelope_ = ToAda();
};

TEST_F(MailerTest, SendsThroughStartTls) {
  Sent report = Send();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(report->final_reply.Text(), "queued as 4711");
  EXPECT_EQ(script_.message, kMessage);
  EXPECT_THAT(script_.commands,
              ElementsAre("EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"));
  EXPECT_THAT(observer_.stages, ElementsAre("dns", "tcp", "ehlo", "tls", "ehlo", "auth",
                                            "mail_from", "rcpt_to", "data"));
  EXPECT_THAT(observer_.outcomes, ElementsAre("finished"));
  ASSERT_GE(observer_.details.size(), 2u);
  EXPECT_EQ(observer_.details[0], "127.0.0.1");
  EXPECT_EQ(observer_.details[1], "127.0.0.1:" + std::to_string(server_->port()));
  EXPECT_EQ(observer_.tls, "TLSv1.3");
}

TEST_F(MailerTest, SendsThroughImplicitTls) {
  script_.implicit_tls = true;
  script_.offer_starttls = false;
  settings_.tls.policy = smtp::TlsPolicy::kImplicit;
  Sent report = Send();
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_EQ(script_.message, kMessage);
  EXPECT_THAT(observer_.stages,
              ElementsAre("dns", "tcp", "tls", "ehlo", "auth", "mail_from", "rcpt_to", "data"));
}

TEST_F(MailerTest, SendsInClearWithoutCredentials) {
  settings_.tls.policy = smtp::TlsPolicy::kNone;
  settings_.credentials.reset();
  EXPECT_TRUE(Send());
  EXPECT_EQ(script_.message, kMessage);
}

TEST_F(MailerTest, CredentialsInClearAreRefusedBeforeAnyPacket) {
  settings_.tls.policy = smtp::TlsPolicy::kNone;
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kPlaintextCredentials);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kPermanent);
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in auth"));
  EXPECT_EQ(resolver_.calls, 0);
  context_.restart();
  context_.poll();
  EXPECT_EQ(server_->connections(), 0);
}

TEST_F(MailerTest, UnknownHostFailsInDns) {
  resolver_.answer = base::Failed(Stage::kDns, Cause::kHostNotFound, base::ErrorClass::kPermanent);
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kHostNotFound);
  EXPECT_THAT(observer_.stages, ElementsAre("dns"));
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in dns"));
}

TEST_F(MailerTest, ClosedPortFailsInTcp) {
  server_.reset();
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kConnectionRefused);
  EXPECT_THAT(report.error().detail, HasSubstr("connection refused"));
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in tcp"));
}

TEST_F(MailerTest, NextAddressIsTriedWhenOneRefuses) {
  resolver_.answer = std::vector<asio::ip::address>{asio::ip::make_address("127.0.0.2"),
                                                    asio::ip::make_address("127.0.0.1")};
  EXPECT_TRUE(Send());
  EXPECT_EQ(observer_.details[0], "127.0.0.2, 127.0.0.1");
  EXPECT_EQ(observer_.details[1], "127.0.0.1:" + std::to_string(server_->port()));
}

TEST_F(MailerTest, WrongCertificateEndsBeforeCredentials) {
  script_.identity = ServerIdentity("mail.example.org");
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().stage, Stage::kTls);
  EXPECT_EQ(report.error().cause, Cause::kCertificate);
  EXPECT_EQ(report.error().detail, "certificate is for mail.example.org, not mx.example");
  EXPECT_THAT(script_.commands, ElementsAre("EHLO", "STARTTLS"));
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in tls"));
}

TEST_F(MailerTest, TlsSpokenToAPlaintextPortIsTold) {
  settings_.tls.policy = smtp::TlsPolicy::kImplicit;
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().stage, Stage::kTls);
  EXPECT_EQ(report.error().cause, Cause::kTlsOnPlaintextPort);
}

TEST_F(MailerTest, SilentQuitNeitherChangesTheOutcomeNorHoldsItUp) {
  script_.silent_at = "QUIT";
  EXPECT_TRUE(Send()) << "the wait for it throws when the send is held up";
  EXPECT_THAT(observer_.outcomes, ElementsAre("finished"));
}

TEST_F(MailerTest, CloseAfterTheFinalReplyChangesNothing) {
  script_.close_after_final_reply = true;
  EXPECT_TRUE(Send());
  EXPECT_THAT(observer_.outcomes, ElementsAre("finished"));
}

TEST_F(MailerTest, CheckSendsNothing) {
  ASSERT_TRUE(Check(std::nullopt));
  EXPECT_THAT(script_.commands, ElementsAre("EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"));
  EXPECT_THAT(observer_.outcomes, ElementsAre("finished"));
}

TEST_F(MailerTest, CheckWithEnvelopeProbesIt) {
  const Checked report = Check(envelope_);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->recipients.size(), envelope_.recipients.size());
  EXPECT_THAT(script_.commands,
              ElementsAre("EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "RSET", "QUIT"));
}

TEST_F(MailerTest, CancelledBeforeItBeginsTouchesNothing) {
  bool waiting = false;
  asio::steady_timer gate(context_, asio::steady_timer::time_point::max());
  auto body = [&]() -> asio::awaitable<Sent> {
    co_await asio::this_coro::throw_if_cancelled(false);
    boost::system::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    waiting = true;
    co_await gate.async_wait(token);
    co_return co_await mailer_.Send(settings_, envelope_, kContent, {}, Deadline::Never(),
                                    observer_);
  };
  auto running = Start<Sent>(body);
  RunUntil([&] { return waiting; });
  running->Cancel();
  EXPECT_EQ(Finish(running).error().cause, Cause::kCancelled);
  EXPECT_EQ(resolver_.calls, 0);
  EXPECT_EQ(observer_.outcomes.size(), 1u);
}

TEST_F(MailerTest, CancellationAfterTheEndOfDataDoesNotHideTheReply) {
  asio::steady_timer hold(context_, asio::steady_timer::time_point::max());
  script_.hold_final_reply = &hold;
  bool caller_knows = false;
  auto body = [&]() -> asio::awaitable<Sent> {
    Sent report =
        co_await mailer_.Send(settings_, envelope_, kContent, {}, Deadline::Never(), observer_);
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    caller_knows = state.cancelled() != asio::cancellation_type::none;
    co_return report;
  };
  auto running = Start<Sent>(body);
  RunUntil([&] { return script_.end_of_data; });
  running->Cancel();
  context_.restart();
  context_.poll();
  EXPECT_FALSE(running->outcome);
  hold.cancel();
  Sent report = Finish(running);
  ASSERT_TRUE(report) << report.error().detail;
  EXPECT_THAT(observer_.outcomes, ElementsAre("finished"));
  EXPECT_TRUE(caller_knows) << "the caller's own cancellation state is left as it is";
}

TEST_F(MailerTest, SilenceAfterTheEndOfDataIsUncertain) {
  script_.silent_at = ".";
  settings_.timeouts.data_done = std::chrono::seconds(1);
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().stage, Stage::kData);
  EXPECT_EQ(report.error().cause, Cause::kTimeout);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kUncertain);
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in data"));
}

TEST_F(MailerTest, AbandonedAfterTheEndOfDataIsUncertain) {
  asio::steady_timer hold(context_, asio::steady_timer::time_point::max());
  script_.hold_final_reply = &hold;
  auto running = StartSend();
  RunUntil([&] { return script_.end_of_data; });
  mailer_.Abandon();
  RunUntil([&] { return running->outcome.has_value(); });
  hold.cancel();
  Sent report = Finish(running);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kStopped);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kUncertain);
}

TEST_F(MailerTest, AbandonedBeforeTheEndOfDataIsNotUncertain) {
  script_.silent_at = "greeting";
  auto running = StartSend();
  RunUntil([&] { return !observer_.stages.empty() && observer_.stages.back() == "ehlo"; });
  mailer_.Abandon();
  Sent report = Finish(running);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kStopped);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kTransient);
}

// Says what it has to say when its timer is over.
class SlowGate : public smtp::Gate {
 public:
  explicit SlowGate(asio::io_context& context, Deadline until = Deadline::Never())
      : hold(context, until.at) {}
  asio::awaitable<bool> Pass(std::span<const size_t> accepted) override {
    asked.assign(accepted.begin(), accepted.end());
    boost::system::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    co_await hold.async_wait(token);
    co_return open;
  }

  asio::steady_timer hold;
  bool open = true;
  std::vector<size_t> asked;
};

TEST_F(MailerTest, ClosedGateHoldsBackTheEnd) {
  SlowGate gate(context_);
  gate.open = false;
  options_.gate = &gate;
  auto running = StartSend();
  RunUntil([&] { return !gate.asked.empty(); });
  gate.hold.cancel();
  const Sent report = Finish(running);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kGateClosed);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kTransient);
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in data"));
  EXPECT_THAT(gate.asked, ElementsAre(0));
  RunUntil([&] { return script_.over; });
  EXPECT_EQ(script_.commands.back(), "DATA");
  EXPECT_FALSE(script_.end_of_data);
}

TEST_F(MailerTest, CancellationInTheGateDoesNotStopTheSend) {
  SlowGate gate(context_);
  options_.gate = &gate;
  auto running = StartSend();
  RunUntil([&] { return !gate.asked.empty(); });
  running->Cancel();
  context_.restart();
  context_.poll();
  EXPECT_FALSE(running->outcome);
  gate.hold.cancel();
  const Sent report = Finish(running);
  EXPECT_TRUE(report) << report.error().detail;
}

TEST_F(MailerTest, DeadlineThatPassesInTheGateDoesNotStopTheSend) {
  const Deadline deadline = Deadline::After(std::chrono::seconds(2));
  SlowGate gate(context_, deadline);
  options_.gate = &gate;
  const Sent report = Send(deadline);
  EXPECT_TRUE(report) << report.error().detail;
  EXPECT_TRUE(deadline.Passed());
  EXPECT_EQ(script_.message, kMessage);
}

TEST_F(MailerTest, AbandonedInTheGateIsNotUncertain) {
  SlowGate gate(context_);
  options_.gate = &gate;
  auto running = StartSend();
  RunUntil([&] { return !gate.asked.empty(); });
  mailer_.Abandon();
  context_.restart();
  context_.poll();
  EXPECT_FALSE(running->outcome) << "the gate is waited for";
  gate.hold.cancel();
  const Sent report = Finish(running);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kStopped);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kTransient);
  EXPECT_FALSE(script_.end_of_data);
}

TEST_F(MailerTest, AbandonedBehindTheGateIsUncertain) {
  SlowGate gate(context_, Deadline::After(milliseconds(0)));
  options_.gate = &gate;
  asio::steady_timer hold(context_, asio::steady_timer::time_point::max());
  script_.hold_final_reply = &hold;
  auto running = StartSend();
  RunUntil([&] { return script_.end_of_data; });
  mailer_.Abandon();
  const Sent report = Finish(running);
  hold.cancel();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kStopped);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kUncertain);
}

TEST_F(MailerTest, AbandonedDuringTheLookupEndsThere) {
  resolver_.hang = true;
  auto running = StartSend();
  RunUntil([&] { return resolver_.calls == 1; });
  mailer_.Abandon();
  Sent report = Finish(running);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().stage, Stage::kDns);
  EXPECT_EQ(report.error().cause, Cause::kStopped);
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in dns"));
}

TEST_F(MailerTest, CallsAfterAbandonAreRefused) {
  mailer_.Abandon();
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kStopped);
  EXPECT_EQ(resolver_.calls, 0);
}

TEST_F(MailerTest, SilentQuitHoldsNoAnswerBeyondTheDeadline) {
  script_.silent_at = "QUIT";
  settings_.timeouts.quit = std::chrono::hours(1);
  const Sent report = Send(Deadline::After(std::chrono::seconds(2)));
  EXPECT_TRUE(report) << report.error().detail;
}

TEST_F(MailerTest, DeadlineHoldsInsideTheStageLimits) {
  script_.silent_at = "greeting";
  Sent report = Send(Deadline::After(milliseconds(100)));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kTimeout);
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kTransient);
  EXPECT_EQ(observer_.outcomes.size(), 1u);
}

struct Silence {
  const char* at;
  const char* stage;
  std::chrono::seconds smtp::StageTimeouts::*limit;
};

// A server that falls silent before the end of data.
class SilentServerTest : public MailerTest, public ::testing::WithParamInterface<Silence> {};

TEST_P(SilentServerTest, CanBeCancelled) {
  script_.silent_at = GetParam().at;
  const std::string stage = GetParam().stage;
  auto running = StartSend();
  RunUntil([&] { return script_.silent && observer_.stages.back() == stage; });
  running->Cancel();
  Sent report = Finish(running);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kCancelled);
  EXPECT_NE(report.error().error_class, base::ErrorClass::kUncertain);
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in " + stage));
  EXPECT_THAT(script_.message, IsEmpty());
}

TEST_P(SilentServerTest, TimesOutInItsStage) {
  script_.silent_at = GetParam().at;
  settings_.timeouts.*GetParam().limit = std::chrono::seconds(1);
  Sent report = Send();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().cause, Cause::kTimeout) << report.error().detail;
  EXPECT_EQ(report.error().error_class, base::ErrorClass::kTransient);
  EXPECT_THAT(observer_.outcomes, ElementsAre("failed in " + std::string(GetParam().stage)));
}

using Limits = smtp::StageTimeouts;
INSTANTIATE_TEST_SUITE_P(Stages, SilentServerTest,
                         ::testing::Values(Silence{"greeting", "ehlo", &Limits::greeting},
                                           Silence{"EHLO", "ehlo", &Limits::ehlo},
                                           Silence{"STARTTLS", "tls", &Limits::tls},
                                           Silence{"AUTH", "auth", &Limits::auth},
                                           Silence{"MAIL", "mail_from", &Limits::mail},
                                           Silence{"RCPT", "rcpt_to", &Limits::rcpt},
                                           Silence{"DATA", "data", &Limits::data_start}),
                         [](const auto& tested) { return std::string(tested.param.at); });

// Calls from several threads at once; meant for ThreadSanitizer.
TEST(Mailer, SendsFromManyThreads) {
  asio::io_context server_context;
  const Identity identity = ServerIdentity();
  auto serve = [identity](Peer& peer) -> asio::awaitable<void> {
    Script script;
    script.identity = identity;
    SmtpServer server(peer, script);
    co_await server.Run();
  };
  LoopbackServer server(server_context.get_executor(), serve);
  const uint16_t port = server.port();
  auto work = asio::make_work_guard(server_context);
  std::thread server_thread([&] { server_context.run(); });

  asio::thread_pool callers(3);
  auto send = [port]() -> asio::awaitable<bool> {
    FixedResolver resolver;
    Recorder observer;
    Mailer mailer(co_await asio::this_coro::executor, resolver);
    const smtp::SmtpSettings settings = Settings(port);
    const smtp::Envelope envelope = ToAda();
    const Deadline deadline = Deadline::After(std::chrono::seconds(60));
    Sent report = co_await mailer.Send(settings, envelope, kContent, {}, deadline, observer);
    co_return report.has_value();
  };
  std::vector<std::future<bool>> sent;
  for (int i = 0; i < 40; ++i) {
    sent.push_back(asio::co_spawn(asio::make_strand(callers), send, asio::use_future));
  }
  for (std::future<bool>& one : sent) EXPECT_TRUE(one.get());
  callers.join();
  asio::post(server_context, [&] { server_context.stop(); });
  server_thread.join();
}

}  // namespace
}  // namespace sendstep::net
