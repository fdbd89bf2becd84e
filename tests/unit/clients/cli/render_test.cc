#include "clients/cli/render.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "clients/cli/words.h"

namespace sendstep::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Style kPlain(false);

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

const char kFailedTest[] = R"(
  verdict: "The provider refused the password."
  checks { stage: STAGE_DNS status: CHECK_STATUS_PASS detail: "192.0.2.1" took { nanos: 1250000 } }
  checks { stage: STAGE_TCP status: CHECK_STATUS_PASS took { nanos: 21000000 } }
  checks { stage: STAGE_TLS status: CHECK_STATUS_WARN took { nanos: 43000000 }
           tls { version: "TLSv1.3" cipher: "TLS_AES_256_GCM_SHA384" subject: "CN=mail"
                 expires_at { seconds: 1800000000 } } }
  checks { stage: STAGE_AUTH status: CHECK_STATUS_FAIL detail: "PLAIN" took { seconds: 1 nanos: 500000000 }
           reply { code: 535 enhanced_code: "5.7.8" text: "Bad credentials" } }
  checks { stage: STAGE_MAIL_FROM status: CHECK_STATUS_SKIPPED }
  failure { reason: REASON_AUTH_REFUSED fault: FAULT_CONFIG retryable: RETRYABLE_FALSE
            message: "Wrong password." }
  transcript: "C: EHLO example.com"
  transcript: "S: 250 ok\033[2J"
  next_steps: "Make an app password."
  next_steps: "Try again."
)";

TEST(Render, TimelineIsATable) {
  const auto answer = Parse<v1::TestSendResponse>(kFailedTest);
  EXPECT_EQ(
      RenderTimeline(answer.checks(), kPlain),
      "  dns        ok    1.2 ms  192.0.2.1\n"
      "  tcp        ok     21 ms\n"
      "  tls        warn   43 ms  TLSv1.3 TLS_AES_256_GCM_SHA384, certificate of CN=mail until "
      "2027-01-15T08:00:00Z\n"
      "  auth       FAIL   1.5 s  PLAIN\n"
      "                           535 5.7.8 Bad credentials\n"
      "  mail_from  -\n");
}

TEST(Render, ColoursDoNotMoveColumns) {
  const auto answer = Parse<v1::TestSendResponse>(kFailedTest);
  std::string coloured = RenderTimeline(answer.checks(), Style(true));
  for (const char* code : {"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[0m"}) {
    for (size_t at; (at = coloured.find(code)) != std::string::npos;) {
      coloured.erase(at, std::string(code).size());
    }
  }
  // Trailing blanks stand inside the colour of the last mark.
  EXPECT_THAT(coloured, HasSubstr("  auth       FAIL   1.5 s  PLAIN\n"));
}

TEST(Render, AFailedTestExplainsAndSaysWhatToDo) {
  const auto answer = Parse<v1::TestSendResponse>(kFailedTest);
  const std::string text = RenderTest(answer, false, kPlain);
  EXPECT_THAT(text, HasSubstr("\nnot accepted: The provider refused the password.\n"
                              "Wrong password.\n"
                              "  reason     AUTH_REFUSED\n"));
  EXPECT_THAT(text, HasSubstr("next steps\n  1. Make an app password.\n  2. Try again.\n"));
  EXPECT_THAT(text, Not(HasSubstr("EHLO")));
}

TEST(Render, AnUncertainTestNamesTheMessageId) {
  const auto answer = Parse<v1::TestSendResponse>(R"(
    verdict: "Nobody knows."
    failure { retryable: RETRYABLE_UNCERTAIN message: "Nobody knows." message_id: "<m@example.com>" }
  )");
  EXPECT_THAT(RenderTest(answer, false, kPlain), HasSubstr("  message id  <m@example.com>\n"));
}

TEST(Render, TheDialogIsShownWhenAskedForAndEscaped) {
  const std::string text = RenderTest(Parse<v1::TestSendResponse>(kFailedTest), true, kPlain);
  EXPECT_THAT(text, HasSubstr("dialog\n  C: EHLO example.com\n  S: 250 ok\\x1b[2J\n"));
}

