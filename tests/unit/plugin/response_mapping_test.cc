#include "plugin/response_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugin/status_details.h"
#include "providers/reasons.h"

namespace sendstep::plugin {
namespace {

using base::Cause;
using base::ErrorClass;
using base::Stage;
using providers::Explained;
using providers::Finding;
using providers::Retryable;
using providers::Severity;

Explained Why(std::string reason, Retryable retryable) {
  return {.reason = std::move(reason),
          .fault = providers::Fault::kProvider,
          .retryable = retryable,
          .retry_after = std::chrono::seconds(retryable == Retryable::kTrue ? 60 : 0),
          .message = "What happened.",
          .what_to_do = "What to do.",
          .doc_url = "https://example.com/doc"};
}

base::Reply Reply(int code, std::string enhanced) {
  return {.code = code, .enhanced_code = std::move(enhanced), .lines = {"words"}};
}

TEST(ResponseMappingTest, EachKindOfFailureHasItsStatus) {
  const base::Error refused = base::Refused(Stage::kAuth, Reply(535, "5.7.8"));
  const base::Error deferred = base::Refused(Stage::kRcptTo, Reply(451, "4.3.0"));
  const base::Error uncertain =
      base::Failed(Stage::kData, Cause::kConnectionLost, ErrorClass::kUncertain);
  const base::Error cancelled =
      base::Failed(Stage::kTcp, Cause::kCancelled, ErrorClass::kTransient);
  const base::Error large =
      base::Failed(Stage::kMailFrom, Cause::kMessageTooLarge, ErrorClass::kPermanent);
  const auto code = [](const base::Error& error, const Explained& explained) {
    return ErrorStatus(error, explained, {}, "").error_code();
  };
  EXPECT_EQ(code(refused, Why("AUTH_REFUSED", Retryable::kFalse)),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(code(deferred, Why("SERVER_UNAVAILABLE", Retryable::kTrue)),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(code(deferred, Why("RATE_LIMITED", Retryable::kTrue)),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  const base::Error held_back =
      base::Failed(Stage::kConfig, Cause::kHeldBack, ErrorClass::kTransient);
  EXPECT_EQ(code(held_back, Why("HELD_BACK", Retryable::kTrue)),
            grpc::StatusCode::RESOURCE_EXHAUSTED)
      << "at any stage";
  EXPECT_EQ(code(uncertain, Why("DELIVERY_UNCERTAIN", Retryable::kUncertain)),
            grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(code(cancelled, Why("CANCELLED", Retryable::kTrue)), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(code(large, Why("MESSAGE_TOO_LARGE", Retryable::kFalse)),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(base::Refused(Stage::kData, Reply(552, "5.3.4")),
                 Why("MESSAGE_TOO_LARGE", Retryable::kFalse)),
            grpc::StatusCode::INVALID_ARGUMENT)
      << "the server's 552 is the same to the caller as its SIZE";
}

TEST(ResponseMappingTest, AFailureCarriesTheServersWordsAndAdvice) {
  base::Error error = base::Refused(Stage::kRcptTo, Reply(451, "4.3.0"));
  error.recipients = {{.index = 0, .accepted = false, .reply = Reply(451, "4.3.0")}};
  const grpc::Status status = ErrorStatus(error, Why("SERVER_UNAVAILABLE", Retryable::kTrue),
                                          {"a@example.com"}, "<id@example.com>");
  const auto details = ParseDetails(status);
  ASSERT_TRUE(details);
  EXPECT_EQ(details->reason, "SERVER_UNAVAILABLE");
  EXPECT_EQ(details->metadata.at("fault"), "PROVIDER");
  EXPECT_EQ(details->metadata.at("retryable"), "true");
  EXPECT_EQ(details->metadata.at("phase"), "rcpt_to");
  EXPECT_EQ(details->metadata.at("smtp_code"), "451");
  EXPECT_EQ(details->metadata.at("enhanced_code"), "4.3.0");
  EXPECT_EQ(details->metadata.at("reply"), "words");
  EXPECT_EQ(details->metadata.at("message_id"), "<id@example.com>");
  EXPECT_EQ(details->metadata.at("recipients"), "a@example.com: 451 4.3.0 words");
  EXPECT_EQ(details->retry_after, std::chrono::seconds(60));
}

TEST(ResponseMappingTest, RetryAfterIsExactToTheMillisecond) {
  const base::Error error = base::Failed(Stage::kTcp, Cause::kHeldBack, ErrorClass::kTransient);
  Explained explained = Why("HELD_BACK", Retryable::kTrue);
  explained.retry_after = std::chrono::milliseconds(1234);
  const auto details = ParseDetails(ErrorStatus(error, explained, {}, ""));
  ASSERT_TRUE(details);
  EXPECT_EQ(details->reason, "HELD_BACK");
  EXPECT_EQ(details->retry_after, std::chrono::milliseconds(1234));
  EXPECT_TRUE(details->violations.empty());
  const v1::Failure failure = ToFailure(error, explained, {}, "");
  EXPECT_EQ(failure.reason(), v1::REASON_HELD_BACK);
  EXPECT_EQ(failure.retry_after().seconds(), 1);
  EXPECT_EQ(failure.retry_after().nanos(), 234'000'000);
}

TEST(ResponseMappingTest, AFailureInAnAnswerNamesTheMessageId) {
  const base::Error uncertain =
      base::Failed(Stage::kData, Cause::kConnectionLost, ErrorClass::kUncertain);
  const v1::Failure failure = ToFailure(uncertain, Why("DELIVERY_UNCERTAIN", Retryable::kUncertain),
                                        {}, "<id@example.com>");
  EXPECT_EQ(failure.message_id(), "<id@example.com>");
  EXPECT_EQ(failure.reason(), v1::REASON_DELIVERY_UNCERTAIN);
}

TEST(ResponseMappingTest, FindingsBecomeFieldViolationsWithoutTheWarnings) {
  const std::vector<Finding> findings = {
      {Severity::kWarning, "config.smtp.port", "WARNING", "POP3.", "", ""},
      {Severity::kError, "email.to", "FIELD_REQUIRED", "No recipient.", "", ""},
      {Severity::kError, "email.html", "FIELD_REQUIRED", "No body.", "Set one.", ""}};
  const grpc::Status status = FindingsStatus(findings);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const auto details = ParseDetails(status);
  ASSERT_TRUE(details);
  ASSERT_EQ(details->violations.size(), 2u);
  EXPECT_EQ(details->violations[0].field, "email.to");
  EXPECT_EQ(details->violations[1].description, "No body. Set one.");
  EXPECT_EQ(details->metadata.at("fault"), "CONFIG");
}

TEST(ResponseMappingTest, TheServersOwnStateIsAFailedPrecondition) {
  const std::vector<Finding> findings = {
      {Severity::kError, "config", "NO_DEFAULT_RELAY", "None.", "Ask.", ""}};
  const grpc::Status status = FindingsStatus(findings);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ParseDetails(status)->metadata.at("fault"), "PLUGIN");
}

TEST(ResponseMappingTest, EveryReasonOfTheProvidersIsOneOfTheContract) {
  for (const auto& reason : providers::kReasons) {
    EXPECT_NE(ReasonOf(std::string(reason)), v1::REASON_UNSPECIFIED) << reason;
  }
}

TEST(ResponseMappingTest, ARecipientRefusedInAProbeIsAWarningWithItsReply) {
  smtp::DeliveryReport report;
  report.recipients = {{.index = 0, .accepted = true, .reply = Reply(250, "2.1.5")},
                       {.index = 1, .accepted = false, .reply = Reply(550, "5.1.1")}};
  v1::ValidateConfigResponse response;
  response.add_checks()->set_stage(v1::STAGE_RCPT_TO);
  AddRecipients(report, *response.mutable_checks());
  EXPECT_EQ(response.checks(0).status(), v1::CHECK_STATUS_WARN);
  EXPECT_EQ(response.checks(0).reply().code(), 550u);
  EXPECT_EQ(response.checks(0).detail(), "1 of 2 recipients not refused");
  AddRefusedRecipients(report, {"a@x.org", "b@x.org"}, *response.mutable_diagnostics());
  ASSERT_EQ(response.diagnostics_size(), 1);
  EXPECT_EQ(response.diagnostics(0).message(), "b@x.org is refused: 550 5.1.1 words");
}

TEST(ResponseMappingTest, StagesThatDidNotHappenAreSkipped) {
  Timeline timeline(nullptr);
  timeline.StageStarted(Stage::kDns);
  timeline.Failed(base::Failed(Stage::kDns, Cause::kHostNotFound, ErrorClass::kPermanent));
  v1::TestSendResponse response;
  AddChecks(timeline, Stage::kData, /*with_tls=*/false, *response.mutable_checks());
  ASSERT_EQ(response.checks_size(), 7);
  EXPECT_EQ(response.checks(0).status(), v1::CHECK_STATUS_FAIL);
  EXPECT_EQ(response.checks(1).stage(), v1::STAGE_TCP);
  EXPECT_EQ(response.checks(1).status(), v1::CHECK_STATUS_SKIPPED);
}

}  // namespace
}  // namespace sendstep::plugin
