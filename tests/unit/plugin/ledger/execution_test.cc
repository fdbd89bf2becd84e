// What the rules mean, case by case; execution_model_test.cc holds them against everything at once.
#include "plugin/ledger/execution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sendstep::ledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr Timing kTiming{.lease = seconds(30), .reply_wait = seconds(600)};
constexpr Time kNow{milliseconds(1'000'000)};

Claim ClaimOf(std::string fingerprint = "same", size_t recipients = 2) {
  Claim claim;
  claim.owner = "me";
  claim.fingerprint = std::move(fingerprint);
  claim.message_id = "<id@example.org>";
  claim.recipients = recipients;
  claim.timing = kTiming;
  return claim;
}

// Of another process.
Claim Others(Claim claim = ClaimOf()) {
  claim.owner = "other";
  return claim;
}

Claim Resending() {
  Claim claim = ClaimOf();
  claim.resend_on_uncertain = true;
  return claim;
}

Verdict Taken(std::vector<Verdict::Refused> refused = {}) {
  Verdict verdict;
  verdict.kind = Verdict::Kind::kTaken;
  verdict.refused = std::move(refused);
  verdict.receipt = Receipt{250, "2.0.0", "queue-1", 1234, kNow};
  verdict.last_reply = {250, "2.0.0"};
  return verdict;
}

Verdict Failed(std::vector<Verdict::Refused> refused = {}) {
  Verdict verdict;
  verdict.refused = std::move(refused);
  verdict.last_reply = {535, "5.7.8"};
  verdict.reason = "AUTH_REFUSED";
  return verdict;
}

Verdict Unknown() {
  Verdict verdict;
  verdict.kind = Verdict::Kind::kUncertain;
  verdict.reason = "DELIVERY_UNCERTAIN";
  return verdict;
}

Execution Claimed(const Execution* known = nullptr, const Claim& claim = ClaimOf()) {
  return std::get<Proceed>(Begin(known, claim, kNow)).execution;
}

Execution Gated(const Execution& reserved, std::vector<size_t> offered = {0, 1}) {
  return *Gate(reserved, reserved.epoch, offered, kTiming, kNow);
}

Execution Settled(const Execution& known, const Verdict& verdict) {
  return *Settle(known, known.epoch, verdict, kNow);
}

TEST(Execution, NewRequestIsSentToEveryRecipient) {
  const auto proceed = std::get<Proceed>(Begin(nullptr, ClaimOf(), kNow));
  EXPECT_EQ(proceed.execution.state, State::kReserved);
  EXPECT_EQ(proceed.execution.epoch, 1u);
  EXPECT_EQ(proceed.execution.attempts, 1u);
  EXPECT_EQ(proceed.execution.created_at, kNow);
  EXPECT_EQ(proceed.execution.lease_until, kNow + kTiming.lease);
  EXPECT_THAT(proceed.send_to, ElementsAre(0, 1));
}

TEST(Execution, RequestOfAnotherProcessIsBusyUntilItsLeaseEnds) {
  const Execution reserved = Claimed();
  const auto busy = std::get<Busy>(Begin(&reserved, Others(), kNow + seconds(29)));
  EXPECT_EQ(busy.look_again_at, kNow + seconds(30));
}

TEST(Execution, OwnerGoneBeforeTheGateIsTakenOverUnderTheNextEpoch) {
  const Execution reserved = Claimed();
  const auto proceed =
      std::get<Proceed>(Begin(&reserved, Others(ClaimOf("other", 3)), kNow + kTiming.lease));
  EXPECT_EQ(proceed.execution.epoch, 2u);
  EXPECT_EQ(proceed.execution.fingerprint, "other") << "nobody has anything of the first";
  EXPECT_THAT(proceed.send_to, ElementsAre(0, 1, 2));
}

TEST(Execution, WhatAProcessItselfHoldsItHasLostTrackOf) {
  const Execution reserved = Claimed();
  EXPECT_EQ(std::get<Proceed>(Begin(&reserved, ClaimOf(), kNow)).execution.epoch, 2u);
  const Execution gated = Gated(reserved);
  const auto replay = std::get<Replay>(Begin(&gated, ClaimOf(), kNow));
  EXPECT_EQ(replay.execution.state, State::kUncertain);
  EXPECT_EQ(replay.execution.reason, "OWNER_GONE");
  EXPECT_TRUE(replay.changed);
}