TEST(Render, WhatWasSaidIsNotSaidAgain) {
  auto answer = Parse<v1::TestSendResponse>(kFailedTest);
  answer.mutable_failure()->set_message("The provider refused the password.");
  answer.mutable_failure()->set_what_to_do("Make an app password.");
  const std::string text = RenderTest(answer, false, kPlain);
  EXPECT_EQ(text.find("The provider refused"), text.rfind("The provider refused"));
  EXPECT_EQ(text.find("Make an app"), text.rfind("Make an app"));
}

TEST(Render, PositiveRepliesGiveWayToFindings) {
  const auto answer = Parse<v1::TestSendResponse>(R"(
    checks { stage: STAGE_EHLO status: CHECK_STATUS_PASS detail: "SIZE" reply { code: 250 text: "hi" } }
    checks { stage: STAGE_DATA status: CHECK_STATUS_PASS reply { code: 250 text: "queued" } }
  )");
  EXPECT_EQ(RenderTimeline(answer.checks(), kPlain),
            "  ehlo  ok      SIZE\n  data  ok      250 queued\n");
}

TEST(Render, ASentEmailShowsRecipientsAndIds) {
  const auto answer = Parse<v1::ExecuteResponse>(R"(
    outcome: OUTCOME_PARTIALLY_SENT request_id: "run-1" message_id: "<m@example.com>"
    provider_message_id: "q1" size_bytes: 1234 from_used { email: "a@example.com" name: "Ann" }
    final_reply { code: 250 enhanced_code: "2.0.0" text: "queued" }
    recipients { email: "bob@example.com" status: RECIPIENT_STATUS_ACCEPTED reply { code: 250 } }
    recipients { email: "x@example.com" status: RECIPIENT_STATUS_REJECTED
                 reply { code: 550 enhanced_code: "5.1.1" text: "no such user" } }
    warnings { severity: SEVERITY_WARNING field: "config.smtp.host" message: "is gmail's"
               hint: "Set provider." }
  )");
  EXPECT_EQ(RenderSent(answer, kPlain),
            "partially sent: to 1 of 2 recipients\n"
            "  accepted  bob@example.com  250\n"
            "  rejected  x@example.com    550 5.1.1 no such user\n"
            "  request id     run-1\n"
            "  message id     <m@example.com>\n"
            "  provider's id  q1\n"
            "  from           Ann <a@example.com>\n"
            "  server said    250 2.0.0 queued\n"
            "  size           1234 bytes\n"
            "warning config.smtp.host: is gmail's\n"
            "  Set provider.\n");
}

TEST(Render, AFindingThatTheResultHoldsTooIsShownOnce) {
  auto answer = Parse<v1::TestSendResponse>(R"(
    accepted: true verdict: "Taken."
    result { outcome: OUTCOME_SENT warnings { severity: SEVERITY_WARNING message: "is odd" } }
    diagnostics { severity: SEVERITY_WARNING message: "is odd" }
    diagnostics { severity: SEVERITY_WARNING message: "is new" }
  )");
  EXPECT_THAT(RenderTest(answer, false, kPlain), HasSubstr("\nwarning: is odd\nwarning: is new\n"));
  EXPECT_THAT(RenderTest(answer, false, kPlain), Not(HasSubstr("is odd\nwarning: is odd")));
  answer.set_accepted(false);
  EXPECT_THAT(RenderTest(answer, false, kPlain), HasSubstr("warning: is odd\nwarning: is new\n"));
}

TEST(Render, AReplayedAnswerSaysSo) {
  const auto answer = Parse<v1::ExecuteResponse>(
      R"(outcome: OUTCOME_SENT dedupe: DEDUPE_REPLAYED recipients { email: "a@b.c" })");
  EXPECT_THAT(RenderSent(answer, kPlain),
              HasSubstr("sent to 1 recipient by an earlier call with this request id\n"));
}

