#include "clients/cli/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/unit/clients/cli/cli_test_support.h"

namespace sendstep::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class RequestTest : public ::testing::Test {
 protected:
  v1::ExecuteRequest Build() {
    Environment environment = process_.environment();
    const auto request = BuildRequest(options_, environment);
    EXPECT_TRUE(request.ok()) << request.status();
    return request.ok() ? *request : v1::ExecuteRequest();
  }
  absl::Status Refusal() {
    Environment environment = process_.environment();
    return BuildRequest(options_, environment).status();
  }
  void Step(const std::string& yaml) { options_.step_file = folder_.Write("step.yaml", yaml); }

  TempFolder folder_;
  FakeProcess process_;
  StepOptions options_;
};

TEST_F(RequestTest, NothingGivenIsAnEmptyRequest) {
  const auto request = Build();
  EXPECT_FALSE(request.has_config());
  EXPECT_EQ(request.email().ByteSizeLong(), 0u);
}

TEST_F(RequestTest, FlagsFillSettingsAndEmail) {
  options_.smtp.provider = "gmail";
  options_.smtp.host = "smtp.gmail.com";
  options_.smtp.port = 587;
  options_.smtp.tls = "starttls";
  options_.smtp.username = "ann@example.com";
  options_.smtp.domain = "example.com";
  options_.smtp.ca_file = folder_.Write("ca.pem", "PEM");
  options_.smtp.auth_mechanism = "scram-sha-256";
  options_.smtp.allow_plaintext_auth = true;
  options_.email.from = "Ann <ann@example.com>";
  options_.email.to = {"bob@example.com", "Eve <eve@example.com>"};
  options_.email.bcc = {"z@example.com"};
  options_.email.subject = "Hi";
  options_.email.text = "text";
  options_.email.html_file = folder_.Write("body.html", "<p>ä</p>");
  options_.email.header = {"X-Tag:  a: b"};
  options_.email.envelope_sender = "bounce@example.com";
  options_.email.sender = "Assistant <assistant@example.com>";
  options_.email.unsubscribe_url = "https://example.com/leave";
  options_.email.unsubscribe_email = "leave@example.com";
  options_.email.one_click = true;
  options_.email.priority = "low";
  options_.email.notify = {"success", "delay"};
  options_.email.return_content = "full";
  options_.email.envelope_id = "7";
  options_.email.require_tls = true;
  options_.request_id = "run-1";
  const auto request = Build();
  const auto& smtp = request.config().smtp();
  EXPECT_EQ(smtp.provider(), "gmail");
  EXPECT_EQ(smtp.port(), 587u);
  EXPECT_EQ(smtp.tls(), v1::TLS_MODE_STARTTLS);
  EXPECT_EQ(smtp.ca_pem(), "PEM");
  EXPECT_EQ(smtp.auth_mechanism(), v1::AUTH_MECHANISM_SCRAM_SHA_256);
  EXPECT_TRUE(smtp.allow_plaintext_auth());
  EXPECT_FALSE(smtp.insecure_skip_verify());
  EXPECT_EQ(request.email().from().name(), "Ann");
  EXPECT_EQ(request.email().to(1).email(), "eve@example.com");
  EXPECT_EQ(request.email().bcc(0).email(), "z@example.com");
  EXPECT_EQ(request.email().html(), "<p>ä</p>");
  EXPECT_EQ(request.email().headers(0).name(), "X-Tag");
  EXPECT_EQ(request.email().headers(0).value(), "a: b");
  EXPECT_EQ(request.email().envelope_sender(), "bounce@example.com");
  EXPECT_EQ(request.email().sender().name(), "Assistant");
  EXPECT_EQ(request.email().unsubscribe().url(), "https://example.com/leave");
  EXPECT_EQ(request.email().unsubscribe().email(), "leave@example.com");
  EXPECT_TRUE(request.email().unsubscribe().one_click());
  EXPECT_EQ(request.email().priority(), v1::PRIORITY_LOW);
  EXPECT_THAT(request.email().dsn().notify(),
              ElementsAre(v1::NOTIFY_ON_SUCCESS, v1::NOTIFY_ON_DELAY));
  EXPECT_EQ(request.email().dsn().content(), v1::RETURN_CONTENT_FULL);
  EXPECT_EQ(request.email().dsn().envelope_id(), "7");
  EXPECT_TRUE(request.email().require_tls());
  EXPECT_EQ(request.request_id(), "run-1");
}

