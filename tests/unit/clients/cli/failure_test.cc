#include "clients/cli/failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sendstep::cli {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;

grpc::Status Ours(StatusCode code) {
  plugin::Details details;
  details.reason = "SOME_REASON";
  return plugin::MakeStatus(code, "message", details);
}

TEST(Failure, ExitCodesFollowTheOutcome) {
  const std::pair<StatusCode, ExitCode> table[] = {
      {StatusCode::INVALID_ARGUMENT, ExitCode::kInvalidInput},
      {StatusCode::FAILED_PRECONDITION, ExitCode::kRefused},
      {StatusCode::UNAVAILABLE, ExitCode::kTryLater},
      {StatusCode::RESOURCE_EXHAUSTED, ExitCode::kTryLater},
      {StatusCode::ABORTED, ExitCode::kTryLater},
      {StatusCode::DEADLINE_EXCEEDED, ExitCode::kTryLater},
      {StatusCode::DATA_LOSS, ExitCode::kUncertain},
      {StatusCode::NOT_FOUND, ExitCode::kUsage},
      {StatusCode::INTERNAL, ExitCode::kUnexpected},
      {StatusCode::UNIMPLEMENTED, ExitCode::kUnexpected},
      {StatusCode::CANCELLED, ExitCode::kUnexpected},
  };
  for (const auto& [code, exit] : table) {
    EXPECT_EQ(FromStatus(Ours(code), Sends::kYes).exit_code, exit) << code;
    EXPECT_EQ(FromStatus(Ours(code), Sends::kNo).exit_code, exit) << code;
  }
}

TEST(Failure, ACallThatBrokeOffIsUncertainWhereItSends) {
  for (const auto code : {StatusCode::UNAVAILABLE, StatusCode::DEADLINE_EXCEEDED,
                          StatusCode::CANCELLED, StatusCode::UNKNOWN, StatusCode::INTERNAL}) {
    const Failure failure = FromStatus(grpc::Status(code, "Socket closed"), Sends::kYes);
    EXPECT_EQ(failure.exit_code, ExitCode::kUncertain) << code;
    EXPECT_EQ(failure.details.metadata.at("retryable"), "uncertain");
  }
}

TEST(Failure, ABareStatusOfACallThatDoesNotSendMeansNoServer) {
  EXPECT_EQ(FromStatus(grpc::Status(StatusCode::UNAVAILABLE, "x"), Sends::kNo).exit_code,
            ExitCode::kUnreachable);
  EXPECT_EQ(FromStatus(grpc::Status(StatusCode::UNIMPLEMENTED, "x"), Sends::kYes).exit_code,
            ExitCode::kUnexpected);
}

TEST(Failure, FailuresInsideAnswersHaveTheSameCodes) {
  v1::Failure answer;
  answer.set_retryable(v1::RETRYABLE_TRUE);
  EXPECT_EQ(FromAnswer(answer).exit_code, ExitCode::kTryLater);
  answer.set_retryable(v1::RETRYABLE_FALSE);
  EXPECT_EQ(FromAnswer(answer).exit_code, ExitCode::kRefused);
  answer.set_reason(v1::REASON_MESSAGE_TOO_LARGE);
  EXPECT_EQ(FromAnswer(answer).exit_code, ExitCode::kInvalidInput);
  answer.set_retryable(v1::RETRYABLE_UNCERTAIN);
  EXPECT_EQ(FromAnswer(answer).exit_code, ExitCode::kUncertain);
}

TEST(Failure, InputErrorsAreToldApart) {
  EXPECT_EQ(FromInput(absl::InvalidArgumentError("x")).exit_code, ExitCode::kInvalidInput);
  EXPECT_EQ(FromInput(absl::NotFoundError("x")).exit_code, ExitCode::kUsage);
}