TEST(Render, AnExecutionShowsRecipientsByTheirPlace) {
  const auto execution = Parse<v1::Execution>(R"(
    request_id: "run-1" state: EXECUTION_STATE_PENDING attempts: 2 created_at { seconds: 1777626000 }
    updated_at { seconds: 1777626060 } accepted_at { seconds: 1777626030 }
    message_id: "<m@example.com>" provider_message_id: "q1" size_bytes: 1234
    last_reply { code: 250 enhanced_code: "2.0.0" } reason: "RECIPIENTS_PENDING"
    recipients { status: RECIPIENT_STATUS_ACCEPTED reply { code: 250 enhanced_code: "2.1.5" } }
    recipients { index: 1 status: RECIPIENT_STATUS_DEFERRED reply { code: 451 } }
    recipients { index: 10 status: RECIPIENT_STATUS_OPEN }
  )");
  EXPECT_EQ(RenderExecution(execution, kPlain),
            "not sent to everyone yet: to 1 of 3 recipients\n"
            "  accepted  recipient 0   250 2.1.5\n"
            "  deferred  recipient 1   451\n"
            "  open      recipient 10\n"
            "  request id     run-1\n"
            "  attempts       2\n"
            "  first seen     2026-05-01T09:00:00Z\n"
            "  last change    2026-05-01T09:01:00Z\n"
            "  accepted       2026-05-01T09:00:30Z\n"
            "  message id     <m@example.com>\n"
            "  provider's id  q1\n"
            "  server said    250 2.0.0\n"
            "  size           1234 bytes\n"
            "  reason         RECIPIENTS_PENDING\n"
            "  next call      sends to those who were refused for now, and to nobody twice\n");
}

TEST(Render, AnUncertainExecutionShowsTheWaysOut) {
  const auto execution = Parse<v1::Execution>(R"(
    request_id: "it's\033[2J" state: EXECUTION_STATE_UNCERTAIN attempts: 1 reason: "OWNER_GONE"
    recipients { status: RECIPIENT_STATUS_UNCERTAIN }
    recipients { index: 1 status: RECIPIENT_STATUS_REJECTED reply { code: 550 } }
  )");
  EXPECT_EQ(RenderExecution(execution, kPlain),
            "uncertain: it may have been sent\n"
            "  uncertain  recipient 0\n"
            "  rejected   recipient 1  550\n"
            "  request id   it's\\x1b[2J\n"
            "  attempts     1\n"
            "  reason       OWNER_GONE\n"
            "  it arrived   sendstep resolve 'it'\\''s\\x1b[2J' --sent\n"
            "  it did not   sendstep resolve 'it'\\''s\\x1b[2J' --not-sent, then the same command "
            "with --request-id 'it'\\''s\\x1b[2J'\n"
            "  send anyway  the same command with --request-id 'it'\\''s\\x1b[2J' "
            "--resend-on-uncertain\n");
}

TEST(Render, EveryStateOfAnExecutionHasItsHeadline) {
  v1::Execution execution;
  execution.add_recipients()->set_status(v1::RECIPIENT_STATUS_ACCEPTED);
  const std::pair<v1::ExecutionState, const char*> table[] = {
      {v1::EXECUTION_STATE_RESERVED, "in progress: nothing of this attempt was delivered yet\n"},
      {v1::EXECUTION_STATE_COMMITTING, "in progress: the end of the message may have been sent"},
      {v1::EXECUTION_STATE_SENT, "sent to 1 recipient\n"},
      {v1::EXECUTION_STATE_FAILED, "not sent: nobody has it\n"},
      {static_cast<v1::ExecutionState>(99), "unknown state 99\n"}};
  for (const auto& [state, headline] : table) {
    execution.set_state(state);
    EXPECT_THAT(RenderExecution(execution, kPlain), StartsWith(headline));
  }
  execution.set_state(v1::EXECUTION_STATE_SENT);
  execution.add_recipients()->set_status(v1::RECIPIENT_STATUS_REJECTED);
  EXPECT_THAT(RenderExecution(execution, kPlain),
              StartsWith("partially sent: to 1 of 2 recipients\n"));
}

