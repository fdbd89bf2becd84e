#include "plugin/yaml_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "google/rpc/error_details.pb.h"
#include "protos/sendstep/relays/v1/relays.pb.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::plugin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::ExecuteRequest Read(const std::string& yaml) {
  v1::ExecuteRequest request;
  const absl::Status status = YamlToMessage(yaml, "step.yaml", request);
  EXPECT_TRUE(status.ok()) << status;
  return request;
}

// The words of the refusal; empty: there was none.
std::string Refusal(const std::string& yaml) {
  v1::ExecuteRequest request;
  const absl::Status status = YamlToMessage(yaml, "step.yaml", request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "for: " << yaml;
  return std::string(status.message());
}

TEST(YamlMessage, ReadsAWholeStep) {
  const auto request = Read(R"(
request_id: run-7
config:
  smtp:
    host: mail.example.com
    port: 587
    tls: TLS_MODE_STARTTLS
    username: ann@example.com
    password: {value: "s3cret"}
    insecure_skip_verify: true
email:
  from: {email: ann@example.com, name: Änn}
  to:
    - email: bob@example.com
    - {email: eve@example.com}
  text: |
    first
    second
  attachments:
    - filename: a.bin
      content: aGVsbG8=
context: {attempt: 2}
)");
  const auto& smtp = request.config().smtp();
  EXPECT_EQ(request.request_id(), "run-7");
  EXPECT_EQ(smtp.port(), 587u);
  EXPECT_EQ(smtp.tls(), v1::TLS_MODE_STARTTLS);
  EXPECT_EQ(smtp.password().value(), "s3cret");
  EXPECT_TRUE(smtp.insecure_skip_verify());
  EXPECT_EQ(request.email().from().name(), "Änn");
  ASSERT_EQ(request.email().to_size(), 2);
  EXPECT_EQ(request.email().to(1).email(), "eve@example.com");
  EXPECT_EQ(request.email().text(), "first\nsecond\n");
  EXPECT_EQ(request.email().attachments(0).content(), "hello");
  EXPECT_EQ(request.context().attempt(), 2u);
}

TEST(YamlMessage, ReadsJsonWithCamelCaseNames) {
  const auto request = Read(R"({"requestId": "r", "config": {"smtp": {"caPem": "x", "port": "25"}},
      "email": {"replyTo": [{"email": "a@b.c"}], "subject": "tab\tend"}})");
  EXPECT_EQ(request.request_id(), "r");
  EXPECT_EQ(request.config().smtp().ca_pem(), "x");
  EXPECT_EQ(request.config().smtp().port(), 25u);
  EXPECT_EQ(request.email().reply_to(0).email(), "a@b.c");
  EXPECT_EQ(request.email().subject(), "tab\tend");
}

TEST(YamlMessage, StringFieldsKeepWhatLooksLikeSomethingElse) {
  const auto request = Read(R"(
config: {smtp: {username: true, password: {value: 0123456}, domain: 1e3}}
email: {subject: 2024, text: 0x10, in_reply_to: "null", html: 'false'}
)");
  EXPECT_EQ(request.config().smtp().username(), "true");
  EXPECT_EQ(request.config().smtp().password().value(), "0123456");
  EXPECT_EQ(request.config().smtp().domain(), "1e3");
  EXPECT_EQ(request.email().subject(), "2024");
  EXPECT_EQ(request.email().text(), "0x10");
  EXPECT_EQ(request.email().in_reply_to(), "null");
  EXPECT_EQ(request.email().html(), "false");
}

TEST(YamlMessage, EnumsAreReadByShortNameAndNumber) {
  EXPECT_EQ(Read("config: {smtp: {tls: starttls}}").config().smtp().tls(), v1::TLS_MODE_STARTTLS);
  EXPECT_EQ(Read("config: {smtp: {tls: OFF}}").config().smtp().tls(), v1::TLS_MODE_OFF);
  EXPECT_EQ(Read("config: {smtp: {tls: 4}}").config().smtp().tls(), v1::TLS_MODE_IMPLICIT);
  EXPECT_THAT(Refusal("config: {smtp: {tls: sometimes}}"),
              HasSubstr("config.smtp.tls: wants one of: on, off, starttls, implicit"));
}

TEST(YamlMessage, MapsAreReadByName) {
  relays::v1::RelaysFile file;
  const std::string yaml = "default_relay: ops\nrelays:\n  ops: {smtp: {port: 25}}\n  2: {}\n";
  ASSERT_TRUE(YamlToMessage(yaml, "r", file).ok());
  EXPECT_EQ(file.relays().at("ops").smtp().port(), 25u);
  EXPECT_TRUE(file.relays().contains("2"));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(YamlToMessage("metadata: {a: 1, b: x}", "m", info).ok());
  EXPECT_EQ(info.metadata().at("a"), "1");
  const auto twice = YamlToMessage("relays:\n  ops: {}\n  ops: {}", "r", file);
  EXPECT_THAT(std::string(twice.message()), HasSubstr("r:3: relays.ops: given twice"));
}

