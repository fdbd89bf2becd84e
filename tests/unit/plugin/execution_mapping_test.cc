#include "plugin/execution_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "plugin/status_details.h"
#include "providers/registry.h"

namespace sendstep::plugin {
namespace {

using base::Cause;
using base::ErrorClass;
using base::Stage;
using grpc::StatusCode;
using ledger::State;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Kind = Executed::Kind;
using RecipientState = ledger::Recipient::State;

class ExecutionMappingTest : public ::testing::Test {
 protected:
  ExecutionMappingTest() {
    request_.command.account.resolved.profile = &registry_.Custom();
    request_.command.recipient_names = {"a@example.org", "b@example.org"};
    request_.message_id = "<r1@example.com>";
    executed_.execution.message_id = "<r1@example.com>";
    executed_.execution.recipients.resize(2);
  }

  grpc::Status Map() {
    response_.Clear();
    return ExecutedStatus(request_, executed_, {}, response_);
  }
  // The code and the reason.
  std::pair<StatusCode, std::string> Outcome() {
    const grpc::Status status = Map();
    const auto details = ParseDetails(status);
    return {status.error_code(), details ? details->reason : ""};
  }
  std::pair<StatusCode, std::string> OutcomeOf(Kind kind) {
    executed_.kind = kind;
    return Outcome();
  }
  void Is(State state, RecipientState first, RecipientState second, int second_code = 0) {
    executed_.execution.state = state;
    executed_.execution.recipients[0].state = first;
    executed_.execution.recipients[1].state = second;
    executed_.execution.recipients[1].code = second_code;
  }