TEST(Render, ExecutionsAreATable) {
  const auto answer = Parse<v1::ListExecutionsResponse>(R"(
    executions { request_id: "run-1" state: EXECUTION_STATE_SENT attempts: 1
                 updated_at { seconds: 1777626000 }
                 recipients { status: RECIPIENT_STATUS_ACCEPTED } }
    executions { request_id: "run-2" state: EXECUTION_STATE_FAILED attempts: 12
                 updated_at { seconds: 1777626060 } reason: "AUTH_REFUSED" recipients {} }
  )");
  EXPECT_EQ(RenderExecutions(answer),
            "STATE   LAST CHANGE           ATTEMPTS  ACCEPTED  REASON        REQUEST ID\n"
            "sent    2026-05-01T09:00:00Z  1         1/1       -             run-1\n"
            "failed  2026-05-01T09:01:00Z  12        0/1       AUTH_REFUSED  run-2\n");
}

TEST(Render, ValidationShowsSettingsAndFindings) {
  const auto answer = Parse<v1::ValidateConfigResponse>(R"(
    valid: false
    effective { provider: "gmail" host: "smtp.gmail.com" port: 587 tls: TLS_MODE_STARTTLS
                username: "ann@example.com" domain: "example.com" }
    diagnostics { severity: SEVERITY_ERROR field: "config.smtp.password" message: "is missing" }
  )");
  EXPECT_EQ(RenderValidation(answer, kPlain),
            "not valid  gmail: smtp.gmail.com port 587, starttls, as ann@example.com, EHLO "
            "example.com\n"
            "error config.smtp.password: is missing\n");
}

TEST(Render, DeliverabilityIsAVerdictATreeAndRecordsToPublish) {
  const auto answer = Parse<v1::Deliverability>(R"(
    domain: "ex.test" summary: "It cannot pass." provider: "Gmail" queries: 7
    dmarc: CAN_PASS_NO if_it_fails: RECEIVER_ACTION_REFUSE
    identifiers { mechanism: "spf" can_pass: CAN_PASS_NO why: "Not included." }
    identifiers { mechanism: "dkim" can_pass: CAN_PASS_UNKNOWN why: "Not known." }
    spf { domain: "ex.test" record: "v=spf1 include:a.test\033[2J -all" lookups: 1
          children { domain: "a.test" via: "include:a.test" } }
    dkim { name: "s1._domainkey.ex.test" found: true aliases: "a.test" }
    dmarc_policy { name: "_dmarc.ex.test" record: "v=DMARC1; p=reject" }
    findings { severity: DNS_SEVERITY_ERROR id: "spf.not_reached" message: "No." what_to_do: "Do." }
    fixes { action: DNS_ACTION_REPLACE type: "TXT" name: "ex.test" value: "v=spf1 -all" why: "So." }
  )");
  EXPECT_EQ(RenderDeliverability(answer, kPlain),
            "It cannot pass.\n"
            "├─ SPF cannot pass: Not included.\n"
            "│  └─ ex.test  \"v=spf1 include:a.test\\x1b[2J -all\"  1 of 10 lookups\n"
            "│     └─ include:a.test  no SPF record\n"
            "├─ DKIM unknown: Not known.\n"
            "│  └─ s1._domainkey.ex.test -> a.test  no usable key\n"
            "├─ DMARC cannot pass\n"
            "│  └─ _dmarc.ex.test  \"v=DMARC1; p=reject\"\n"
            "└─ Findings\n"
            "   └─ error spf.not_reached: No.\n"
            "      └─ Do.\n"
            "\n"
            "To publish:\n"
            "  replace TXT\n"
            "    name   ex.test\n"
            "    value  v=spf1 -all\n"
            "    So.\n"
            "\n"
            "7 DNS questions\n");
}