TEST_F(RequestTest, FilesAreAttachedWithNameAndType) {
  const std::string pdf = folder_.Write("a.PDF", "%PDF");
  const std::string odd = folder_.Write("odd:x/y", "bytes");
  options_.email.attach = {pdf, pdf + ":application/x-thing", odd};
  options_.email.inline_files = {"logo=" + folder_.Write("logo.png", "PNG")};
  const auto attachments = Build().email().attachments();
  ASSERT_EQ(attachments.size(), 4);
  EXPECT_EQ(attachments[0].filename(), "a.PDF");
  EXPECT_EQ(attachments[0].content_type(), "application/pdf");
  EXPECT_EQ(attachments[0].content(), "%PDF");
  EXPECT_EQ(attachments[1].content_type(), "application/x-thing");
  EXPECT_EQ(attachments[2].filename(), "y");
  EXPECT_EQ(attachments[2].content_type(), "");
  EXPECT_EQ(attachments[3].content_id(), "logo");
  EXPECT_EQ(attachments[3].content_type(), "image/png");
}

TEST_F(RequestTest, FlagsWinOverTheStepFile) {
  Step(R"(
request_id: from-file
config: {smtp: {host: a.example.com, port: 25, password: {value: filed}}}
email:
  to: [{email: file@example.com}]
  cc: [{email: cc@example.com}]
  subject: filed
  text: filed
  attachments: [{filename: f, content: eA==}]
context: {run_id: r1}
)");
  options_.smtp.port = 2525;
  options_.email.to = {"flag@example.com"};
  options_.email.subject = "flagged";
  options_.email.attach = {folder_.Write("g.txt", "g")};
  const auto request = Build();
  EXPECT_EQ(request.request_id(), "from-file");
  EXPECT_EQ(request.config().smtp().host(), "a.example.com");
  EXPECT_EQ(request.config().smtp().port(), 2525u);
  EXPECT_EQ(request.config().smtp().password().value(), "filed");
  ASSERT_EQ(request.email().to_size(), 1);
  EXPECT_EQ(request.email().to(0).email(), "flag@example.com");
  EXPECT_EQ(request.email().cc(0).email(), "cc@example.com");
  EXPECT_EQ(request.email().subject(), "flagged");
  EXPECT_EQ(request.email().text(), "filed");
  EXPECT_EQ(request.email().attachments_size(), 2);
  EXPECT_EQ(request.context().run_id(), "r1");
}

TEST_F(RequestTest, TheStepFileMayHoldThePolicyAndTheWishToResend) {
  Step("delivery: all_or_nothing\nresend_on_uncertain: true\n");
  EXPECT_EQ(Build().delivery(), v1::DELIVERY_POLICY_ALL_OR_NOTHING);
  EXPECT_TRUE(Build().resend_on_uncertain());
  Step(R"({"delivery": "DELIVERY_POLICY_DELIVER_TO_ACCEPTED", "resendOnUncertain": false})");
  EXPECT_EQ(Build().delivery(), v1::DELIVERY_POLICY_DELIVER_TO_ACCEPTED);
  options_.all_or_nothing = true;
  options_.resend_on_uncertain = true;
  EXPECT_EQ(Build().delivery(), v1::DELIVERY_POLICY_ALL_OR_NOTHING);
  EXPECT_TRUE(Build().resend_on_uncertain());
}

TEST_F(RequestTest, TheStepFileMayComeFromStandardInput) {
  process_.in.str(R"({"email": {"subject": "piped"}})");
  options_.step_file = "-";
  EXPECT_EQ(Build().email().subject(), "piped");
}

