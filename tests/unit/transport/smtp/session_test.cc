// What the dialog files cannot say: several transactions, windows, time limits, stray bytes.

#include "transport/smtp/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/transport/smtp/session_test.h"
#include "transport/smtp/gate.h"
#include "transport/smtp/transaction.h"

namespace sendstep::smtp {
namespace {

using base::Cause;
using base::Deadline;
using base::ErrorClass;
using base::Stage;
using testing::C;
using testing::ChunkOf;
using testing::Close;
using ::testing::HasSubstr;
using testing::kAcceptOne;
using testing::kContent;
using testing::kMessage;
using testing::kQuit;
using testing::Message;
using testing::Opening;
using testing::S;
using testing::ScriptedStream;
using testing::ScriptStep;
using testing::SessionTest;
using testing::StreamOperation;
using testing::To;
using testing::operator+;
using Kind = ScriptStep::Kind;

TEST_F(SessionTest, SendsSeveralMessagesWithoutRsetBetweenThem) {
  const Envelope envelope = To(1);
  Run(Opening() + kAcceptOne + kAcceptOne + kQuit, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_FALSE(session.usable());
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_TRUE(session.capabilities().pipelining);
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(session.usable());
      EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
    }
  });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(SessionTest, RsetLeadsTheTransactionAfterARefusal) {
  const Envelope envelope = To(1);
  const std::vector<ScriptStep> steps = Opening() +
                                        std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                                                                C("RCPT TO:<r0@example.net>"),
                                                                C("DATA"),
                                                                S("250 Ok\r\n550 No\r\n554 No\r\n"),
                                                                C("RSET"),
                                                                C("MAIL FROM:<alice@example.org>"),
                                                                C("RCPT TO:<r0@example.net>"),
                                                                C("DATA"),
                                                                S("250 Ok\r\n250 Ok\r\n250 Ok\r\n"),
                                                                S("354 Go\r\n"),
                                                                Message(),
                                                                S("250 Ok\r\n")} +
                                        kAcceptOne + kQuit;
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_FALSE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
  });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(SessionTest, ARefusedRsetEndsTheSession) {
  const Envelope envelope = To(1);
  const std::vector<ScriptStep> steps =
      Opening("") + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"), S("550 No\r\n"),
                                            C("RSET"), S("503 No\r\n")};
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_FALSE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
    EXPECT_TRUE(session.usable());
    const auto second = co_await session.Send(envelope, kContent, {}, Deadline::Never());
    EXPECT_EQ(second.error().stage, Stage::kMailFrom);
    EXPECT_EQ(second.error().reply->code, 503);
    EXPECT_FALSE(session.usable());
    const auto third = co_await session.Send(envelope, kContent, {}, Deadline::Never());
    EXPECT_EQ(third.error().cause, Cause::kConnectionLost);
  });
}