TEST(Failure, IsExplainedWithFaultRemedyAndRetry) {
  v1::Failure answer;
  answer.set_reason(v1::REASON_AUTH_REFUSED);
  answer.set_fault(v1::FAULT_CONFIG);
  answer.set_stage(v1::STAGE_AUTH);
  answer.set_retryable(v1::RETRYABLE_FALSE);
  answer.mutable_reply()->set_code(535);
  answer.mutable_reply()->set_enhanced_code("5.7.8");
  answer.mutable_reply()->set_text("Username and Password not accepted");
  answer.set_message("The server refused the password.");
  answer.set_what_to_do("Make an app password.");
  answer.set_doc_url("https://example.com/apppasswords");
  EXPECT_EQ(Explain(FromAnswer(answer), "not sent", Style(false)),
            "not sent: The server refused the password.\n"
            "  server said  535 5.7.8 Username and Password not accepted\n"
            "  reason       AUTH_REFUSED\n"
            "  stage        auth\n"
            "  fault        the step's settings or email\n"
            "  what to do   Make an app password.\n"
            "  try again    no: the same request fails again\n"
            "  see          https://example.com/apppasswords\n");
}

TEST(Failure, SaysWhenToTryAgainAndWhichFieldsAreWrong) {
  plugin::Details details;
  details.reason = "RATE_LIMITED";
  details.metadata = {{"retryable", "true"}, {"fault", "PROVIDER"}};
  details.retry_after = std::chrono::seconds(60);
  details.violations = {{"email.to[0].email", "the domain is empty", "ADDRESS_INVALID"}};
  const std::string text =
      Explain(FromStatus(plugin::MakeStatus(StatusCode::RESOURCE_EXHAUSTED, "slow down", details),
                         Sends::kYes),
              "not sent", Style(false));
  EXPECT_THAT(text, HasSubstr("try again  yes, in 60.0 s\n"));
  EXPECT_THAT(text, HasSubstr("field      email.to[0].email: the domain is empty\n"));
}

std::string ExplainSend(StatusCode code, const std::string& reason, const std::string& retryable,
                        const std::string& request_id = "run-1") {
  plugin::Details details;
  details.reason = reason;
  details.metadata = {{"retryable", retryable}};
  return Explain(FromStatus(plugin::MakeStatus(code, "m", details), Sends::kOnce), "not sent",
                 Style(false), request_id);
}

TEST(Failure, RecipientsWhoWaitAreReachedByTheSameCommand) {
  EXPECT_EQ(ExplainSend(StatusCode::UNAVAILABLE, "RECIPIENTS_PENDING", "true"),
            "not sent to everyone yet: m\n"
            "  reason      RECIPIENTS_PENDING\n"
            "  try again   yes, later: the same command with --request-id run-1 sends to those who "
            "wait, and to nobody twice\n"
            "  look        sendstep get run-1\n"
            "  request id  run-1\n");
}

TEST(Failure, ARequestInProgressIsWaitedForByTheSameCommand) {
  const std::string text = ExplainSend(StatusCode::ABORTED, "REQUEST_IN_PROGRESS", "true");
  EXPECT_THAT(text, HasSubstr("in progress: m\n"));
  EXPECT_THAT(text, HasSubstr("--request-id run-1 waits for its end and gets its outcome\n"));
  EXPECT_THAT(text, HasSubstr("  look        sendstep get run-1\n"));
}

TEST(Failure, AReusedRequestIdIsToBeLookedAtAndNotTriedAgain) {
  const std::string text =
      ExplainSend(StatusCode::FAILED_PRECONDITION, "REQUEST_ID_REUSED", "false");
  EXPECT_THAT(text, HasSubstr("not sent: m\n"));
  EXPECT_THAT(text, HasSubstr("  try again   no: the same request fails again\n"));
  EXPECT_THAT(text, HasSubstr("  look        sendstep get run-1\n"));
}

