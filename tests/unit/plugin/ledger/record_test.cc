#include "plugin/ledger/record.h"

#include <gtest/gtest.h>

namespace sendstep::ledger {
namespace {

using std::chrono::milliseconds;

Execution Full() {
  Execution execution;
  execution.state = State::kPending;
  execution.epoch = 7;
  execution.owner = "host-1";
  execution.lease_until = Time(milliseconds(1'795'400'916'001));
  execution.fingerprint = std::string("\0\xff\x01", 3);
  execution.attempts = 3;
  execution.created_at = Time(milliseconds(1));
  execution.updated_at = Time(milliseconds(2));
  execution.message_id = "<a@example.org>";
  execution.recipients = {{Recipient::State::kAccepted, false, 250, "2.1.5"},
                          {Recipient::State::kOpen, true, 0, ""},
                          {Recipient::State::kOffered, false, 0, ""},
                          {Recipient::State::kDeferred, false, 450, "4.2.0"},
                          {Recipient::State::kRejected, true, 550, ""}};
  execution.receipt = Receipt{250, "2.0.0", "4711", 123456789012, Time(milliseconds(3))};
  execution.last_reply = {450, "4.3.2"};
  execution.reason = "RECIPIENTS_PENDING";
  return execution;
}

TEST(Record, ComesBackAsItWas) {
  const auto read = FromRecord(ToRecord(Full()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Full());
  EXPECT_EQ(*FromRecord(ToRecord(Execution())), Execution());
}

TEST(Record, EarlierVersionsKeptNoLastReply) {
  const std::string earlier("\x08\x03", 2);  // the state alone: SENT
  const auto read = FromRecord(earlier);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->last_reply, Execution::Reply());
}

TEST(Record, EveryStateComesBack) {
  for (const State state : {State::kReserved, State::kCommitting, State::kSent, State::kPending,
                            State::kFailed, State::kUncertain}) {
    Execution execution = Full();
    execution.state = state;
    EXPECT_EQ(FromRecord(ToRecord(execution))->state, state);
  }
}

TEST(Record, StateNumbersNeverChange) {
  EXPECT_EQ(StateNumber(State::kReserved), 1);
  EXPECT_EQ(StateNumber(State::kCommitting), 2);
  EXPECT_EQ(StateNumber(State::kSent), 3);
  EXPECT_EQ(StateNumber(State::kPending), 4);
  EXPECT_EQ(StateNumber(State::kFailed), 5);
  EXPECT_EQ(StateNumber(State::kUncertain), 6);
}

TEST(Record, DamageIsDataLoss) {
  EXPECT_EQ(FromRecord("\xff\xff\xff").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(FromRecord("").status().code(), absl::StatusCode::kDataLoss) << "no state";
}

}  // namespace
}  // namespace sendstep::ledger