TEST(Execution, InAStoreOfOneProcessEveryOtherOwnerHasEnded) {
  Claim sole = Others();
  sole.sole = true;
  const Execution reserved = Claimed();
  EXPECT_EQ(std::get<Proceed>(Begin(&reserved, sole, kNow)).execution.owner, sole.owner);
  const Execution gated = Gated(reserved);
  EXPECT_EQ(std::get<Replay>(Begin(&gated, sole, kNow)).execution.state, State::kUncertain);
}

TEST(Execution, WhoeverLooksEndsWhatItsOwnerHasLeft) {
  const Execution reserved = Claimed();
  const Execution gated = Gated(reserved);
  for (const Execution& held : {reserved, gated}) {
    EXPECT_FALSE(Abandon(held, "other", /*sole=*/false, kNow));
    EXPECT_FALSE(Abandon(held, "me", /*sole=*/true, kNow)) << "it may be at it";
    EXPECT_TRUE(Abandon(held, "other", /*sole=*/true, kNow)) << "every other process has ended";
    const Execution ended = *Abandon(held, "other", /*sole=*/false, held.lease_until);
    EXPECT_EQ(ended.state, held.state == State::kReserved ? State::kFailed : State::kUncertain);
    EXPECT_EQ(ended.reason, "OWNER_GONE");
    EXPECT_FALSE(Abandon(ended, "other", /*sole=*/true, ended.lease_until)) << "nobody has it";
    EXPECT_EQ(ended.epoch, held.epoch);
  }
  const Execution failed = *Abandon(reserved, "other", /*sole=*/true, kNow);
  EXPECT_FALSE(Gate(failed, reserved.epoch, std::vector<size_t>{0, 1}, kTiming, kNow))
      << "an owner that was paused sends no end";
}

TEST(Execution, OwnerThatWasTakenOverIsRefusedAtTheGate) {
  const Execution first = Claimed();
  const auto second = std::get<Proceed>(Begin(&first, Others(), kNow + kTiming.lease)).execution;
  const std::vector<size_t> offered = {0, 1};
  EXPECT_FALSE(Gate(second, first.epoch, offered, kTiming, kNow));
  EXPECT_FALSE(Settle(second, first.epoch, Failed(), kNow));
  EXPECT_FALSE(Renew(second, first.epoch, kTiming, kNow));
  EXPECT_TRUE(Gate(second, second.epoch, offered, kTiming, kNow));
}

TEST(Execution, GateIsPassedOnce) {
  const Execution gated = Gated(Claimed());
  const std::vector<size_t> offered = {0};
  EXPECT_FALSE(Gate(gated, gated.epoch, offered, kTiming, kNow));
}

TEST(Execution, NobodyToSendToIsNoGate) {
  const Execution reserved = Claimed();
  EXPECT_FALSE(Gate(reserved, reserved.epoch, {}, kTiming, kNow));
}

TEST(Execution, OwnerGoneAfterTheGateIsUncertainOnceNoReplyCanCome) {
  const Execution gated = Gated(Claimed());
  const Time end = kNow + kTiming.lease + kTiming.reply_wait;
  EXPECT_TRUE(std::holds_alternative<Busy>(Begin(&gated, Others(), end - milliseconds(1))));
  const auto replay = std::get<Replay>(Begin(&gated, Others(), end));
  EXPECT_EQ(replay.execution.state, State::kUncertain);
  EXPECT_EQ(replay.execution.reason, "OWNER_GONE");
  EXPECT_TRUE(replay.changed);
}

TEST(Execution, OwnerWhoLearnsLateSettlesWhatWasCalledUncertain) {
  const Execution gated = Gated(Claimed());
  const Time end = kNow + kTiming.lease + kTiming.reply_wait;
  const Execution uncertain = std::get<Replay>(Begin(&gated, Others(), end)).execution;
  EXPECT_EQ(Settle(uncertain, gated.epoch, Taken(), end)->state, State::kSent);
  EXPECT_EQ(Settle(uncertain, gated.epoch, Failed(), end)->state, State::kFailed);
}

TEST(Execution, SentIsReplayedAndItsIdStandsForNoOtherEmail) {
  const Execution sent = Settled(Gated(Claimed()), Taken());
  ASSERT_EQ(sent.state, State::kSent);
  const auto replay = std::get<Replay>(Begin(&sent, ClaimOf(), kNow));
  EXPECT_EQ(replay.execution, sent);
  EXPECT_FALSE(replay.changed);
  EXPECT_TRUE(std::holds_alternative<Reused>(Begin(&sent, ClaimOf("other"), kNow)));
}