TEST_F(SessionTest, PipelinesInBoundedWindowsAndReadsEachBeforeTheNext) {
  constexpr size_t kRecipients = 250;
  const Envelope envelope = To(kRecipients);
  std::vector<ScriptStep> steps =
      Opening() + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>")};
  // The window holds 100 commands: MAIL and 99, then 100, then 51 and DATA. The script refuses a
  // write of more.
  size_t in_window = 1;
  std::string replies = "250 Ok\r\n";
  for (size_t i = 0; i < kRecipients; ++i) {
    steps.push_back(C("RCPT TO:<r" + std::to_string(i) + "@example.net>"));
    replies += i % 2 == 0 ? "250 Ok\r\n" : "450 Later\r\n";
    if (i + 1 == kRecipients) {
      steps.push_back(C("DATA"));
      replies += "354 Go\r\n";
    }
    if (++in_window == smtp::kWindowCommands || i + 1 == kRecipients) {
      steps.push_back(S(std::exchange(replies, "")));
      in_window = 0;
    }
  }
  steps = steps + std::vector<ScriptStep>{Message(), S("250 Ok\r\n")} + kQuit;
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto report = co_await session.Send(envelope, kContent, {}, Deadline::Never());
    if (!report) {
      ADD_FAILURE() << report.error().detail;
      co_return;
    }
    for (size_t i = 0; i < kRecipients; ++i) EXPECT_EQ(report->recipients[i].accepted, i % 2 == 0);
  });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(SessionTest, AWindowIsBoundedInBytesToo) {
  Envelope envelope = To(0);
  std::vector<ScriptStep> steps =
      Opening() + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>")};
  const std::string domain =
      std::string(60, 'd') + "." + std::string(60, 'e') + "." + std::string(60, 'f') + ".example";
  for (size_t i = 0; i < 80; ++i) {
    envelope.recipients.push_back(*base::ParseAddress("r" + std::to_string(i) + "@" + domain));
  }
  size_t bytes = std::string("MAIL FROM:<alice@example.org>\r\n").size();
  std::string replies = "250 Ok\r\n";
  for (const base::Address& recipient : envelope.recipients) {
    ScriptStep rcpt = C("RCPT TO:<" + recipient.Spec() + ">");
    if (bytes + rcpt.bytes.size() > smtp::kWindowBytes) {
      steps.push_back(S(std::exchange(replies, "")));
      bytes = 0;
    }
    bytes += rcpt.bytes.size();
    replies += "250 Ok\r\n";
    steps.push_back(std::move(rcpt));
  }
  steps =
      steps +
      std::vector<ScriptStep>{C("DATA"), S(replies + "354 Go\r\n"), Message(), S("250 Ok\r\n")} +
      kQuit;
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
  });
}

TEST_F(SessionTest, ASurplusReplyMakesTheSessionUnusable) {
  const Envelope envelope = To(1);
  std::vector<ScriptStep> steps = Opening() + kAcceptOne;
  steps.back().bytes += "250 Another\r\n";
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
    EXPECT_FALSE(session.usable());
  });
}

TEST_F(SessionTest, AReplyBehind354IsNotTakenForTheFinalOne) {
  const Envelope envelope = To(1);
  for (const auto& [early, cause] :
       {std::pair("250 Ok\r\n", Cause::kProtocol), std::pair("552 Too big\r\n", Cause::kRefused)}) {
    const std::vector<ScriptStep> steps =
        Opening() + std::vector<ScriptStep>{
                        C("MAIL FROM:<alice@example.org>"), C("RCPT TO:<r0@example.net>"),
                        C("DATA"), S("250 Ok\r\n250 Ok\r\n"), S("354 Go\r\n" + std::string(early))};
    const Cause expected = cause;
    Run(steps, [&](Session& session) -> asio::awaitable<void> {
      EXPECT_TRUE(co_await session.Open(Deadline::Never()));
      const auto result = co_await session.Send(envelope, kContent, {}, Deadline::Never());
      EXPECT_FALSE(result.has_value());
      EXPECT_EQ(result.error().cause, expected);
      EXPECT_NE(result.error().error_class, ErrorClass::kUncertain);
      EXPECT_FALSE(session.usable());
    });
  }
}

TEST_F(SessionTest, APassedDeadlineBeforeTheEndOfDataIsNotUncertain) {
  const Envelope envelope = To(1);
  const std::vector<ScriptStep> steps =
      Opening() + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                                          C("RCPT TO:<r0@example.net>"), C("DATA"),
                                          S("250 Ok\r\n250 Ok\r\n"), S("354 Go\r\n")};
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto result =
        co_await session.Send(envelope, kContent, {}, Deadline::After(std::chrono::seconds(-1)));
    EXPECT_EQ(result.error().cause, Cause::kTimeout);
    EXPECT_EQ(result.error().stage, Stage::kData);
    EXPECT_EQ(result.error().error_class, ErrorClass::kTransient);
    EXPECT_FALSE(session.usable());
  });
  EXPECT_FALSE(stream_->end_of_data_begun());
}

