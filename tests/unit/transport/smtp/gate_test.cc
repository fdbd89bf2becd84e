// The gate before the end of the message: when it is asked, and what can no longer stop the send.
#include "transport/smtp/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/unit/transport/smtp/session_test.h"
#include "transport/base/failpoint.h"

namespace sendstep::base {
namespace {
std::function<void(std::string_view)> on_failpoint;
}  // namespace

// In place of the one that does nothing.
void Failpoint(std::string_view name) {
  if (on_failpoint) on_failpoint(name);
}
}  // namespace sendstep::base

namespace sendstep::smtp {
namespace {

using base::Cause;
using base::Deadline;
using base::ErrorClass;
using base::Result;
using base::Stage;
using testing::C;
using testing::ChunkOf;
using testing::Close;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kAcceptOne;
using testing::kMessage;
using testing::kQuit;
using testing::Message;
using ::testing::Not;
using testing::Opening;
using testing::S;
using testing::ScriptStep;
using testing::StreamOperation;
using testing::To;
using testing::operator+;
using std::chrono::hours;

constexpr size_t kBlock = 128 * 1024;
// Two blocks.
const std::string kLongMessage = std::string(200000, 'x') + "\r\n";

// A session that sends with this as its gate.
class GateTest : public testing::SessionTest, protected Gate {
 protected:
  GateTest() {
    options_.gate = this;
    base::on_failpoint = [this](std::string_view name) {
      std::string point(name);
      if (stream_->end_of_data_begun()) point += ", end begun";
      if (stream_->final_reply_delivered()) point += ", answered";
      failpoints_.push_back(point);
    };
  }
  ~GateTest() override { base::on_failpoint = nullptr; }

  asio::awaitable<bool> Pass(std::span<const size_t> accepted) override {
    asked_.emplace_back(accepted.begin(), accepted.end());
    EXPECT_FALSE(stream_->end_of_data_begun());
    written_before_ = stream_->written_in_clear();
    if (meanwhile_) meanwhile_();
    co_return open_;
  }

  // Plays `steps`, with one Send of `message` to `recipients`.
  Result<DeliveryReport> Send(std::vector<ScriptStep> steps, size_t recipients = 1,
                              const std::string& message = kMessage,
                              Deadline deadline = Deadline::Never(),
                              asio::cancellation_signal* cancel = nullptr) {
    const Envelope envelope = To(recipients);
    Result<DeliveryReport> result = base::Error();
    Run(
        std::move(steps),
        [&](Session& session) -> asio::awaitable<void> {
          EXPECT_TRUE(co_await session.Open(Deadline::Never()));
          result = co_await session.Send(envelope, base::Content(message), options_, deadline);
          usable_ = session.usable();
        },
        cancel);
    EXPECT_TRUE(stream_->closed());
    return result;
  }

  // The send ended in DATA with nothing delivered and nothing more said.
  void ExpectNotSent(const Result<DeliveryReport>& result, Cause cause,
                     ErrorClass error_class = ErrorClass::kTransient) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().stage, Stage::kData);
    EXPECT_EQ(result.error().cause, cause) << result.error().detail;
    EXPECT_EQ(result.error().error_class, error_class);
    EXPECT_EQ(result.error().recipients.size(), 1u);
    EXPECT_FALSE(stream_->end_of_data_begun());
    EXPECT_FALSE(observer_.Saw("C: .")) << observer_.Transcript();
    EXPECT_FALSE(observer_.Saw("C: QUIT")) << observer_.Transcript();
    EXPECT_FALSE(usable_);
    EXPECT_THAT(failpoints_, IsEmpty());
  }

  SendOptions options_;
  bool open_ = true;
  std::function<void()> meanwhile_;  // while the gate is asked
  std::vector<std::vector<size_t>> asked_;
  std::string written_before_;
  std::vector<std::string> failpoints_;
  bool usable_ = false;
};

std::vector<ScriptStep> UpToData() {
  return Opening() + std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                                             C("RCPT TO:<r0@example.net>"), C("DATA"),
                                             S("250 Ok\r\n250 Ok\r\n"), S("354 Go\r\n")};
}

// The first block of kLongMessage, and no more.
ScriptStep FirstBlock() {
  ScriptStep step = Message(kLongMessage);
  step.limit = kBlock;
  return step;
}