const char kServer[] = R"(
  name: "sendstep" version: "0.1.0" api_versions: "sendstep.v1" relays: "ops" default_relay: "ops"
  providers { id: "gmail" title: "Gmail" host: "smtp.gmail.com" default_port: 587
              ports { port: 587 tls: TLS_MODE_STARTTLS } ports { port: 465 tls: TLS_MODE_IMPLICIT }
              username_example: "user@yourdomain.com" username_help: "Your full address."
              limits: "2,000 a day" limits: "500 recipients" }
  providers { id: "sendgrid" host: "smtp.sendgrid.net" default_port: 587 fixed_username: "apikey"
              ports { port: 587 tls: TLS_MODE_STARTTLS } }
  providers { id: "custom" default_port: 25 }
  providers { id: "sandbox" }
  limits { max_recipients: 100 max_request_bytes: 41943040
           max_in_flight: 10000 max_in_flight_bytes: 1073741824 }
  sandbox { maildir: "/var/mail/sandbox" behaviors { local_part: "reject" description: "550" } }
)";

TEST(Render, ProvidersAreATable) {
  EXPECT_EQ(RenderProviders(Parse<v1::DescribeResponse>(kServer), kPlain),
            "PROVIDER  HOST               PORT  TLS       USERNAME\n"
            "gmail     smtp.gmail.com     587   starttls  user@yourdomain.com\n"
            "sendgrid  smtp.sendgrid.net  587   starttls  apikey (literally)\n"
            "custom    -                  25    starttls\n"
            "sandbox   -                  -     -\n");
}

TEST(Render, OneProviderShowsEverything) {
  EXPECT_EQ(RenderProvider(Parse<v1::DescribeResponse>(kServer).providers(0), kPlain),
            "gmail  Gmail\n"
            "  host      smtp.gmail.com\n"
            "  ports     587 starttls (default)\n"
            "            465 implicit\n"
            "  username  user@yourdomain.com\n"
            "            Your full address.\n"
            "  limits    2,000 a day\n"
            "            500 recipients\n");
}

TEST(Render, AServerShowsLimitsAndSandbox) {
  const std::string text = RenderServer(Parse<v1::DescribeResponse>(kServer), kPlain);
  EXPECT_THAT(text, HasSubstr("sendstep 0.1.0  sendstep.v1\n"));
  EXPECT_THAT(text, HasSubstr("  providers      gmail, sendgrid, custom, sandbox\n"));
  EXPECT_THAT(text, HasSubstr("  request        40 MiB\n"));
  EXPECT_THAT(text, HasSubstr("  at once        10000 calls\n                 1024 MiB\n"));
  EXPECT_THAT(text, HasSubstr("sandbox  /var/mail/sandbox\n  reject@...  550\n"));
}

TEST(Render, JsonShowsWhatIsFalse) {
  EXPECT_THAT(RenderJson(v1::ValidateConfigResponse()), HasSubstr("\"valid\": false"));
}

TEST(Words, ValuesOfANewerServerAreNumbers) {
  EXPECT_EQ(Word(v1::REASON_AUTH_REFUSED), "AUTH_REFUSED");
  EXPECT_EQ(LowerWord(v1::STAGE_MAIL_FROM), "mail_from");
  EXPECT_EQ(Word(v1::REASON_UNSPECIFIED), "");
  EXPECT_EQ(Word(static_cast<v1::Reason>(9999)), "9999");
}

TEST(Words, DurationsHaveAFittingUnit) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  EXPECT_EQ(Took(microseconds(40)), "0.0 ms");
  EXPECT_EQ(Took(microseconds(9900)), "9.9 ms");
  EXPECT_EQ(Took(microseconds(9960)), "10 ms");
  EXPECT_EQ(Took(milliseconds(1500)), "1.5 s");
  EXPECT_EQ(Took(std::chrono::minutes(5)), "5 min");
}

}  // namespace
}  // namespace sendstep::cli