// Its writes of message bytes end in a timeout, and no time is left to wait for a read.
class StalledStream : public ScriptedStream {
 public:
  using ScriptedStream::ScriptedStream;
  asio::awaitable<base::Result<void>> Write(std::span<const asio::const_buffer> buffers) override {
    auto written = co_await ScriptedStream::Write(buffers);
    if (asio::buffer_size(buffers) < 1000) co_return written;
    stalled_ = true;
    co_return TimedOut();
  }
  asio::awaitable<base::Result<size_t>> ReadSome(asio::mutable_buffer buffer) override {
    if (stalled_) co_return TimedOut();
    co_return co_await ScriptedStream::ReadSome(buffer);
  }

 private:
  static base::Error TimedOut() {
    return base::Failed(base::Stage::kTcp, base::Cause::kTimeout, ErrorClass::kTransient);
  }
  bool stalled_ = false;
};

TEST_F(SessionTest, RefusalThatCameDuringAStalledWriteIsTheReason) {
  const Envelope envelope = To(1);
  const std::string long_message = std::string(200000, 'x') + "\r\n";
  ScriptStep part = Message(long_message);
  part.limit = 1000;
  StalledStream stream(
      Opening() + std::vector<ScriptStep>{
                      C("MAIL FROM:<alice@example.org>"), C("RCPT TO:<r0@example.net>"), C("DATA"),
                      S("250 Ok\r\n250 Ok\r\n"), S("354 Go\r\n"), part, S("552 Too big\r\n")});
  const auto work = [&]() -> asio::awaitable<void> {
    Session session(stream, settings_, observer_);
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto result =
        co_await session.Send(envelope, base::Content(long_message), {}, Deadline::Never());
    EXPECT_FALSE(result);
    if (!result) EXPECT_EQ(result.error().cause, base::Cause::kRefused);
    co_await session.Quit(Deadline::Never());
  };
  testing::RunCoroutine(work);
  EXPECT_FALSE(stream.end_of_data_begun());
}

TEST_F(SessionTest, LongRepliesToRecipientsAreKeptShort) {
  const Envelope envelope = To(1);
  std::string reply;
  for (int i = 0; i < 60; ++i) reply += "250-" + std::string(1000, 'x') + "\r\n";
  const std::vector<ScriptStep> steps =
      Opening() +
      std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                              C("RCPT TO:<r0@example.net>"),
                              C("DATA"),
                              S("250 Ok\r\n" + reply + "250 Ok\r\n"),
                              S("354 Go\r\n"),
                              Message(),
                              S("250 Ok\r\n")} +
      kQuit;
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto report = co_await session.Send(envelope, kContent, {}, Deadline::Never());
    EXPECT_TRUE(report);
    if (report) EXPECT_LE(report->recipients[0].reply.Text(100000).size(), 2100u);
  });
}

TEST_F(SessionTest, SecretInACertificateIsNotShown) {
  settings_.tls.policy = TlsPolicy::kImplicit;
  settings_.credentials.emplace();
  settings_.credentials->username = "alice";
  settings_.credentials->password = base::Secret("mail.example.net");  // the script's certificate
  ScriptStep tls;
  tls.kind = Kind::kTls;
  Run({tls, Close()}, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_FALSE(co_await session.Open(Deadline::Never()));
  });
  EXPECT_TRUE(observer_.Saw("T: CN=[redacted]")) << observer_.Transcript();
}