TEST_F(GateTest, IsAskedOnceForTheAcceptedBeforeTheLastBlock) {
  for (const std::string& message : {std::string(kMessage), kLongMessage}) {
    asked_.clear();
    failpoints_.clear();
    const std::vector<ScriptStep> steps =
        Opening() +
        std::vector<ScriptStep>{C("MAIL FROM:<alice@example.org>"),
                                C("RCPT TO:<r0@example.net>"),
                                C("RCPT TO:<r1@example.net>"),
                                C("RCPT TO:<r2@example.net>"),
                                C("DATA"),
                                S("250 Ok\r\n450 No\r\n550 No\r\n"),
                                S("250 Ok\r\n"),
                                S("354 Go\r\n"),
                                Message(message),
                                S("250 Ok\r\n")} +
        kQuit;
    // r0 is refused, r1 is refused, r2 is taken.
    EXPECT_TRUE(Send(steps, 3, message));
    EXPECT_THAT(asked_, ElementsAre(ElementsAre(2)));
    const size_t before = message.size() / kBlock * kBlock;
    EXPECT_THAT(written_before_, ::testing::EndsWith("DATA\r\n" + message.substr(0, before)));
    EXPECT_THAT(failpoints_,
                ElementsAre("gated", "end_sent, end begun", "verdict, end begun, answered"));
    EXPECT_TRUE(stream_->finished());
  }
}

TEST_F(GateTest, ClosedSendsNeitherTheEndNorQuit) {
  open_ = false;
  ExpectNotSent(Send(UpToData()), Cause::kGateClosed);
  ExpectNotSent(Send(UpToData() + std::vector<ScriptStep>{FirstBlock()}, 1, kLongMessage),
                Cause::kGateClosed);
  EXPECT_THAT(asked_, ElementsAre(ElementsAre(0), ElementsAre(0)));
}

TEST_F(GateTest, CancellationWhileItIsAskedDoesNotStopTheSend) {
  asio::cancellation_signal cancel;
  meanwhile_ = [&] { cancel.emit(asio::cancellation_type::terminal); };
  EXPECT_TRUE(Send(Opening() + kAcceptOne + kQuit, 1, kMessage, Deadline::Never(), &cancel));
}

TEST_F(GateTest, DeadlineHasNoSayBehindItUntilTheReply) {
  settings_.timeouts.data_block = hours(8);
  settings_.timeouts.data_done = hours(9);
  settings_.timeouts.quit = hours(10);
  const Deadline deadline = Deadline::After(std::chrono::minutes(30));
  quit_by_ = deadline;
  settings_.timeouts.greeting = settings_.timeouts.ehlo = std::chrono::minutes(1);
  EXPECT_TRUE(Send(Opening() + kAcceptOne + kQuit, 1, kMessage, deadline));
  std::vector<long> beyond;
  for (const StreamOperation& operation : stream_->operations()) {
    if (operation.until.at <= deadline.at) continue;
    const auto left = operation.until.at - deadline.at + std::chrono::minutes(45);
    beyond.push_back(std::chrono::duration_cast<hours>(left).count());
  }
  EXPECT_THAT(beyond, ElementsAre(8, 9)) << "the last block, the reply";
}

TEST_F(GateTest, ReplyWhileItIsAskedEndsTheSessionWithoutTheEnd) {
  const std::tuple<ScriptStep, Cause, ErrorClass> arrivals[] = {
      {S("250 Ok\r\n"), Cause::kProtocol, ErrorClass::kTransient},
      {S("452 Later\r\n"), Cause::kRefused, ErrorClass::kTransient},
      {S("552 Too big\r\n"), Cause::kRefused, ErrorClass::kPermanent},
      {S("421 Bye\r\n"), Cause::kRefused, ErrorClass::kTransient},
      {Close(), Cause::kConnectionLost, ErrorClass::kTransient},
  };
  for (const auto& [arrival, cause, error_class] : arrivals) {
    asked_.clear();
    meanwhile_ = [this, step = arrival] { stream_->Append(step); };
    ExpectNotSent(Send(UpToData()), cause, error_class);
    ExpectNotSent(Send(UpToData() + std::vector<ScriptStep>{FirstBlock()}, 1, kLongMessage), cause,
                  error_class);
    EXPECT_EQ(asked_.size(), 2u);
  }
}

TEST_F(GateTest, HalfAReplyWhileItIsAskedIsNotWaitedForLong) {
  settings_.timeouts.data_block = hours(8);
  meanwhile_ = [this] {
    stream_->Append(S("25"));
    ScriptStep silence;
    silence.kind = ScriptStep::Kind::kSilence;
    stream_->Append(silence);
  };
  ExpectNotSent(Send(UpToData()), Cause::kTimeout);
  EXPECT_LE(stream_->operations().back().until.at, Deadline::After(std::chrono::minutes(1)).at);
}