TEST_F(RequestTest, StandardInputIsReadOnce) {
  options_.step_file = "-";
  options_.email.text_file = "-";
  EXPECT_THAT(std::string(Refusal().message()), HasSubstr("one flag only"));
}

TEST_F(RequestTest, SecretReferencesAreLookedUpHere) {
  process_.variables["MAIL_PASSWORD"] = "from env";
  Step("config: {smtp: {host: h, password: {env: MAIL_PASSWORD}}}");
  EXPECT_EQ(Build().config().smtp().password().value(), "from env");
  const std::string file = folder_.Write("token", "from file\r\n");
  Step("config: {smtp: {host: h, oauth2_token: {file: " + file + "}}}");
  EXPECT_EQ(Build().config().smtp().oauth2_token().value(), "from file");
}

TEST_F(RequestTest, AReferenceToNothingNamesWhatIsMissing) {
  Step("config: {smtp: {host: h, password: {env: NOT_THERE}}}");
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refusal().message(), "config.smtp.password: environment variable NOT_THERE is not set");
  Step("config: {smtp: {host: h, password: {file: /not/there}}}");
  EXPECT_THAT(std::string(Refusal().message()), HasSubstr("config.smtp.password /not/there: "));
}

TEST_F(RequestTest, PasswordsComeFromVariableFileOrPrompt) {
  options_.smtp.username = "u";
  process_.variables = {{"P", "one"}, {"SENDSTEP_PASSWORD", "two"}};
  EXPECT_EQ(Build().config().smtp().password().value(), "two");
  options_.secrets.password_env = "P";
  EXPECT_EQ(Build().config().smtp().password().value(), "one");
  options_.secrets = {};
  options_.secrets.password_file = folder_.Write("pw", "three\n");
  EXPECT_EQ(Build().config().smtp().password().value(), "three");
  options_.secrets = {};
  options_.secrets.password_prompt = true;
  process_.typed = "four";
  EXPECT_EQ(Build().config().smtp().password().value(), "four");
  process_.typed.reset();
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kNotFound);
}

TEST_F(RequestTest, ATokenTakesThePlaceOfTheFilesPassword) {
  Step("config: {smtp: {host: h, username: u, password: {env: NOT_THERE}}}");
  options_.secrets.oauth2_token_file = folder_.Write("t", "tok");
  const auto request = Build();
  EXPECT_EQ(request.config().smtp().oauth2_token().value(), "tok");
  EXPECT_FALSE(request.config().smtp().has_password());
}

TEST_F(RequestTest, AStrayPasswordVariableIsNotUsedWhereNoneIsWanted) {
  process_.variables["SENDSTEP_PASSWORD"] = "stray";
  for (const char* provider : {"sandbox", "Inbox", "CUSTOM", "smtp", "other", "Generic"}) {
    options_.smtp.provider = provider;
    EXPECT_FALSE(Build().config().smtp().has_password()) << provider;
  }
  options_.smtp.provider = "sendgrid";
  EXPECT_EQ(Build().config().smtp().password().value(), "stray");
  options_.smtp = {};
  options_.relay = "ops";
  EXPECT_EQ(Build().config().relay(), "ops");
}

TEST_F(RequestTest, ARelayTakesThePlaceOfTheFilesSettings) {
  Step("config: {smtp: {host: h, password: {env: NOT_THERE}}}");
  options_.relay = "ops";
  const auto request = Build();
  EXPECT_EQ(request.config().relay(), "ops");
  EXPECT_FALSE(request.config().has_smtp());
}

TEST_F(RequestTest, MalformedInputIsToldFromMissingFiles) {
  options_.email.to = {"Bob <b@example.com"};
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Refusal().message()), HasSubstr("--to \"Bob <b@example.com\": no \">\""));
  options_.email = {};
  options_.email.header = {"no colon"};
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kInvalidArgument);
  options_.email = {};
  options_.email.attach = {"/not/there"};
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kNotFound);
  options_.email = {};
  options_.email.attach = {folder_.path().string()};
  EXPECT_THAT(std::string(Refusal().message()), HasSubstr("is a folder"));
  options_.email = {};
  Step("config: {smtp: {password: hunter2}}");
  EXPECT_EQ(Refusal().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Refusal().message()), Not(HasSubstr("hunter2")));
}