  const providers::Registry registry_ = providers::Registry::Embedded();
  ExecutionRequest request_;
  Executed executed_;
  v1::ExecuteResponse response_;
};

TEST_F(ExecutionMappingTest, WhatComesToNoAttemptHasAStatusOfItsOwn) {
  EXPECT_EQ(OutcomeOf(Kind::kReused),
            std::pair(StatusCode::FAILED_PRECONDITION, std::string("REQUEST_ID_REUSED")));
  EXPECT_EQ(OutcomeOf(Kind::kInProgress),
            std::pair(StatusCode::ABORTED, std::string("REQUEST_IN_PROGRESS")));
  EXPECT_EQ(OutcomeOf(Kind::kLedgerUnavailable),
            std::pair(StatusCode::UNAVAILABLE, std::string("LEDGER_UNAVAILABLE")));
  EXPECT_EQ(OutcomeOf(Kind::kLeft).first, StatusCode::CANCELLED);
}

TEST_F(ExecutionMappingTest, SentIsOkAndSaysWhetherItIsAReplay) {
  Is(State::kSent, RecipientState::kAccepted, RecipientState::kAccepted);
  executed_.execution.receipt = ledger::Receipt{250, "2.0.0", "4711", 321, ledger::Time()};
  ASSERT_TRUE(Map().ok());
  EXPECT_EQ(response_.outcome(), v1::OUTCOME_SENT);
  EXPECT_EQ(response_.dedupe(), v1::DEDUPE_FIRST);
  executed_.kind = Kind::kReplayed;
  ASSERT_TRUE(Map().ok());
  EXPECT_EQ(response_.dedupe(), v1::DEDUPE_REPLAYED);
  EXPECT_EQ(response_.message_id(), "<r1@example.com>");
  EXPECT_EQ(response_.provider_message_id(), "4711");
  EXPECT_EQ(response_.size_bytes(), 321u);
  EXPECT_EQ(response_.final_reply().code(), 250u);
}

TEST_F(ExecutionMappingTest, SomeRefusedForGoodIsPartiallySentAlsoAsAReplay) {
  Is(State::kSent, RecipientState::kAccepted, RecipientState::kRejected, 550);
  executed_.kind = Kind::kReplayed;
  ASSERT_TRUE(Map().ok());
  EXPECT_EQ(response_.outcome(), v1::OUTCOME_PARTIALLY_SENT);
  EXPECT_EQ(response_.recipients(0).status(), v1::RECIPIENT_STATUS_ACCEPTED);
  EXPECT_EQ(response_.recipients(1).status(), v1::RECIPIENT_STATUS_REJECTED);
  EXPECT_EQ(response_.recipients(1).email(), "b@example.org");
}

TEST_F(ExecutionMappingTest, ARetryThatEndsWithARefusalForGoodIsPartiallySent) {
  Is(State::kSent, RecipientState::kAccepted, RecipientState::kRejected, 550);
  executed_.error = base::Refused(Stage::kRcptTo, {550, "5.1.1", {"nobody"}});
  executed_.recipients = {{1, false, {550, "5.1.1", {"nobody"}}}};
  ASSERT_TRUE(Map().ok());
  EXPECT_EQ(response_.outcome(), v1::OUTCOME_PARTIALLY_SENT);
  EXPECT_THAT(response_.recipients(1).reply().text(), HasSubstr("nobody"));
}

TEST_F(ExecutionMappingTest, SomeRefusedForNowIsPendingAndSaysWhoHasIt) {
  Is(State::kPending, RecipientState::kAccepted, RecipientState::kDeferred, 451);
  EXPECT_EQ(Outcome(), std::pair(StatusCode::UNAVAILABLE, std::string("RECIPIENTS_PENDING")));
  const grpc::Status status = Map();
  EXPECT_THAT(status.error_message(), HasSubstr("1 of 2"));
  const auto details = ParseDetails(status);
  EXPECT_GE(details->retry_after.value_or(milliseconds(0)), std::chrono::seconds(1));
  EXPECT_EQ(details->metadata.at("retryable"), "true");
  EXPECT_THAT(details->metadata.at("recipients"),
              AllOf(HasSubstr("a@example.org: has the email"), HasSubstr("b@example.org: 451")));
}

TEST_F(ExecutionMappingTest, ARetryThatFailsStillSaysThatSomeHaveTheEmail) {
  Is(State::kPending, RecipientState::kAccepted, RecipientState::kDeferred, 451);
  executed_.error =
      base::Failed(Stage::kTcp, Cause::kConnectionRefused, ErrorClass::kTransient, "refused");
  EXPECT_EQ(Outcome(), std::pair(StatusCode::UNAVAILABLE, std::string("RECIPIENTS_PENDING")));
  EXPECT_THAT(Map().error_message(), HasSubstr("1 of 2 recipients have the email; the attempt"));
  executed_.error = base::Refused(Stage::kAuth, {535, "5.7.8", {"wrong password"}});
  EXPECT_EQ(Outcome(),
            std::pair(StatusCode::FAILED_PRECONDITION, std::string("RECIPIENTS_PENDING")));
  EXPECT_EQ(ParseDetails(Map())->metadata.at("retryable"), "false");
}

TEST_F(ExecutionMappingTest, AResendThatFailsLeavesItUncertain) {
  Is(State::kUncertain, RecipientState::kOffered, RecipientState::kOffered);
  executed_.error =
      base::Failed(Stage::kTcp, Cause::kConnectionRefused, ErrorClass::kTransient, "refused");
  EXPECT_EQ(Outcome(), std::pair(StatusCode::DATA_LOSS, std::string("DELIVERY_UNCERTAIN")));
  EXPECT_THAT(Map().error_message(), HasSubstr("The attempt to send it again failed"));
}

TEST_F(ExecutionMappingTest, UncertainIsDataLossAtOnceAndAsAReplay) {
  Is(State::kUncertain, RecipientState::kOffered, RecipientState::kOffered);
  const std::pair expected(StatusCode::DATA_LOSS, std::string("DELIVERY_UNCERTAIN"));
  EXPECT_EQ(OutcomeOf(Kind::kReplayed), expected);
  executed_.error = base::Failed(Stage::kData, Cause::kTimeout, ErrorClass::kUncertain);
  EXPECT_EQ(OutcomeOf(Kind::kEnded), expected);
}

TEST_F(ExecutionMappingTest, WhatFailedForLackOfTheLedgerOrOfTimeMayBeTriedAgain) {
  Is(State::kFailed, RecipientState::kOpen, RecipientState::kOpen);
  executed_.error = base::Failed(Stage::kData, Cause::kGateClosed, ErrorClass::kTransient);
  EXPECT_EQ(Outcome(), std::pair(StatusCode::UNAVAILABLE, std::string("LEDGER_UNAVAILABLE")));
  executed_.error = base::Failed(Stage::kDns, Cause::kStopped, ErrorClass::kTransient);
  EXPECT_EQ(Outcome(), std::pair(StatusCode::UNAVAILABLE, std::string("SHUTTING_DOWN")));
  executed_.error = base::Failed(Stage::kDns, Cause::kCancelled, ErrorClass::kTransient);
  EXPECT_EQ(Outcome().first, StatusCode::CANCELLED);
}

TEST_F(ExecutionMappingTest, WhatWasHeldBackMayBeTriedAgainWhenItsTurnIsExpected) {
  Is(State::kFailed, RecipientState::kOpen, RecipientState::kOpen);
  executed_.error = base::Failed(Stage::kTcp, Cause::kHeldBack, ErrorClass::kTransient);
  executed_.error->retry_after = milliseconds(1500);
  EXPECT_EQ(Outcome(), std::pair(StatusCode::RESOURCE_EXHAUSTED, std::string("HELD_BACK")));
  const auto details = ParseDetails(Map());
  EXPECT_EQ(details->retry_after, milliseconds(1500));
  EXPECT_EQ(details->metadata.at("retryable"), "true");
  EXPECT_EQ(details->metadata.at("fault"), "PLUGIN");
}

TEST_F(ExecutionMappingTest, OthersThatAreHeldBackStayPending) {
  Is(State::kPending, RecipientState::kAccepted, RecipientState::kDeferred, 451);
  executed_.error = base::Failed(Stage::kTcp, Cause::kHeldBack, ErrorClass::kTransient);
  executed_.error->retry_after = milliseconds(1500);
  EXPECT_EQ(Outcome(), std::pair(StatusCode::UNAVAILABLE, std::string("RECIPIENTS_PENDING")));
  EXPECT_EQ(ParseDetails(Map())->retry_after, milliseconds(1500));
}

TEST_F(ExecutionMappingTest, ExecutionHasStateTimesRecipientsAndNoAddress) {
  ledger::Execution execution = executed_.execution;
  execution.state = State::kPending;
  execution.attempts = 3;
  execution.created_at = ledger::Time(milliseconds(1500));
  execution.recipients[0].state = RecipientState::kAccepted;
  execution.recipients[1] = {RecipientState::kDeferred, false, 451, "4.3.0"};
  execution.last_reply = {451, "4.3.0"};
  execution.reason = "SERVER_UNAVAILABLE";
  const v1::Execution out = ToExecution("r1", execution);
  EXPECT_EQ(out.request_id(), "r1");
  EXPECT_EQ(out.state(), v1::EXECUTION_STATE_PENDING);
  EXPECT_EQ(out.attempts(), 3u);
  EXPECT_EQ(out.created_at().seconds(), 1);
  EXPECT_EQ(out.created_at().nanos(), 500'000'000);
  EXPECT_EQ(out.recipients(0).status(), v1::RECIPIENT_STATUS_ACCEPTED);
  EXPECT_FALSE(out.recipients(0).has_reply());
  EXPECT_EQ(out.recipients(1).status(), v1::RECIPIENT_STATUS_DEFERRED);
  EXPECT_EQ(out.recipients(1).reply().code(), 451u);
  EXPECT_EQ(out.last_reply().code(), 451u);
  EXPECT_EQ(out.reason(), "SERVER_UNAVAILABLE");
  EXPECT_THAT(out.DebugString(), Not(HasSubstr("example.org")));
}

TEST_F(ExecutionMappingTest, WhoMayHaveItIsUncertain) {
  ledger::Execution execution = executed_.execution;
  execution.recipients[0].state = RecipientState::kOffered;
  execution.recipients[1] = {RecipientState::kRejected, /*maybe=*/true, 550, ""};
  const v1::Execution out = ToExecution("r1", execution);
  EXPECT_EQ(out.recipients(0).status(), v1::RECIPIENT_STATUS_UNCERTAIN);
  EXPECT_EQ(out.recipients(1).status(), v1::RECIPIENT_STATUS_UNCERTAIN);
}

template <class T>
std::vector<std::string> Findings(const Checked<T>& checked) {
  std::vector<std::string> all;
  for (const auto& finding : checked.findings) all.push_back(finding.field + " " + finding.reason);
  return all;
}

TEST(LedgerQuestionsTest, WantAnIdAndAResolution) {
  EXPECT_THAT(Findings(MapGet({})), ElementsAre("request_id REQUEST_ID_REQUIRED"));
  v1::ResolveExecutionRequest resolve;
  EXPECT_THAT(Findings(MapResolve(resolve)),
              ElementsAre("request_id REQUEST_ID_REQUIRED", "resolution FIELD_REQUIRED"));
  resolve.set_request_id("r1");
  resolve.set_resolution(v1::RESOLUTION_SENT);
  EXPECT_TRUE(MapResolve(resolve).ok());
  EXPECT_TRUE(MapResolve(resolve).value.sent);
  resolve.set_resolution(v1::RESOLUTION_NOT_SENT);
  EXPECT_FALSE(MapResolve(resolve).value.sent);
  EXPECT_EQ(ExecutionNotFound("r1").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(NotUncertain("r1", {}).error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST(LedgerQuestionsTest, ListAsksForAHundredOfTheCallersOwnUnlessTold) {
  const Checked<ledger::Query> query = MapList({}, "execute", "t");
  EXPECT_TRUE(query.ok());
  EXPECT_EQ(query.value.space, "execute");
  EXPECT_EQ(query.value.tenant, "t");
  EXPECT_EQ(query.value.limit, 100u);
  EXPECT_FALSE(query.value.state.has_value());
  EXPECT_FALSE(query.value.after.has_value());
}

TEST(LedgerQuestionsTest, WhatListCannotMeanIsNamed) {
  v1::ListExecutionsRequest request;
  request.set_state(static_cast<v1::ExecutionState>(99));
  request.mutable_updated_from()->set_nanos(-1);
  request.mutable_updated_until()->set_seconds(int64_t{1} << 60);
  request.set_page_size(1001);
  request.set_page_token("nonsense");
  EXPECT_THAT(Findings(MapList(request, "execute", "t")),
              ElementsAre("state FIELD_INVALID", "updated_from FIELD_INVALID",
                          "updated_until FIELD_INVALID", "page_size LIMIT_EXCEEDED",
                          "page_token FIELD_INVALID"));
}

TEST(LedgerQuestionsTest, TokenOfAFullPageLeadsToTheNext) {
  ledger::Query query;
  query.limit = 2;
  std::vector<ledger::Entry> entries(2);
  entries[1].key.request_id = "an-id:with\"all\"sorts";
  entries[1].execution.updated_at = ledger::Time(milliseconds(-1234567890123));
  const v1::ListExecutionsResponse page = ToPage(query, entries);
  EXPECT_EQ(page.executions_size(), 2);
  v1::ListExecutionsRequest next;
  next.set_page_token(page.next_page_token());
  const Checked<ledger::Query> mapped = MapList(next, "execute", "t");
  ASSERT_TRUE(mapped.value.after.has_value());
  EXPECT_EQ(mapped.value.after->key.request_id, entries[1].key.request_id);
  EXPECT_EQ(mapped.value.after->execution.updated_at, entries[1].execution.updated_at);
  entries[1].key.request_id = "no\xffid";
  next.set_page_token(ToPage(query, entries).next_page_token());
  EXPECT_THAT(Findings(MapList(next, "execute", "t")), ElementsAre("page_token FIELD_INVALID"));
  entries.pop_back();
  EXPECT_EQ(ToPage(query, entries).next_page_token(), "");
}

}  // namespace
}  // namespace sendstep::plugin
