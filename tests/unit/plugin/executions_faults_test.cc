// What callers get when the ledger fails, when another process is at the id, and in a stop.
#include <gmock/gmock.h>

#include "plugin/executions.h"
#include "tests/unit/plugin/executions_fixture.h"

namespace sendstep::plugin {
namespace {

using base::Cause;
using base::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;

const absl::Status kNoSpace = absl::UnavailableError("no space");
const absl::Status kDamaged = absl::DataLossError("damaged");

class ExecutionsFaultsTest : public ExecutionsTest {
 protected:
  // Once the stop is over nothing else is sent.
  void Abandon() {
    mailer_.Abandon();
    executions_->Abandon();
  }
};

TEST_F(ExecutionsFaultsTest, LedgerThatFailsAtTheBeginLetsNothingConnect) {
  for (const absl::Status& status : {kNoSpace, kDamaged}) {
    fake_->Fail(Step::kBegin, status);
    EXPECT_EQ(Execute(Request())->kind, Kind::kLedgerUnavailable);
  }
  EXPECT_EQ(smtp_.connections(), 0);
  fake_->Heal();
  EXPECT_EQ(Execute(Request())->execution.state, State::kSent);
}

TEST_F(ExecutionsFaultsTest, LedgerThatFailsAtTheGateHoldsBackTheEnd) {
  for (const absl::Status& status : {kNoSpace, kDamaged}) {
    fake_->Fail(Step::kGate, status, 1);
    const auto executed = Execute(Request());
    EXPECT_EQ(executed->kind, Kind::kEnded);
    ASSERT_TRUE(executed->error.has_value());
    EXPECT_EQ(executed->error->cause, Cause::kGateClosed);
    EXPECT_EQ(executed->execution.state, State::kFailed);
    EXPECT_EQ(Stored().reason, "LEDGER_UNAVAILABLE");
  }
  EXPECT_EQ(smtp_.heard("DATA"), 2);
  EXPECT_EQ(smtp_.heard("."), 0);
  EXPECT_EQ(Execute(Request())->execution.state, State::kSent);
}

TEST_F(ExecutionsFaultsTest, LedgerThatFailsAtTheSettleHidesNothingAndIsToldLater) {
  fake_->Fail(Step::kSettle, kNoSpace);
  const auto executed = Execute(Request());
  EXPECT_EQ(executed->kind, Kind::kEnded);
  EXPECT_EQ(executed->execution.state, State::kSent);
  EXPECT_EQ(Execute(Request()), executed) << "a call meanwhile gets the same";
  EXPECT_EQ(Execute(Request("r1", "another email"))->kind, Kind::kLedgerUnavailable);
  EXPECT_EQ(executions_->running(), 1);
  EXPECT_EQ(Stored().state, State::kCommitting);
  fake_->Heal();
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kSent);
  EXPECT_EQ(Execute(Request())->kind, Kind::kReplayed);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsFaultsTest, ACallThatLeftMeanwhileDoesNotKeepItFromBeingRecorded) {
  smtp_.Hold(".");
  const auto call = Start(Request());
  ASSERT_TRUE(Hears("."));
  fake_->Fail(Step::kSettle, kNoSpace, 1);
  call->Leave();
  EXPECT_EQ(call->Get()->kind, Kind::kLeft);
  smtp_.Release();
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kSent);
}

TEST_F(ExecutionsFaultsTest, DamagedLedgerOfThisProcessAloneEndsTheRun) {
  Use(std::make_unique<FakeStore>(/*shared=*/false));
  fake_->Fail(Step::kSettle, kDamaged);
  EXPECT_EQ(Execute(Request())->execution.state, State::kSent);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kCommitting);
}

TEST_F(ExecutionsFaultsTest, WhatCouldNotBeRecordedInTimeIsUncertain) {
  Use(std::make_unique<FakeStore>(), {milliseconds(100), milliseconds(100)});
  fake_->Fail(Step::kSettle, kNoSpace);
  EXPECT_EQ(Execute(Request())->execution.state, State::kSent);
  EXPECT_TRUE(Idle());
  fake_->Heal();
  const auto later = Execute(Request());
  EXPECT_EQ(later->kind, Kind::kReplayed);
  EXPECT_EQ(later->execution.state, State::kUncertain);
  EXPECT_EQ(later->execution.reason, "OWNER_GONE");
}