TEST_F(RequestTest, RequestsAreBounded) {
  options_.email.text_file = folder_.Write("big", std::string(kMaxRequestBytes - 10, 'x'));
  EXPECT_TRUE(Refusal().ok());
  options_.email.subject = "a subject that is too much";
  EXPECT_THAT(std::string(Refusal().message()), HasSubstr("larger than 40 MiB"));
}

TEST_F(RequestTest, ATestWithoutABodyLeavesTheBodyToTheServer) {
  options_.email.from = "ann@example.com";
  options_.email.to = {"bob@example.com"};
  const auto test = ToTestRequest(Build(), options_);
  EXPECT_FALSE(test.has_config());
  EXPECT_EQ(test.to(0).email(), "bob@example.com");
  EXPECT_EQ(test.email().from().email(), "ann@example.com");
  EXPECT_EQ(test.email().text(), "");
  EXPECT_EQ(test.email().to_size(), 0);
}

TEST_F(RequestTest, ATestKeepsTheEmailOfTheStep) {
  Step("email: {to: [{email: a@b.c}], text: hello}");
  const auto own = ToTestRequest(Build(), options_);
  EXPECT_EQ(own.email().text(), "hello");
  EXPECT_EQ(own.email().to_size(), 1);
  EXPECT_EQ(own.to_size(), 0);
  options_.email.to = {"me@example.com"};
  const auto other = ToTestRequest(Build(), options_);
  EXPECT_EQ(other.to(0).email(), "me@example.com");
  EXPECT_EQ(other.email().text(), "hello");
}

TEST_F(RequestTest, ValidationLeavesOutAnEmailThatIsNotThere) {
  options_.smtp.provider = "gmail";
  const auto bare = ToValidateRequest(Build(), v1::VALIDATE_DEPTH_CONNECT);
  EXPECT_FALSE(bare.has_email());
  EXPECT_EQ(bare.depth(), v1::VALIDATE_DEPTH_CONNECT);
  options_.email.from = "a@b.c";
  EXPECT_TRUE(ToValidateRequest(Build(), v1::VALIDATE_DEPTH_STATIC).has_email());
}

TEST_F(RequestTest, TextThatIsNotUtf8IsRefusedByTheNameOfItsField) {
  const auto expect = [this](const std::string& field) {
    const absl::Status status = Refusal();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_EQ(status.message(), field + " is not UTF-8 text");
    options_ = {};
  };
  options_.email.text_file = folder_.Write("latin1.txt",
                                           "Gr\xfc\xdf"
                                           "e");
  expect("email.text");
  options_.email.html_file = folder_.Write("latin1.html", "<p>\xe4</p>");
  expect("email.html");
  options_.email.subject = "a\xff";
  expect("email.subject");
  options_.email.to = {"bob@example.com", "M\xfcller <m@example.com>"};
  expect("email.to[1].name");
  options_.email.attach = {folder_.Write("\xe4.txt", "x")};
  expect("email.attachments[0].filename");
  Step("email: {subject: \"a\xff\"}");
  expect("email.subject");
  options_.smtp.username = "u";
  process_.variables["SENDSTEP_PASSWORD"] = "\xa7";
  expect("config.smtp.password.value");
}

TEST_F(RequestTest, AttachmentsHoldAnyBytes) {
  options_.email.attach = {folder_.Write("a.bin", "\xff\xfe")};
  EXPECT_EQ(Build().email().attachments(0).content(), "\xff\xfe");
}

TEST(RequestId, IsARandomUuid) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewRequestId();
    ASSERT_EQ(id.size(), 36u);
    EXPECT_EQ(id[14], '4');
    EXPECT_THAT(std::string(1, id[19]), MatchesRegex("[89ab]"));
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef-"), std::string::npos);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 100u);
}

}  // namespace
}  // namespace sendstep::cli