TEST(YamlMessage, DurationsAndTimestampsFollowTheJsonMapping) {
  v1::Failure failure;
  ASSERT_TRUE(YamlToMessage("retry_after: 1.5s", "f", failure).ok());
  EXPECT_EQ(failure.retry_after().seconds(), 1);
  EXPECT_EQ(failure.retry_after().nanos(), 500'000'000);
  EXPECT_FALSE(YamlToMessage("retry_after: soon", "f", failure).ok());
  v1::TlsInfo tls;
  ASSERT_TRUE(YamlToMessage("expires_at: 2026-11-23T00:00:00Z", "t", tls).ok());
  EXPECT_GT(tls.expires_at().seconds(), 1'700'000'000);
}

TEST(YamlMessage, NullLeavesAFieldUnset) {
  const auto request = Read("request_id:\nconfig: {smtp: {port: ~, host: null}}\n");
  EXPECT_FALSE(request.config().smtp().has_port());
  EXPECT_EQ(request.config().smtp().host(), "");
  EXPECT_THAT(Refusal("email: {references: [a, ~]}"), HasSubstr("email.references[1]: wants one"));
}

TEST(YamlMessage, AnEmptyDocumentIsAnEmptyMessage) {
  EXPECT_EQ(Read("").ByteSizeLong(), 0u);
  EXPECT_EQ(Read("# nothing\n").ByteSizeLong(), 0u);
  EXPECT_EQ(Read("{}").ByteSizeLong(), 0u);
}

TEST(YamlMessage, ErrorsNameFileLineAndPath) {
  EXPECT_EQ(Refusal("email:\n  to:\n    - email: a@b.c\n    - mail: x@y.z\n"),
            "step.yaml:4: email.to[1]: unknown field \"mail\"; known: email, name");
  EXPECT_EQ(Refusal("config:\n  smtp:\n    port: lots\n"),
            "step.yaml:3: config.smtp.port: wants a whole number from 0");
  EXPECT_EQ(Refusal("email:\n  to: a@b.c\n"), "step.yaml:2: email.to: wants a list");
  EXPECT_EQ(Refusal("[1]"),
            "step.yaml:1: wants a mapping with: request_id, config, email, context, delivery, "
            "resend_on_uncertain");
  EXPECT_THAT(Refusal("email: {attachments: [{content: '?!'}]}"),
              HasSubstr("email.attachments[0].content: wants base64"));
  EXPECT_THAT(Refusal("config: {smtp: {insecure_skip_verify: yes}}"),
              HasSubstr("wants true or false"));
}

TEST(YamlMessage, ErrorsNeverHoldAValue) {
  for (const std::string yaml :
       {"config: {smtp: {password: hunter2}}", "config: {smtp: {password: {hunter2}}}",
        "config: {smtp: {port: hunter2}}", "config: {smtp: {password: {value: *hunter2}}}",
        "config: {smtp: {password: {value: !hunter2 x}}}",
        "config: {smtp: {password: {value: \"hunter2\\q\"}}}", "config: {smtp: {tls: hunter2}}",
        "config: {smtp: {password: {value: [hunter2]}}}", "password: hunter2",
        "config: {smtp: {password: {value: 'hunter2}}}"}) {
    EXPECT_THAT(Refusal(yaml), Not(HasSubstr("hunter2"))) << yaml;
  }
}

TEST(YamlMessage, AFieldGivenTwiceIsRefusedInEitherSpelling) {
  EXPECT_EQ(Refusal("request_id: a\nrequest_id: b"), "step.yaml:2: request_id: given twice");
  EXPECT_EQ(Refusal("request_id: a\nrequestId: b"), "step.yaml:2: request_id: given twice");
}

TEST(YamlMessage, MembersOfAOneofExcludeEachOther) {
  EXPECT_EQ(Refusal("config:\n  relay: ops\n  smtp: {host: h}"),
            "step.yaml:3: config.smtp: excludes \"relay\", which is given too");
}

TEST(YamlMessage, ASecondDocumentIsRefused) {
  EXPECT_THAT(Refusal("request_id: a\n---\nrequest_id: b"), HasSubstr("a second document"));
}

TEST(YamlMessage, AliasesStandForTheirValue) {
  const auto request =
      Read("email:\n  to: [&a {email: a@b.c}]\n  cc: [*a]\n  subject: &s hello\n  text: *s\n");
  EXPECT_EQ(request.email().cc(0).email(), "a@b.c");
  EXPECT_EQ(request.email().text(), "hello");
}

TEST(YamlMessage, AliasesCannotBlowUp) {
  std::string yaml = "email:\n  to: &x [&a {email: e}";
  for (int i = 0; i < 60'000; ++i) yaml += ", *a";
  yaml += "]\n  cc: *x\n";
  EXPECT_THAT(Refusal(yaml), HasSubstr("more than 100000 values"));
}

TEST(YamlMessage, AnAliasOfItsOwnParentEnds) {
  google::rpc::Status out;
  const auto status = YamlToMessage("&a\ndetails: [*a]\n", "loop", out);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(YamlMessage, DepthIsBounded) {
  std::string deep(2'000, '[');
  EXPECT_EQ(Refusal("email: " + deep).substr(0, 10), "step.yaml:");
  std::string closed = std::string(400, '[') + std::string(400, ']');
  EXPECT_THAT(Refusal("email: {references: " + closed + "}"), HasSubstr("email.references[0]"));
}

TEST(YamlMessage, TextIsBounded) {
  EXPECT_EQ(Refusal(std::string(40 * 1024 * 1024 + 1, ' ')), "step.yaml: larger than 40 MiB");
}

}  // namespace
}  // namespace sendstep::plugin