TEST_F(ExecutionsFaultsTest, LedgerThatThrowsEndsTheRunAndItsRenewals) {
  for (const Step step : {Step::kBegin, Step::kGate, Step::kSettle}) {
    Use(std::make_unique<FakeStore>(), {milliseconds(3), seconds(1)});
    fake_->Fail(step, absl::InternalError("throw"));
    EXPECT_EQ(Execute(Request())->kind, Kind::kInProgress);
    EXPECT_TRUE(Idle());
  }
}

TEST_F(ExecutionsFaultsTest, AnotherProcessIsWaitedForAndItsOutcomeReplayed) {
  fake_->Put(Key(), OfAnother(State::kReserved));
  const auto call = Start(Request());
  ASSERT_TRUE(Reaches(Step::kLook, 3));
  EXPECT_FALSE(call->over());
  const ledger::Execution theirs = OfAnother(State::kSent);
  fake_->Put(Key(), theirs);
  EXPECT_EQ(call->Get()->kind, Kind::kReplayed);
  EXPECT_EQ(call->Get()->execution, theirs);
  EXPECT_EQ(smtp_.connections(), 0);
}

TEST_F(ExecutionsFaultsTest, AnotherProcessIsTakenForGoneOnceItsLeaseIsOver) {
  ledger::Execution theirs = OfAnother(State::kReserved);
  theirs.lease_until = ledger::Now() + milliseconds(200);
  fake_->Put(Key(), theirs);
  const auto executed = Execute(Request());
  EXPECT_EQ(executed->execution.state, State::kSent);
  EXPECT_EQ(executed->execution.epoch, 2u);
  EXPECT_GE(ledger::Now(), theirs.lease_until);
}

TEST_F(ExecutionsFaultsTest, WhatAnotherProcessMayHaveSentBecomesUncertainThen) {
  ledger::Execution theirs = OfAnother(State::kCommitting);
  theirs.recipients[0].state = ledger::Recipient::State::kOffered;
  theirs.lease_until = ledger::Now() + milliseconds(50);
  fake_->Put(Key(), theirs);
  const auto executed = Execute(Request());
  EXPECT_EQ(executed->kind, Kind::kReplayed);
  EXPECT_EQ(executed->execution.state, State::kUncertain);
  EXPECT_EQ(Stored().state, State::kUncertain);
  EXPECT_EQ(smtp_.connections(), 0);
}

TEST_F(ExecutionsFaultsTest, AnotherProcessThatIsSlowerThanTheDeadlineIsInProgress) {
  fake_->Put(Key(), OfAnother(State::kReserved));
  const auto call = Start(Request(), Deadline::After(milliseconds(100)));
  EXPECT_EQ(call->Get()->kind, Kind::kInProgress);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(smtp_.connections(), 0);
}

TEST_F(ExecutionsFaultsTest, LeavingEndsTheWaitForAnotherProcess) {
  fake_->Put(Key(), OfAnother(State::kReserved));
  const auto call = Start(Request());
  ASSERT_TRUE(Reaches(Step::kLook, 2));
  call->Leave();
  EXPECT_EQ(call->Get()->kind, Kind::kLeft);
  EXPECT_TRUE(Idle());
}

TEST_F(ExecutionsFaultsTest, WhoeverHeldALedgerOfThisProcessAloneIsGone) {
  Use(std::make_unique<FakeStore>(/*shared=*/false));
  fake_->Put(Key(), OfAnother(State::kReserved));
  EXPECT_EQ(Execute(Request())->execution.state, State::kSent);
}

TEST_F(ExecutionsFaultsTest, WhoIsTakenOverBeforeTheGateSendsNoEnd) {
  fake_->Hold(Step::kGate);
  const auto call = Start(Request());
  ASSERT_TRUE(Becomes([&] { return fake_->holds(); }));
  fake_->Put(Key(), OfAnother(State::kReserved, 2));
  const int looks = fake_->count(Step::kLook);
  fake_->Release();
  ASSERT_TRUE(Reaches(Step::kLook, looks + 3));
  EXPECT_FALSE(call->over());
  const ledger::Execution theirs = OfAnother(State::kSent, 2);
  fake_->Put(Key(), theirs);
  EXPECT_EQ(call->Get()->kind, Kind::kReplayed);
  EXPECT_EQ(call->Get()->execution, theirs);
  EXPECT_EQ(smtp_.heard("DATA"), 1);
  EXPECT_EQ(smtp_.heard("."), 0);
}

