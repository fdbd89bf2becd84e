// What callers of one request_id get, alone and together.
#include "plugin/executions.h"

#include <gmock/gmock.h>

#include "tests/unit/plugin/executions_fixture.h"

namespace sendstep::plugin {
namespace {

using base::Cause;
using base::Deadline;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using RecipientState = ledger::Recipient::State;

TEST_F(ExecutionsTest, FirstCallSendsAndLaterOnesReplayWithoutConnecting) {
  const auto first = Execute(Request());
  EXPECT_EQ(first->kind, Kind::kEnded);
  EXPECT_EQ(first->execution.state, State::kSent);
  EXPECT_EQ(first->final_reply.code, 250);
  EXPECT_THAT(smtp_.messages().at(0), HasSubstr("Message-ID: <r1@example.com>"));
  for (int i = 0; i < 3; ++i) {
    const auto later = Execute(Request());
    EXPECT_EQ(later->kind, Kind::kReplayed);
    EXPECT_EQ(later->execution, first->execution);
  }
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsTest, WhatIsSentIsStored) {
  const auto executed = Execute(Request());
  EXPECT_EQ(Stored(), executed->execution);
  EXPECT_EQ(Stored().attempts, 1u);
  ASSERT_TRUE(Stored().receipt.has_value());
  EXPECT_EQ(Stored().receipt->code, 250);
  EXPECT_GT(Stored().receipt->message_bytes, 0u);
}

TEST_F(ExecutionsTest, ManyCallersAtOnceMakeOneConnectionAndGetOneAnswer) {
  smtp_.Hold(".");
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 50; ++i) calls.push_back(Start(Request()));
  ASSERT_TRUE(Hears("."));
  smtp_.Release();
  const auto answer = calls[0]->Get();
  EXPECT_EQ(answer->execution.state, State::kSent);
  for (size_t i = 1; i < calls.size(); ++i) EXPECT_EQ(calls[i]->Get(), answer);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsTest, OtherIdsDoNotWait) {
  smtp_.Hold(".");
  const auto held = Start(Request("r1"));
  ASSERT_TRUE(Hears("."));
  const auto other = Start(Request("r2"));
  ASSERT_TRUE(Hears(".", 2));
  smtp_.Release();
  EXPECT_EQ(held->Get()->execution.state, State::kSent);
  EXPECT_EQ(other->Get()->execution.state, State::kSent);
}

TEST_F(ExecutionsTest, WhoLeavesDoesNotCancelWhileAnotherWaits) {
  smtp_.Hold("MAIL");
  const auto first = Start(Request());
  const auto second = Start(Request());
  ASSERT_TRUE(Hears("MAIL"));
  first->Leave();
  EXPECT_EQ(first->Get()->kind, Kind::kLeft);
  smtp_.Release();
  EXPECT_EQ(second->Get()->execution.state, State::kSent);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsTest, TheLastOneToLeaveCancelsBeforeTheGate) {
  smtp_.Hold("MAIL");
  const auto first = Start(Request());
  const auto second = Start(Request());
  ASSERT_TRUE(Hears("MAIL"));
  first->Leave();
  second->Leave();
  EXPECT_EQ(first->Get()->kind, Kind::kLeft);
  EXPECT_EQ(second->Get()->kind, Kind::kLeft);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kFailed);
  EXPECT_EQ(smtp_.heard("."), 0);
}

TEST_F(ExecutionsTest, WhoJoinsACancelledRunBeginsAnew) {
  fake_->Hold(Step::kSettle);
  smtp_.Hold("MAIL");
  const auto first = Start(Request());
  ASSERT_TRUE(Hears("MAIL"));
  first->Leave();
  EXPECT_EQ(first->Get()->kind, Kind::kLeft);
  ASSERT_TRUE(Becomes([&] { return fake_->holds(); }));
  const auto second = Start(Request());
  smtp_.Release();
  fake_->Release();
  EXPECT_EQ(second->Get()->execution.state, State::kSent);
  EXPECT_EQ(Stored().attempts, 2u);
}