TEST_F(GateTest, IsNotAskedWhereTheEndWouldNotBeSentAnyway) {
  const Deadline passed = Deadline::After(std::chrono::seconds(-1));
  ExpectNotSent(Send(UpToData(), 1, kMessage, passed), Cause::kTimeout);

  asio::cancellation_signal cancel;
  prepare_ = [&] {
    stream_->FailWith([&](size_t) -> std::optional<base::Error> {
      if (observer_.Saw("S: 354 Go")) cancel.emit(asio::cancellation_type::terminal);
      return std::nullopt;
    });
  };
  observer_.lines.clear();
  ExpectNotSent(Send(UpToData(), 1, kMessage, Deadline::Never(), &cancel), Cause::kCancelled);
  prepare_ = nullptr;

  ExpectNotSent(Send(UpToData() + std::vector<ScriptStep>{S("452 Later\r\n")}), Cause::kRefused);
  EXPECT_THAT(asked_, IsEmpty());
}

// With the envelope in the same flight.
std::vector<ScriptStep> Chunking() { return Opening("250-PIPELINING\r\n250-CHUNKING\r\n"); }

std::vector<ScriptStep> Flight(const std::string& replies) {
  return {C("MAIL FROM:<alice@example.org>"), C("RCPT TO:<r0@example.net>"),
          C("RCPT TO:<r1@example.net>"), ChunkOf(), S(replies)};
}

TEST_F(GateTest, IsAskedForEverybodyBeforeAFlight) {
  settings_.swallows_refused_chunk = true;
  const auto result =
      Send(Chunking() + Flight("250 Ok\r\n550 No\r\n250 Ok\r\n250 Ok\r\n") + kQuit, 2);
  EXPECT_TRUE(result);
  EXPECT_THAT(asked_, ElementsAre(ElementsAre(0, 1)));
  EXPECT_EQ(written_before_, "EHLO client.example.org\r\n");
  EXPECT_THAT(failpoints_, ElementsAre("gated", "end_sent, end begun, answered",
                                       "verdict, end begun, answered"));
}

TEST_F(GateTest, WhatComesWhileItIsAskedKeepsAFlightBack) {
  settings_.swallows_refused_chunk = true;
  const std::tuple<ScriptStep, Cause> arrivals[] = {{S("250 Ok\r\n"), Cause::kProtocol},
                                                    {S("421 Bye\r\n"), Cause::kRefused},
                                                    {Close(), Cause::kConnectionLost}};
  for (const auto& [arrival, cause] : arrivals) {
    asked_.clear();
    meanwhile_ = [this, step = arrival] { stream_->Append(step); };
    const auto result = Send(Chunking());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().cause, cause);
    EXPECT_EQ(result.error().error_class, ErrorClass::kTransient);
    EXPECT_EQ(result.error().stage, Stage::kMailFrom);
    EXPECT_EQ(stream_->written_in_clear(), "EHLO client.example.org\r\n");
    EXPECT_FALSE(usable_);
    EXPECT_EQ(asked_.size(), 1u);
  }
}

TEST_F(GateTest, DeadlineHasNoSayBehindItInAFlight) {
  settings_.swallows_refused_chunk = true;
  StageTimeouts& limits = settings_.timeouts;
  limits.greeting = limits.ehlo = std::chrono::minutes(1);
  limits.data_block = hours(5);
  limits.mail = hours(6);
  limits.rcpt = hours(7);
  limits.data_done = hours(9);
  const Deadline deadline = Deadline::After(std::chrono::minutes(30));
  quit_by_ = deadline;
  // Each reply by itself.
  prepare_ = [this] { stream_->ReadLineByLine(); };
  EXPECT_TRUE(Send(Chunking() + Flight("250 Ok\r\n250 Ok\r\n250 Ok\r\n250 Ok\r\n") + kQuit, 2,
                   kMessage, deadline));
  std::vector<long> beyond;
  for (const StreamOperation& operation : stream_->operations()) {
    if (operation.until.at <= deadline.at) continue;
    const auto left = operation.until.at - deadline.at + std::chrono::minutes(45);
    beyond.push_back(std::chrono::duration_cast<hours>(left).count());
  }
  EXPECT_THAT(beyond, ElementsAre(5, 6, 7, 7, 9)) << "the flight, MAIL, RCPT, RCPT, the message";
}

TEST_F(GateTest, ExceptionGoesThroughAndTheEndIsNotSent) {
  meanwhile_ = [] { throw std::runtime_error("the ledger is on fire"); };
  EXPECT_THROW(Send(UpToData()), std::runtime_error);
  EXPECT_EQ(asked_.size(), 1u);
  EXPECT_FALSE(stream_->end_of_data_begun());
}

TEST_F(GateTest, LostConnectionBehindItIsUncertain) {
  const auto result = Send(UpToData() + std::vector<ScriptStep>{Message(), Close()});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().error_class, ErrorClass::kUncertain);
  EXPECT_THAT(failpoints_, ElementsAre("gated", "end_sent, end begun"));
}

}  // namespace
}  // namespace sendstep::smtp