TEST_F(SessionTest, ReplyBeforeTheEndOfTheMessageIsNoVerdict) {
  const Envelope envelope = To(1);
  for (const auto& [line, cause] : {std::pair("250 Ok\r\n", base::Cause::kProtocol),
                                    std::pair("452 Later\r\n", base::Cause::kRefused)}) {
    const std::vector<ScriptStep> steps =
        Opening() + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                                            C("RCPT TO:<r0@example.net>"),
                                            C("DATA"),
                                            S("250 Ok\r\n250 Ok\r\n"),
                                            S("354 Go\r\n"),
                                            S(line),
                                            Close()};
    const base::Cause expected = cause;
    prepare_ = [this] { stream_->ReadByteByByte(); };
    Run(steps, [&](Session& session) -> asio::awaitable<void> {
      EXPECT_TRUE(co_await session.Open(Deadline::Never()));
      const auto result = co_await session.Send(envelope, kContent, {}, Deadline::Never());
      EXPECT_FALSE(result);
      if (!result) EXPECT_EQ(result.error().cause, expected);
      if (!result) EXPECT_EQ(result.error().error_class, ErrorClass::kTransient);
      EXPECT_FALSE(session.usable());
    });
    EXPECT_FALSE(stream_->end_of_data_begun());
  }
}

// One flight each.
class FlightSessionTest : public SessionTest {
 protected:
  FlightSessionTest() { settings_.swallows_refused_chunk = true; }

  static std::vector<ScriptStep> Chunking() {
    return Opening("250-PIPELINING\r\n250-CHUNKING\r\n");
  }
  static std::vector<ScriptStep> Flight(const std::string& replies) {
    return {C("MAIL FROM:<alice@example.org>"), C("RCPT TO:<r0@example.net>"), ChunkOf(),
            S(replies)};
  }
  static std::vector<ScriptStep> RsetAndTwoFlights() {
    return {C("RSET"),
            C("MAIL FROM:<alice@example.org>"),
            C("RCPT TO:<r0@example.net>"),
            S("250 Ok\r\n250 Ok\r\n250 Ok\r\n"),
            ChunkOf(),
            S("250 Ok\r\n")};
  }
};

TEST_F(FlightSessionTest, EachMessageIsOneWrite) {
  const Envelope envelope = To(1);
  const std::string accepted = "250 Ok\r\n250 Ok\r\n250 Ok\r\n";
  Run(Chunking() + Flight(accepted) + Flight(accepted) + Flight(accepted) + kQuit,
      [&](Session& session) -> asio::awaitable<void> {
        EXPECT_TRUE(co_await session.Open(Deadline::Never()));
        for (int i = 0; i < 3; ++i) {
          EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
          EXPECT_TRUE(session.usable());
        }
      });
  EXPECT_TRUE(stream_->finished());
  EXPECT_TRUE(observer_.Saw("C: BDAT 24 LAST"));
  EXPECT_TRUE(observer_.Saw("C: [message, 24 bytes]"));
  EXPECT_FALSE(observer_.Saw("C: ."));
}

TEST_F(FlightSessionTest, AfterARefusalRsetLeadsAndTheChunkComesByItself) {
  const Envelope envelope = To(1);
  Run(Chunking() + Flight("250 Ok\r\n550 No\r\n503 No\r\n") + RsetAndTwoFlights() +
          Flight("250 Ok\r\n250 Ok\r\n250 Ok\r\n") + kQuit,
      [&](Session& session) -> asio::awaitable<void> {
        EXPECT_TRUE(co_await session.Open(Deadline::Never()));
        EXPECT_FALSE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
        EXPECT_FALSE(session.distrust().any());
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
      });
  EXPECT_TRUE(stream_->finished());
}

class ClosedGate : public Gate {
 public:
  asio::awaitable<bool> Pass(std::span<const size_t>) override { co_return false; }
};