TEST_F(ExecutionsTest, LeavingAfterTheGateLetsItFinish) {
  smtp_.Hold(".");
  const auto call = Start(Request());
  ASSERT_TRUE(Hears("."));
  call->Leave();
  EXPECT_EQ(call->Get()->kind, Kind::kLeft);
  EXPECT_EQ(executions_->running(), 1);
  smtp_.Release();
  EXPECT_TRUE(Idle());
  const auto next = Execute(Request());
  EXPECT_EQ(next->kind, Kind::kReplayed);
  EXPECT_EQ(next->execution.state, State::kSent);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsTest, DeadlineAfterTheGateIsInProgressAndTheNextCallGetsTheOutcome) {
  smtp_.Hold(".");
  const auto call = Start(Request(), Deadline::After(milliseconds(1500)));
  ASSERT_TRUE(Hears("."));
  EXPECT_EQ(call->Get()->kind, Kind::kInProgress);
  const auto next = Start(Request());
  EXPECT_FALSE(next->over());
  smtp_.Release();
  EXPECT_EQ(next->Get()->kind, Kind::kEnded);
  EXPECT_EQ(next->Get()->execution.state, State::kSent);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsTest, DeadlineBeforeTheGateFailsAndIsRecorded) {
  smtp_.Hold("MAIL");
  const auto call = Start(Request(), Deadline::After(milliseconds(200)));
  const auto answer = call->Get();
  EXPECT_THAT(answer->kind, ::testing::AnyOf(Kind::kEnded, Kind::kInProgress));
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kFailed);
  EXPECT_EQ(smtp_.heard("."), 0);
}

TEST_F(ExecutionsTest, AnotherEmailUnderAnIdThatWasSentIsReused) {
  smtp_.Hold(".");
  const auto first = Start(Request());
  ASSERT_TRUE(Hears("."));
  const auto joined = Start(Request("r1", "another email"));
  EXPECT_FALSE(joined->over());
  smtp_.Release();
  EXPECT_EQ(first->Get()->execution.state, State::kSent);
  EXPECT_EQ(joined->Get()->kind, Kind::kReused);
  EXPECT_EQ(Execute(Request("r1", "another email"))->kind, Kind::kReused);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsTest, AnotherEmailIsSentOnceTheFirstHasFailed) {
  smtp_.Hold("MAIL");
  smtp_.Reply("MAIL", "550 5.7.1 no");
  const auto first = Start(Request());
  ASSERT_TRUE(Hears("MAIL"));
  auto request = Request("r1", "another email");
  request->command.envelope.recipients = {*base::ParseAddress("b@example.org")};
  const auto joined = Start(request);
  fake_->Hold(Step::kSettle);
  smtp_.Release();
  ASSERT_TRUE(Becomes([&] { return fake_->holds(); }));
  smtp_.Forget();
  fake_->Release();
  EXPECT_EQ(first->Get()->execution.state, State::kFailed);
  EXPECT_EQ(joined->Get()->execution.state, State::kSent);
  EXPECT_EQ(smtp_.heard("RCPT TO:<b@"), 1);
  EXPECT_EQ(Stored().fingerprint, "another email");
}

TEST_F(ExecutionsTest, WhoOutlivesTheFirstDeadlineBeginsAnew) {
  smtp_.Hold("MAIL");
  const auto first = Start(Request(), Deadline::After(milliseconds(300)));
  const auto second = Start(Request());
  EXPECT_NE(first->Get()->kind, Kind::kReplayed);
  smtp_.Release();
  EXPECT_EQ(second->Get()->kind, Kind::kEnded);
  EXPECT_EQ(second->Get()->execution.state, State::kSent);
  EXPECT_EQ(smtp_.messages().size(), 1u);
}

TEST_F(ExecutionsTest, WhatFailedExecutesAgainWithNewSettings) {
  auto request = Request();
  request->command.account.resolved.settings.host = "gone.example";
  const auto failed = Execute(request);
  EXPECT_EQ(failed->kind, Kind::kEnded);
  ASSERT_TRUE(failed->error.has_value());
  EXPECT_EQ(failed->error->cause, Cause::kHostNotFound);
  EXPECT_EQ(Stored().state, State::kFailed);
  EXPECT_EQ(Stored().reason, "HOST_NOT_FOUND");
  const auto again = Execute(Request());
  EXPECT_EQ(again->kind, Kind::kEnded);
  EXPECT_EQ(again->execution.state, State::kSent);
  EXPECT_EQ(again->execution.attempts, 2u);
  EXPECT_EQ(again->execution.reason, "");
}