TEST(Execution, FailureWithNobodyServedIsTriedAgainWithWhatTheRetryBrings) {
  const Execution failed = Settled(Claimed(), Failed());
  ASSERT_EQ(failed.state, State::kFailed);
  EXPECT_EQ(failed.reason, "AUTH_REFUSED");
  const auto proceed = std::get<Proceed>(Begin(&failed, ClaimOf("mended", 1), kNow));
  EXPECT_EQ(proceed.execution.epoch, 2u);
  EXPECT_EQ(proceed.execution.attempts, 2u);
  EXPECT_EQ(proceed.execution.fingerprint, "mended");
  EXPECT_EQ(proceed.execution.reason, "");
  EXPECT_THAT(proceed.send_to, ElementsAre(0));
}

TEST(Execution, RefusedForGoodBesideOneAcceptedIsSent) {
  const Execution sent = Settled(Gated(Claimed(), {0}), Taken({{1, 550, "5.1.1"}}));
  EXPECT_EQ(sent.state, State::kSent);
  EXPECT_EQ(sent.recipients[1].state, Recipient::State::kRejected);
  EXPECT_EQ(sent.recipients[1].code, 550);
  EXPECT_EQ(sent.recipients[1].enhanced_code, "5.1.1");
}

TEST(Execution, OfferedBeforeTheServerRefusedThemTheyAreRefused) {
  const Execution sent = Settled(Gated(Claimed()), Taken({{1, 550, "5.1.1"}}));
  EXPECT_EQ(sent.state, State::kSent);
  EXPECT_EQ(sent.recipients[0].state, Recipient::State::kAccepted);
  EXPECT_EQ(sent.recipients[1].state, Recipient::State::kRejected);
  EXPECT_EQ(Settled(Gated(Claimed()), Taken({{1, 450, ""}})).state, State::kPending);
  EXPECT_EQ(Settled(Gated(Claimed()), Failed({{0, 550, ""}, {1, 550, ""}})).state, State::kFailed);
}

TEST(Execution, UncertainAreOnlyThoseNotRefusedUnlessEveryoneWas) {
  Verdict unknown = Unknown();
  unknown.refused = {{1, 550, "5.1.1"}};
  const Execution one = Settled(Gated(Claimed()), unknown);
  EXPECT_EQ(one.state, State::kUncertain);
  EXPECT_EQ(one.recipients[0].state, Recipient::State::kOffered);
  EXPECT_EQ(one.recipients[1].state, Recipient::State::kRejected);
  unknown.refused = {{0, 550, ""}, {1, 550, ""}};
  EXPECT_EQ(Settled(Gated(Claimed()), unknown).state, State::kUncertain)
      << "the server took it, for whomever";
}

TEST(Execution, RetryOfWhatIsPendingGoesToTheDeferredAlone) {
  const Execution pending = Settled(Gated(Claimed(), {0}), Taken({{1, 450, "4.2.1"}}));
  ASSERT_EQ(pending.state, State::kPending);
  EXPECT_TRUE(std::holds_alternative<Reused>(Begin(&pending, ClaimOf("other"), kNow)));
  const auto proceed = std::get<Proceed>(Begin(&pending, ClaimOf(), kNow));
  EXPECT_THAT(proceed.send_to, ElementsAre(1));
  const Execution again = Settled(Gated(proceed.execution, {1}), Taken());
  EXPECT_EQ(again.state, State::kSent);
  EXPECT_EQ(again.attempts, 2u);
}

TEST(Execution, RetryOfWhatIsPendingThatFailsStaysPending) {
  const Execution pending = Settled(Gated(Claimed(), {0}), Taken({{1, 450, ""}}));
  const Execution retried = Claimed(&pending);
  EXPECT_EQ(Settled(retried, Failed()).state, State::kPending);
  EXPECT_EQ(Settled(retried, Failed({{1, 550, ""}})).state, State::kSent)
      << "the last one is refused for good";
}