TEST_F(FlightSessionTest, AnEnvelopeWhoseChunkWasHeldBackIsResetBeforeTheNext) {
  const Envelope envelope = To(1);
  ClosedGate gate;
  SendOptions held_back;
  held_back.all_or_nothing = true;
  held_back.gate = &gate;
  const std::vector<ScriptStep> envelope_only = {
      C("MAIL FROM:<alice@example.org>"), C("RCPT TO:<r0@example.net>"), S("250 Ok\r\n250 Ok\r\n")};
  Run(Chunking() + envelope_only + RsetAndTwoFlights() + kQuit,
      [&](Session& session) -> asio::awaitable<void> {
        EXPECT_TRUE(co_await session.Open(Deadline::Never()));
        const auto nothing =
            co_await session.Send(envelope, kContent, held_back, Deadline::Never());
        EXPECT_EQ(nothing.error().cause, Cause::kGateClosed);
        EXPECT_TRUE(session.usable());
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
      });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(FlightSessionTest, ASurplusReplyMakesTheSessionUnusable) {
  const Envelope envelope = To(1);
  Run(Chunking() + Flight("250 Ok\r\n250 Ok\r\n250 Ok\r\n250 Another\r\n"),
      [&](Session& session) -> asio::awaitable<void> {
        EXPECT_TRUE(co_await session.Open(Deadline::Never()));
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
        EXPECT_FALSE(session.usable());
      });
}

TEST_F(FlightSessionTest, AMessageOfMorePiecesThanABlockHoldsGoesWhole) {
  const Envelope envelope = To(1);
  std::string text;
  base::Content content;
  for (int i = 0; i < 400; ++i) {
    const std::string line = ".line " + std::to_string(i) + "\r\n";
    text += line;
    content.Append(line);
  }
  const std::vector<ScriptStep> steps = {C("MAIL FROM:<alice@example.org>"),
                                         C("RCPT TO:<r0@example.net>"), S("250 Ok\r\n250 Ok\r\n"),
                                         ChunkOf(text), S("250 Ok\r\n")};
  Run(Chunking() + steps + kQuit, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto report = co_await session.Send(envelope, content, {}, Deadline::Never());
    EXPECT_TRUE(report);
    if (report) EXPECT_EQ(report->message_bytes, text.size());
  });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(FlightSessionTest, AsManyRecipientsAsAWindowHoldsGoWithTheMessage) {
  for (const size_t recipients : {98, 99}) {
    const Envelope envelope = To(recipients);
    std::vector<ScriptStep> steps =
        Chunking() + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>")};
    std::string replies = "250 Ok\r\n";
    for (size_t i = 0; i < recipients; ++i) {
      steps.push_back(C("RCPT TO:<r" + std::to_string(i) + "@example.net>"));
      replies += "250 Ok\r\n";
    }
    if (recipients == 99) steps.push_back(S(std::exchange(replies, "")));
    steps = steps + std::vector<ScriptStep>{ChunkOf(), S(replies + "250 Ok\r\n")} + kQuit;
    Run(steps, [&](Session& session) -> asio::awaitable<void> {
      EXPECT_TRUE(co_await session.Open(Deadline::Never()));
      EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
    });
    EXPECT_TRUE(stream_->finished()) << recipients;
  }
}

TEST_F(FlightSessionTest, WhatIsDistrustedIsNotUsed) {
  const Envelope envelope = To(1);
  const std::vector<ScriptStep> without_chunk = {C("MAIL FROM:<alice@example.org>"),
                                                 C("RCPT TO:<r0@example.net>"),
                                                 C("DATA"),
                                                 S("250 Ok\r\n250 Ok\r\n354 Go\r\n"),
                                                 Message(),
                                                 S("250 Ok\r\n")};
  const std::vector<ScriptStep> step_by_step = {C("MAIL FROM:<alice@example.org>"),
                                                S("250 Ok\r\n"),
                                                C("RCPT TO:<r0@example.net>"),
                                                S("250 Ok\r\n"),
                                                C("DATA"),
                                                S("354 Go\r\n"),
                                                Message(),
                                                S("250 Ok\r\n")};
  Run(Chunking() + without_chunk + step_by_step + kQuit,
      [&](Session& session) -> asio::awaitable<void> {
        EXPECT_TRUE(co_await session.Open(Deadline::Never()));
        session.Avoid({.chunking = true});
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
        session.Avoid({.pipelining = true});
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
      });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(SessionTest, EachStageHasItsOwnTimeLimit) {
  using std::chrono::hours;
  StageTimeouts& limits = settings_.timeouts;
  limits.greeting = hours(1);
  limits.ehlo = hours(2);
  limits.tls = hours(3);
  limits.auth = hours(4);
  limits.mail = hours(5);
  limits.rcpt = hours(6);
  limits.data_start = hours(7);
  limits.data_block = hours(8);
  limits.data_done = hours(9);
  limits.quit = hours(10);
  settings_.tls.policy = TlsPolicy::kStartTls;
  settings_.credentials.emplace();
  settings_.credentials->username = "alice";
  settings_.credentials->password = base::Secret("opensesame");
  const std::string long_message = std::string(200000, 'x') + "\r\n";  // two blocks
  ScriptStep tls;
  tls.kind = Kind::kTls;
  const std::vector<ScriptStep> steps = std::vector<ScriptStep>{S("220 Hi\r\n"),
                                                                C("EHLO client.example.org"),
                                                                S("250-Hi\r\n250 STARTTLS\r\n"),
                                                                C("STARTTLS"),
                                                                S("220 Go\r\n"),
                                                                tls,
                                                                C("EHLO client.example.org"),
                                                                S("250-Hi\r\n250 AUTH LOGIN\r\n"),
                                                                C("AUTH LOGIN"),
                                                                S("334 \r\n"),
                                                                C("YWxpY2U="),
                                                                S("334 \r\n"),
                                                                C("b3BlbnNlc2FtZQ=="),
                                                                S("235 Ok\r\n"),
                                                                C("MAIL FROM:<alice@example.org>"),
                                                                S("250 Ok\r\n"),
                                                                C("RCPT TO:<r0@example.net>"),
                                                                S("250 Ok\r\n"),
                                                                C("DATA"),
                                                                S("354 Go\r\n"),
                                                                Message(long_message),
                                                                S("250 Ok\r\n")} +
                                        kQuit;
  const Envelope envelope = To(1);
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_TRUE(
        co_await session.Send(envelope, base::Content(long_message), {}, Deadline::Never()));
  });
  std::vector<long> used;
  for (const StreamOperation& operation : stream_->operations()) {
    const auto left = operation.until.at - base::Clock::now() + std::chrono::minutes(30);
    used.push_back(std::chrono::duration_cast<hours>(left).count());
  }
  EXPECT_THAT(used, ::testing::ElementsAre(1, 2, 2, 3, 3, 3, 2, 2, 4, 4, 4, 4, 4, 4, 5, 5, 5, 6, 7,
                                           7, 8, 8, 8, 8, 9, 10, 10));
}