TEST_F(ExecutionsTest, RetryOfAPartialDeliverySendsToTheDeferredAlone) {
  smtp_.Reply("RCPT TO:<b@", "451 4.3.0 later");
  smtp_.Reply("RCPT TO:<c@", "550 5.1.1 nobody");
  const auto first = Execute(ToThree());
  EXPECT_EQ(first->kind, Kind::kEnded);
  EXPECT_FALSE(first->error.has_value());
  EXPECT_EQ(first->execution.state, State::kPending);
  EXPECT_EQ(first->execution.recipients[1].code, 451);

  const auto still = Execute(ToThree());
  EXPECT_EQ(still->execution.state, State::kPending);
  ASSERT_TRUE(still->error.has_value());
  ASSERT_EQ(still->recipients.size(), 1u);
  EXPECT_EQ(still->recipients[0].index, 1u) << "of the request, not of the attempt";

  smtp_.Forget();
  const auto last = Execute(ToThree());
  EXPECT_EQ(last->execution.state, State::kSent);
  EXPECT_EQ(last->execution.recipients[0].state, RecipientState::kAccepted);
  EXPECT_EQ(last->execution.recipients[1].state, RecipientState::kAccepted);
  EXPECT_EQ(last->execution.recipients[1].code, 0) << "the refusal before is over";
  EXPECT_EQ(last->execution.recipients[2].state, RecipientState::kRejected);
  EXPECT_EQ(smtp_.heard("RCPT TO:<a@"), 1);
  EXPECT_EQ(smtp_.heard("RCPT TO:<b@"), 3);
  EXPECT_EQ(smtp_.heard("RCPT TO:<c@"), 1);
  EXPECT_EQ(Execute(ToThree())->kind, Kind::kReplayed);
}

TEST_F(ExecutionsTest, AllOrNothingSendsNothingWhereOneIsRefused) {
  smtp_.Reply("RCPT TO:<b@", "451 4.3.0 later");
  auto request = ToThree();
  request->command.all_or_nothing = true;
  const auto executed = Execute(request);
  EXPECT_EQ(executed->execution.state, State::kFailed);
  EXPECT_EQ(smtp_.heard("DATA"), 0);
  EXPECT_EQ(fake_->count(Step::kGate), 0);
  smtp_.Forget();
  EXPECT_EQ(Execute(request)->execution.state, State::kSent);
}

TEST_F(ExecutionsTest, WhatIsUncertainIsReplayedUntilACallAsksForMore) {
  smtp_.Reply(".", "");
  const auto lost = Execute(Request());
  EXPECT_EQ(lost->kind, Kind::kEnded);
  ASSERT_TRUE(lost->error.has_value());
  EXPECT_EQ(lost->error->error_class, base::ErrorClass::kUncertain);
  EXPECT_EQ(lost->execution.state, State::kUncertain);
  smtp_.Forget();

  const auto later = Execute(Request());
  EXPECT_EQ(later->kind, Kind::kReplayed);
  EXPECT_EQ(later->execution.state, State::kUncertain);
  EXPECT_EQ(smtp_.connections(), 1);

  auto resend = Request();
  resend->message_id = "<another@example.com>";
  resend->command.resend_on_uncertain = true;
  EXPECT_EQ(Execute(resend)->execution.state, State::kSent);
  const auto messages = smtp_.messages();
  ASSERT_EQ(messages.size(), 2u);
  for (const std::string& message : messages) {
    EXPECT_THAT(message, HasSubstr("Message-ID: <r1@example.com>"));
  }
}

TEST_F(ExecutionsTest, ReplayToAnotherCallIsNoAnswerToOneThatResends) {
  smtp_.Reply(".", "");
  EXPECT_EQ(Execute(Request())->execution.state, State::kUncertain);
  smtp_.Forget();
  fake_->Hold(Step::kLook);
  const auto asking = Start(Request());
  ASSERT_TRUE(Becomes([&] { return fake_->holds(); }));
  auto resend = Request();
  resend->command.resend_on_uncertain = true;
  const auto resending = Start(resend);
  fake_->Release();
  EXPECT_EQ(asking->Get()->kind, Kind::kReplayed);
  EXPECT_EQ(resending->Get()->execution.state, State::kSent);
}

}  // namespace
}  // namespace sendstep::plugin