TEST(Failure, ALedgerThatIsDownIsTriedAgainWithoutALook) {
  const std::string text = ExplainSend(StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE", "true");
  EXPECT_THAT(text, HasSubstr("yes, later: the same command with --request-id run-1\n"));
  EXPECT_THAT(text, Not(HasSubstr("sendstep get")));
}

TEST(Failure, AnUncertainEmailNamesBothWaysOut) {
  EXPECT_EQ(ExplainSend(StatusCode::DATA_LOSS, "DELIVERY_UNCERTAIN", "uncertain", "a b"),
            "uncertain: m\n"
            "  reason       DELIVERY_UNCERTAIN\n"
            "  try again    look first: it may have been sent\n"
            "  look         sendstep get 'a b'\n"
            "  it arrived   sendstep resolve 'a b' --sent\n"
            "  it did not   sendstep resolve 'a b' --not-sent, then the same command with "
            "--request-id 'a b'\n"
            "  send anyway  the same command with --request-id 'a b' --resend-on-uncertain\n"
            "  request id   a b\n");
}

TEST(Failure, ASendThatBrokeOffIsToBeLookedAt) {
  const std::string text =
      Explain(FromStatus(grpc::Status(StatusCode::UNAVAILABLE, "Socket closed"), Sends::kOnce),
              "not sent", Style(false), "run-1");
  EXPECT_THAT(text, HasSubstr("  look        sendstep get run-1\n"));
  EXPECT_THAT(text, Not(HasSubstr("resolve")));
}

TEST(Failure, ATestIsNotInTheLedger) {
  const std::string text =
      Explain(FromStatus(grpc::Status(StatusCode::UNAVAILABLE, "Socket closed"), Sends::kYes),
              "not tested", Style(false), "run-1");
  EXPECT_THAT(text, HasSubstr("may have been sent; another try may send it twice\n"));
  EXPECT_THAT(text, Not(HasSubstr("sendstep get")));
}

TEST(Failure, WordsOfAServerAreEscaped) {
  v1::Failure answer;
  answer.set_message("\x1b[2J");
  answer.mutable_reply()->set_code(550);
  answer.mutable_reply()->set_text("no\x1b[31m");
  answer.set_what_to_do("\x07");
  EXPECT_THAT(Explain(FromAnswer(answer), "x", Style(false)), Not(HasSubstr("\x1b")));
}

TEST(Failure, JsonHoldsEverything) {
  plugin::Details details;
  details.reason = "AUTH_REFUSED";
  details.metadata = {{"fault", "CONFIG"}, {"smtp_code", "535"}};
  details.violations = {{"config.smtp.password", "wröng", "FIELD_INVALID"}};
  details.retry_after = std::chrono::milliseconds(1500);
  details.links = {{"Help", "https://example.com"}};
  const std::string text =
      ToJson(FromStatus(plugin::MakeStatus(StatusCode::FAILED_PRECONDITION, "no\x1b", details),
                        Sends::kYes),
             "run-1");
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["code"], "FAILED_PRECONDITION");
  EXPECT_EQ(json["message"], "no\x1b");
  EXPECT_EQ(json["requestId"], "run-1");
  EXPECT_EQ(json["reason"], "AUTH_REFUSED");
  EXPECT_EQ(json["metadata"]["smtp_code"], "535");
  EXPECT_EQ(json["violations"][0]["description"], "wröng");
  EXPECT_EQ(json["retryAfter"], "1.500s");
  EXPECT_EQ(json["links"][0]["url"], "https://example.com");
  EXPECT_EQ(json["exitCode"], 4);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Failure, EveryRefusedRecipientHasALine) {
  plugin::Details details;
  details.reason = "RECIPIENT_REFUSED";
  details.metadata = {{"smtp_code", "550"},
                      {"recipients",
                       "a@x.example: 550 5.1.1 no such user; ask ann@x.example; b@x.example: 451 "
                       "later\x1b"}};
  EXPECT_EQ(Explain(FromStatus(plugin::MakeStatus(StatusCode::FAILED_PRECONDITION, "no", details),
                               Sends::kYes),
                    "not sent", Style(false)),
            "not sent: no\n"
            "  server said  550\n"
            "  recipients   a@x.example: 550 5.1.1 no such user; ask ann@x.example\n"
            "               b@x.example: 451 later\\x1b\n"
            "  reason       RECIPIENT_REFUSED\n");
}

}  // namespace
}  // namespace sendstep::cli