TEST_F(SessionTest, NoLimitGoesBeyondTheDeadline) {
  const Envelope envelope = To(1);
  const Deadline deadline = Deadline::After(std::chrono::seconds(30));
  Run(Opening() + kAcceptOne + kQuit, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(deadline));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, deadline));
  });
  for (const StreamOperation& operation : stream_->operations()) {
    EXPECT_LE(operation.until.at, deadline.at);
  }
}

TEST_F(SessionTest, NoQuitIsSentOnceTheDeadlineHasPassed) {
  const Envelope envelope = To(1);
  quit_by_ = Deadline::After(std::chrono::seconds(-1));
  Run(Opening() + kAcceptOne, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
  });
  EXPECT_TRUE(stream_->closed());
  EXPECT_FALSE(observer_.Saw("C: QUIT"));
}

TEST_F(SessionTest, RsetLeadsTheTransactionAfterAllOrNothingCameToNothing) {
  const Envelope two = To(2);
  const Envelope one = To(1);
  SendOptions options;
  options.all_or_nothing = true;
  const std::vector<ScriptStep> steps = Opening() +
                                        std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                                                                C("RCPT TO:<r0@example.net>"),
                                                                C("RCPT TO:<r1@example.net>"),
                                                                S("250 Ok\r\n250 Ok\r\n450 No\r\n"),
                                                                C("RSET"),
                                                                C("MAIL FROM:<alice@example.org>"),
                                                                C("RCPT TO:<r0@example.net>"),
                                                                S("250 Ok\r\n250 Ok\r\n250 Ok\r\n"),
                                                                C("DATA"),
                                                                S("354 Go\r\n"),
                                                                Message(),
                                                                S("250 Ok\r\n")} +
                                        kQuit;
  Run(steps, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto nothing = co_await session.Send(two, kContent, options, Deadline::Never());
    EXPECT_FALSE(nothing);
    if (!nothing) EXPECT_EQ(nothing.error().recipients.size(), 2u);
    EXPECT_TRUE(session.usable());
    EXPECT_TRUE(co_await session.Send(one, kContent, options, Deadline::Never()));
  });
  EXPECT_TRUE(stream_->finished());
}