TEST(Execution, UncertainIsReplayedUntilSomeoneAsksForAnother) {
  const Execution uncertain = Settled(Gated(Claimed()), Unknown());
  ASSERT_EQ(uncertain.state, State::kUncertain);
  EXPECT_TRUE(std::holds_alternative<Replay>(Begin(&uncertain, ClaimOf(), kNow)));
  EXPECT_TRUE(std::holds_alternative<Reused>(Begin(&uncertain, ClaimOf("other"), kNow)));
  const auto proceed = std::get<Proceed>(Begin(&uncertain, Resending(), kNow));
  EXPECT_THAT(proceed.send_to, ElementsAre(0, 1));
  EXPECT_EQ(proceed.execution.message_id, uncertain.message_id);
}

TEST(Execution, ResendThatFailsLeavesItUncertain) {
  const Execution uncertain = Settled(Gated(Claimed()), Unknown());
  const Execution again = Claimed(&uncertain, Resending());
  EXPECT_EQ(Settled(again, Failed()).state, State::kUncertain);
  EXPECT_EQ(Settled(again, Failed({{0, 550, ""}, {1, 550, ""}})).state, State::kUncertain)
      << "the first message may have come all the same";
  EXPECT_EQ(Settled(Gated(again), Taken()).state, State::kSent);
}

TEST(Execution, ResendWhoseOwnerIsGoneIsNotGoneOnWithUnasked) {
  const Execution uncertain = Settled(Gated(Claimed()), Unknown());
  const Execution again = Claimed(&uncertain, Resending());
  const auto replay = std::get<Replay>(Begin(&again, Others(), kNow + kTiming.lease));
  EXPECT_EQ(replay.execution.state, State::kUncertain);
}

TEST(Execution, APersonSettlesWhatIsUncertain) {
  const Execution uncertain = Settled(Gated(Claimed(), {0}), Unknown());
  EXPECT_EQ(Resolve(uncertain, /*sent=*/true, kNow)->state, State::kPending)
      << "the second recipient was never offered";
  const Execution freed = *Resolve(uncertain, /*sent=*/false, kNow);
  EXPECT_EQ(freed.state, State::kFailed);
  EXPECT_TRUE(std::holds_alternative<Proceed>(Begin(&freed, ClaimOf("other"), kNow)));
  EXPECT_FALSE(Resolve(freed, true, kNow)) << "nothing is uncertain any more";
}

TEST(Execution, TakenWithoutTheGateIsRefused) {
  const Execution reserved = Claimed();
  EXPECT_FALSE(Settle(reserved, reserved.epoch, Taken(), kNow));
  EXPECT_FALSE(Settle(reserved, reserved.epoch, Unknown(), kNow));
}

TEST(Execution, LastReplyIsTheLastAttemptsAlone) {
  const Execution failed = Settled(Claimed(), Failed());
  EXPECT_EQ(failed.last_reply, (Execution::Reply{535, "5.7.8"}));
  const Execution again = Claimed(&failed);
  EXPECT_EQ(again.last_reply, Execution::Reply());
  const Execution uncertain = Settled(Gated(again), Unknown());
  EXPECT_EQ(uncertain.last_reply, Execution::Reply()) << "none came";
  EXPECT_EQ(Settled(uncertain, Taken()).last_reply, (Execution::Reply{250, "2.0.0"}));
}

TEST(Execution, RetryThatFailsLeavesTheReceiptAndHasAReplyOfItsOwn) {
  const Execution pending = Settled(Gated(Claimed(), {0}), Taken({{1, 450, ""}}));
  const Execution retried = Settled(Claimed(&pending), Failed());
  EXPECT_EQ(retried.receipt, pending.receipt);
  EXPECT_EQ(retried.last_reply.code, 535);
}

TEST(Execution, APersonsWordLeavesTheLastReply) {
  Verdict odd = Unknown();
  odd.last_reply = {451, "4.4.2"};
  const Execution uncertain = Settled(Gated(Claimed()), odd);
  EXPECT_EQ(Resolve(uncertain, /*sent=*/true, kNow)->last_reply, odd.last_reply);
}

TEST(Execution, RenewalNeverShortensALease) {
  const Execution reserved = Claimed();
  EXPECT_EQ(Renew(reserved, 1, {seconds(1), {}}, kNow)->lease_until, reserved.lease_until);
  EXPECT_EQ(Renew(reserved, 1, kTiming, kNow + seconds(5))->lease_until, kNow + seconds(35));
}

}  // namespace
}  // namespace sendstep::ledger