TEST_F(ExecutionsFaultsTest, WhoIsTakenOverAfterTheEndSendsNoSecondOne) {
  smtp_.Hold(".");
  const auto call = Start(Request());
  ASSERT_TRUE(Hears("."));
  // Taken for gone, and a person said that it was not sent.
  ledger::Execution settled = Stored();
  settled.state = State::kFailed;
  fake_->Put(Key(), settled);
  smtp_.Release();
  const auto executed = call->Get();
  EXPECT_EQ(executed->kind, Kind::kEnded);
  EXPECT_EQ(executed->execution.state, State::kSent);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsFaultsTest, LeaseIsRenewedWhileAServerIsSlowBeforeTheGate) {
  Use(std::make_unique<FakeStore>(), {milliseconds(300), seconds(60)});
  smtp_.Hold("MAIL");
  const auto call = Start(Request());
  ASSERT_TRUE(Hears("MAIL"));
  const ledger::Time lease = Stored().lease_until;
  ASSERT_TRUE(Reaches(Step::kRenew, 5));
  EXPECT_GT(Stored().lease_until, lease);
  EXPECT_GT(ledger::Now(), lease) << "without renewals it would be over";
  smtp_.Release();
  EXPECT_EQ(call->Get()->execution.state, State::kSent);
}

TEST_F(ExecutionsFaultsTest, StopEndsARunBeforeTheGate) {
  smtp_.Hold("MAIL");
  const auto call = Start(Request());
  ASSERT_TRUE(Hears("MAIL"));
  Abandon();
  const auto executed = call->Get();
  ASSERT_TRUE(executed->error.has_value());
  EXPECT_EQ(executed->error->cause, Cause::kStopped);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kFailed);
}

TEST_F(ExecutionsFaultsTest, StopWhileTheIdIsTakenIsAStop) {
  fake_->Hold(Step::kBegin);
  const auto call = Start(Request());
  ASSERT_TRUE(Becomes([&] { return fake_->holds(); }));
  Abandon();
  fake_->Release();
  const auto executed = call->Get();
  ASSERT_TRUE(executed->error.has_value());
  EXPECT_EQ(executed->error->cause, Cause::kStopped);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kFailed);
}

TEST_F(ExecutionsFaultsTest, StopEndsTheWaitForAnotherProcess) {
  fake_->Put(Key(), OfAnother(State::kReserved));
  const auto call = Start(Request());
  ASSERT_TRUE(Reaches(Step::kLook, 2));
  Abandon();
  ASSERT_TRUE(call->Get()->error.has_value());
  EXPECT_EQ(call->Get()->error->cause, Cause::kStopped);
  EXPECT_TRUE(Idle());
}

TEST_F(ExecutionsFaultsTest, StopAfterTheEndIsUncertainAndRecorded) {
  smtp_.Hold(".");
  const auto call = Start(Request());
  ASSERT_TRUE(Hears("."));
  Abandon();
  const auto executed = call->Get();
  ASSERT_TRUE(executed->error.has_value());
  EXPECT_EQ(executed->error->cause, Cause::kStopped);
  EXPECT_EQ(executed->error->error_class, base::ErrorClass::kUncertain);
  EXPECT_TRUE(Idle());
  EXPECT_EQ(Stored().state, State::kUncertain);
}

TEST_F(ExecutionsFaultsTest, StopDoesNotWaitForALedgerThatIsUnwell) {
  fake_->Fail(Step::kSettle, kNoSpace);
  EXPECT_EQ(Execute(Request())->execution.state, State::kSent);
  EXPECT_EQ(executions_->running(), 1);
  Abandon();
  EXPECT_TRUE(Idle());
}

TEST_F(ExecutionsFaultsTest, CallsAfterAStopAreRefused) {
  Abandon();
  const auto executed = Execute(Request());
  ASSERT_TRUE(executed->error.has_value());
  EXPECT_EQ(executed->error->cause, Cause::kStopped);
  EXPECT_EQ(fake_->count(Step::kBegin), 0);
}

// For ThreadSanitizer: calls come, leave and end while it stops.
TEST_F(ExecutionsFaultsTest, StopAmidManyCallsAnswersThemAll) {
  std::vector<std::unique_ptr<Call>> calls;
  std::jthread stop([this] {
    (void)Becomes([this] { return fake_->count(Step::kSettle) >= 5; });
    Abandon();
  });
  for (int i = 0; i < 120; ++i) {
    calls.push_back(Start(Request("r" + std::to_string(i / 3))));
    if (i % 5 == 0) calls.back()->Leave();
  }
  for (const auto& call : calls) EXPECT_NE(call->Get(), nullptr);
  EXPECT_TRUE(Idle());
  for (int i = 0; i < 40; ++i) {
    EXPECT_NE(Stored("r" + std::to_string(i)).state, State::kCommitting);
  }
}

}  // namespace
}  // namespace sendstep::plugin