TEST_F(SessionTest, CancellationWorksAgainAfterTheFinalReply) {
  const Envelope envelope = To(1);
  asio::cancellation_signal cancel;
  Run(
      Opening() + kAcceptOne,
      [&](Session& session) -> asio::awaitable<void> {
        EXPECT_TRUE(co_await session.Open(Deadline::Never()));
        EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
        cancel.emit(asio::cancellation_type::terminal);
        const auto second = co_await session.Send(envelope, kContent, {}, Deadline::Never());
        EXPECT_EQ(second.error().cause, Cause::kCancelled);
        EXPECT_EQ(second.error().stage, Stage::kMailFrom);
      },
      &cancel);
}

TEST_F(SessionTest, TellsTheObserverTheDialogWithoutTheMessage) {
  const Envelope envelope = To(1);
  Run(Opening() + kAcceptOne + kQuit, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    EXPECT_TRUE(co_await session.Send(envelope, kContent, {}, Deadline::Never()));
  });
  EXPECT_TRUE(observer_.Saw("C: EHLO client.example.org"));
  EXPECT_TRUE(observer_.Saw("= PIPELINING, DSN"));
  EXPECT_TRUE(observer_.Saw("S: 354 Go"));
  EXPECT_TRUE(observer_.Saw("C: [message, 24 bytes]"));
  EXPECT_TRUE(observer_.Saw("C: QUIT"));
  EXPECT_THAT(observer_.Transcript(), ::testing::Not(HasSubstr("Hello")));
}

TEST_F(SessionTest, AnEhloNameWithALineBreakIsNotSent) {
  settings_.ehlo_name = "client\r\nMAIL FROM:<evil@example.org>";
  Run({S("220 Hi\r\n"), C("QUIT"), S("221 Bye\r\n")},
      [&](Session& session) -> asio::awaitable<void> {
        const auto opened = co_await session.Open(Deadline::Never());
        EXPECT_EQ(opened.error().cause, Cause::kInvalid);
        EXPECT_EQ(opened.error().stage, Stage::kEhlo);
      });
}

TEST_F(SessionTest, AMessageWithABareLineFeedIsNotSent) {
  const Envelope envelope = To(1);
  const base::Content bare("a\n.\nMAIL FROM:<x>\r\n");
  Run(Opening() + kQuit, [&](Session& session) -> asio::awaitable<void> {
    EXPECT_TRUE(co_await session.Open(Deadline::Never()));
    const auto result = co_await session.Send(envelope, bare, {}, Deadline::Never());
    EXPECT_EQ(result.error().cause, Cause::kInvalid);
    EXPECT_TRUE(session.usable());
  });
}

}  // namespace
}  // namespace sendstep::smtp
