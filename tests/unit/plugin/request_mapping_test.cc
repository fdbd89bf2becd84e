#include "plugin/request_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "plugin/limits.h"

namespace sendstep::plugin {
namespace {

using providers::Finding;
using providers::Severity;
using ::testing::ElementsAre;

class RequestMappingTest : public ::testing::Test {
 protected:
  RequestMappingTest() {
    catalog_.registry = &registry_;
    catalog_.relays = &relays_;
    v1::SmtpConfig& smtp = *good_.mutable_config()->mutable_smtp();
    smtp.set_host("mail.example.net");
    smtp.set_port(587);
    smtp.set_username("user");
    smtp.mutable_password()->set_value("pass");
    v1::Email& email = *good_.mutable_email();
    email.mutable_from()->set_email("sender@example.com");
    email.add_to()->set_email("reader@example.org");
    email.set_subject("Subject");
    email.set_text("Text");
  }

  // The first error, as "field REASON"; empty: none.
  std::string FirstError(const v1::ExecuteRequest& request) {
    for (const Finding& finding : MapExecute(request, catalog_, false).findings) {
      if (finding.severity == Severity::kError) return finding.field + " " + finding.reason;
    }
    return "";
  }

  providers::Registry registry_ = providers::Registry::Embedded();
  Relays relays_;
  AccountCatalog catalog_;
  v1::ExecuteRequest good_;
};

TEST_F(RequestMappingTest, AnOrdinaryRequestHasNoFindings) {
  const Checked<SendCommand> command = MapExecute(good_, catalog_, false);
  EXPECT_TRUE(command.ok());
  EXPECT_EQ(command.value.message.from.address.Spec(), "sender@example.com");
  EXPECT_EQ(command.value.envelope.sender->Spec(), "sender@example.com");
  EXPECT_EQ(command.value.account.resolved.settings.host, "mail.example.net");
  EXPECT_EQ(command.value.account.resolved.settings.ehlo_name, "example.com");
}

TEST_F(RequestMappingTest, BodiesAndAttachmentsOfARequestThatIsMovedInAreNotCopied) {
  v1::ExecuteRequest request = good_;
  v1::Email& email = *request.mutable_email();
  email.set_html(std::string(1000, 'h'));
  email.set_text(std::string(1000, 't'));
  email.add_attachments()->set_content(std::string(1000, 'a'));
  const char* const html = email.html().data();
  const char* const text = email.text().data();
  const char* const attached = email.attachments(0).content().data();
  const Checked<SendCommand> command = MapExecute(std::move(request), catalog_, false);
  EXPECT_EQ(command.value.message.html.data(), html);
  EXPECT_EQ(command.value.message.text.data(), text);
  EXPECT_EQ(command.value.message.attachments.at(0).content.data(), attached);
}

TEST_F(RequestMappingTest, RequestIdIsRequiredWhereTheOperatorSaysSo) {
  const Checked<SendCommand> without = MapExecute(good_, catalog_, true);
  ASSERT_FALSE(without.ok());
  EXPECT_EQ(without.findings[0].field, "request_id");
  EXPECT_EQ(without.findings[0].reason, "REQUEST_ID_REQUIRED");
  good_.set_request_id("r1");
  const Checked<SendCommand> with = MapExecute(good_, catalog_, true);
  EXPECT_TRUE(with.ok());
  EXPECT_EQ(with.value.request_id, "r1");
}

TEST_F(RequestMappingTest, TestSendWantsNoRequestId) {
  v1::TestSendRequest request;
  *request.mutable_config() = good_.config();
  *request.mutable_email() = good_.email();
  EXPECT_TRUE(MapTestSend(request, catalog_).ok());
}

TEST_F(RequestMappingTest, PolicyAndResendAreTaken) {
  const Checked<SendCommand> plain = MapExecute(good_, catalog_, false);
  EXPECT_FALSE(plain.value.all_or_nothing);
  EXPECT_FALSE(plain.value.resend_on_uncertain);
  good_.set_delivery(v1::DELIVERY_POLICY_DELIVER_TO_ACCEPTED);
  EXPECT_FALSE(MapExecute(good_, catalog_, false).value.all_or_nothing);
  good_.set_delivery(v1::DELIVERY_POLICY_ALL_OR_NOTHING);
  good_.set_resend_on_uncertain(true);
  const Checked<SendCommand> strict = MapExecute(good_, catalog_, false);
  EXPECT_TRUE(strict.ok());
  EXPECT_TRUE(strict.value.all_or_nothing);
  EXPECT_TRUE(strict.value.resend_on_uncertain);
}

struct BadInput {
  const char* name;
  std::function<void(v1::ExecuteRequest&)> spoil;
  const char* error;
};

class BadInputTest : public RequestMappingTest, public ::testing::WithParamInterface<BadInput> {};

TEST_P(BadInputTest, IsNamedByFieldAndReason) {
  v1::ExecuteRequest request = good_;
  GetParam().spoil(request);
  EXPECT_EQ(FirstError(request), GetParam().error);
}

v1::Attachment Inline(const char* id) {
  v1::Attachment attachment;
  attachment.set_filename("a.png");
  attachment.set_content_id(id);
  return attachment;
}

const BadInput kBadInputs[] = {
    {"NoRecipient", [](auto& r) { r.mutable_email()->clear_to(); }, "email.to FIELD_REQUIRED"},
    {"NoBody", [](auto& r) { r.mutable_email()->clear_text(); }, "email.html FIELD_REQUIRED"},
    {"NoSender", [](auto& r) { r.mutable_email()->clear_from(); },
     "email.from.email FIELD_REQUIRED"},
    {"EmptyRecipient", [](auto& r) { r.mutable_email()->add_cc(); },
     "email.cc[0].email FIELD_REQUIRED"},
    {"AddressWithoutAt", [](auto& r) { r.mutable_email()->add_to()->set_email("reader"); },
     "email.to[1].email ADDRESS_INVALID"},
    {"AddressWithTwoAts",
     [](auto& r) { r.mutable_email()->add_bcc()->set_email("a@evil.com@example.org"); },
     "email.bcc[0].email ADDRESS_INVALID"},
    {"LineBreakInAddress", [](auto& r) { r.mutable_email()->add_to()->set_email("a@b.c\r\nDATA"); },
     "email.to[1].email CONTROL_CHARACTER"},
    {"NarrowedLineBreakInAddress",
     [](auto& r) { r.mutable_email()->add_to()->set_email("a\u760A@example.org"); },
     "email.to[1].email CONTROL_CHARACTER"},
    {"LineBreakInSubject", [](auto& r) { r.mutable_email()->set_subject("a\r\nBcc: x@y.z"); },
     "email.subject CONTROL_CHARACTER"},
    {"NulInSubject", [](auto& r) { r.mutable_email()->set_subject(std::string("a\0b", 3)); },
     "email.subject CONTROL_CHARACTER"},
    {"LineSeparatorInName",
     [](auto& r) { r.mutable_email()->mutable_from()->set_name("a\u2028b"); },
     "email.from.name CONTROL_CHARACTER"},
    {"LineBreakInFilename",
     [](auto& r) { r.mutable_email()->add_attachments()->set_filename("a\nb"); },
     "email.attachments[0].filename CONTROL_CHARACTER"},
    {"PathInFilename",
     [](auto& r) { r.mutable_email()->add_attachments()->set_filename("../etc/passwd"); },
     "email.attachments[0].filename FIELD_INVALID"},
    {"LineBreakInContentType",
     [](auto& r) { r.mutable_email()->add_attachments()->set_content_type("text/plain\r\nX: y"); },
     "email.attachments[0].content_type CONTROL_CHARACTER"},
    {"MediaTypeWithoutSlash",
     [](auto& r) { r.mutable_email()->add_attachments()->set_content_type("pdf"); },
     "email.attachments[0].content_type FIELD_INVALID"},
    {"NarrowedLineBreakInContentId",
     [](auto& r) { r.mutable_email()->add_attachments()->set_content_id("a\u760D"); },
     "email.attachments[0].content_id CONTROL_CHARACTER"},
    {"DuplicateContentIds",
     [](auto& r) {
       *r.mutable_email()->add_attachments() = Inline("logo");
       *r.mutable_email()->add_attachments() = Inline("<logo>");
     },
     "email.attachments[1].content_id CONTENT_ID_DUPLICATE"},
    {"ReservedHeader",
     [](auto& r) {
       v1::Header& header = *r.mutable_email()->add_headers();
       header.set_name("bCC");
       header.set_value("x@y.z");
     },
     "email.headers[0].name HEADER_REFUSED"},
    {"MalformedHeaderName", [](auto& r) { r.mutable_email()->add_headers()->set_name("X Y"); },
     "email.headers[0].name HEADER_REFUSED"},
    {"LineBreakInHeaderName",
     [](auto& r) { r.mutable_email()->add_headers()->set_name("X\r\nBcc"); },
     "email.headers[0].name CONTROL_CHARACTER"},
    {"LineBreakInHeaderValue",
     [](auto& r) {
       v1::Header& header = *r.mutable_email()->add_headers();
       header.set_name("X-A");
       header.set_value("a\nBcc: x@y.z");
     },
     "email.headers[0].value CONTROL_CHARACTER"},
    {"MessageIdWithBlank", [](auto& r) { r.mutable_email()->set_in_reply_to("<a b@c>"); },
     "email.in_reply_to FIELD_INVALID"},
    {"TooManyReplyTo",
     [](auto& r) {
       for (size_t i = 0; i <= kMaxReplyTo; ++i)
         r.mutable_email()->add_reply_to()->set_email("a@example.com");
     },
     "email.reply_to LIMIT_EXCEEDED"},
    {"BadReference", [](auto& r) { r.mutable_email()->add_references("nonsense"); },
     "email.references[0] FIELD_INVALID"},
    {"BadEnvelopeSender", [](auto& r) { r.mutable_email()->set_envelope_sender("@"); },
     "email.envelope_sender ADDRESS_INVALID"},
    {"BadSender", [](auto& r) { r.mutable_email()->mutable_sender()->set_email("@"); },
     "email.sender.email ADDRESS_INVALID"},
    {"UnsubscribeWithNothing", [](auto& r) { r.mutable_email()->mutable_unsubscribe(); },
     "email.unsubscribe FIELD_REQUIRED"},
    {"UnsubscribeInClear",
     [](auto& r) { r.mutable_email()->mutable_unsubscribe()->set_url("http://example.com"); },
     "email.unsubscribe.url FIELD_INVALID"},
    {"UnsubscribeWithAHeader",
     [](auto& r) { r.mutable_email()->mutable_unsubscribe()->set_url("https://a\r\nBcc: b@c.d"); },
     "email.unsubscribe.url CONTROL_CHARACTER"},
    {"UnsubscribeBeyondAscii",
     [](auto& r) { r.mutable_email()->mutable_unsubscribe()->set_url("https://\u00E4.example"); },
     "email.unsubscribe.url FIELD_INVALID"},
    {"BadUnsubscribeMailbox",
     [](auto& r) { r.mutable_email()->mutable_unsubscribe()->set_email("nobody"); },
     "email.unsubscribe.email ADDRESS_INVALID"},
    {"OneClickWithoutUrl",
     [](auto& r) {
       r.mutable_email()->mutable_unsubscribe()->set_email("leave@example.com");
       r.mutable_email()->mutable_unsubscribe()->set_one_click(true);
     },
     "email.unsubscribe.one_click SETTINGS_CONTRADICT"},
    {"UnknownPriority",
     [](auto& r) { r.mutable_email()->set_priority(static_cast<v1::Priority>(7)); },
     "email.priority FIELD_INVALID"},
    {"UnknownMechanism",
     [](auto& r) {
       r.mutable_config()->mutable_smtp()->set_auth_mechanism(static_cast<v1::AuthMechanism>(99));
     },
     "config.smtp.auth_mechanism FIELD_INVALID"},
    {"CalendarThatIsNone", [](auto& r) { r.mutable_email()->set_calendar("Let us meet."); },
     "email.calendar FIELD_INVALID"},
    {"DsnForNothing", [](auto& r) { r.mutable_email()->mutable_dsn(); },
     "email.dsn FIELD_REQUIRED"},
    {"DsnNeverAndOnSuccess",
     [](auto& r) {
       r.mutable_email()->mutable_dsn()->add_notify(v1::NOTIFY_ON_NEVER);
       r.mutable_email()->mutable_dsn()->add_notify(v1::NOTIFY_ON_SUCCESS);
     },
     "email.dsn.notify SETTINGS_CONTRADICT"},
    {"DsnOnAnUnknownOccasion",
     [](auto& r) {
       r.mutable_email()->mutable_dsn()->add_notify(v1::NOTIFY_ON_DELAY);
       r.mutable_email()->mutable_dsn()->add_notify(static_cast<v1::NotifyOn>(9));
     },
     "email.dsn.notify[1] FIELD_INVALID"},
    {"DsnOfUnknownContent",
     [](auto& r) {
       r.mutable_email()->mutable_dsn()->set_content(static_cast<v1::ReturnContent>(9));
       r.mutable_email()->mutable_dsn()->set_envelope_id("1");
     },
     "email.dsn.content FIELD_INVALID"},
    {"LongEnvelopeId",
     [](auto& r) { r.mutable_email()->mutable_dsn()->set_envelope_id(std::string(34, '=')); },
     "email.dsn.envelope_id LIMIT_EXCEEDED"},
    {"EnvelopeIdWithACommand",
     [](auto& r) { r.mutable_email()->mutable_dsn()->set_envelope_id("1\r\nRSET"); },
     "email.dsn.envelope_id CONTROL_CHARACTER"},
    {"RequireTlsWithoutTls",
     [](auto& r) {
       r.mutable_email()->set_require_tls(true);
       r.mutable_config()->mutable_smtp()->set_tls(v1::TLS_MODE_OFF);
       r.mutable_config()->mutable_smtp()->set_allow_plaintext_auth(true);
     },
     "email.require_tls SETTINGS_CONTRADICT"},
    {"RequireTlsWithoutVerification",
     [](auto& r) {
       r.mutable_email()->set_require_tls(true);
       r.mutable_config()->mutable_smtp()->set_insecure_skip_verify(true);
     },
     "email.require_tls SETTINGS_CONTRADICT"},
    {"HeaderOfAField",
     [](auto& r) {
       r.mutable_email()->set_priority(v1::PRIORITY_HIGH);
       r.mutable_email()->add_headers()->set_name("x-priority");
     },
     "email.headers[0].name HEADER_REFUSED"},
    {"TooManyRecipients",
     [](auto& r) {
       for (size_t i = 0; i < kMaxRecipients; ++i) {
         r.mutable_email()->add_bcc()->set_email("r" + std::to_string(i) + "@example.org");
       }
     },
     "email.to LIMIT_EXCEEDED"},
    {"MoreBytesThanTheLimit",
     [](auto& r) {
       r.mutable_email()->add_attachments()->mutable_content()->assign(kMaxRequestBytes, 'x');
     },
     "email LIMIT_EXCEEDED"},
    {"MalformedMediaTypeParameter",
     [](auto& r) { r.mutable_email()->add_attachments()->set_content_type("text/plain; foo"); },
     "email.attachments[0].content_type FIELD_INVALID"},
    {"UnknownFormOfTls",
     [](auto& r) { r.mutable_config()->mutable_smtp()->set_tls(static_cast<v1::TlsMode>(99)); },
     "config.smtp.tls FIELD_INVALID"},
    {"InvisibleCharacterInDomain",
     [](auto& r) { r.mutable_email()->add_to()->set_email("a@exa\u200Bmple.com"); },
     "email.to[1].email ADDRESS_INVALID"},
    {"PortZero", [](auto& r) { r.mutable_config()->mutable_smtp()->set_port(0); },
     "config.smtp.port FIELD_INVALID"},
    {"PortTooLarge", [](auto& r) { r.mutable_config()->mutable_smtp()->set_port(65536); },
     "config.smtp.port FIELD_INVALID"},
    {"UnknownProvider",
     [](auto& r) {
       r.mutable_config()->mutable_smtp()->clear_host();
       r.mutable_config()->mutable_smtp()->set_provider("sendgird");
     },
     "config.smtp.provider PROVIDER_UNKNOWN"},
    {"UrlWithPath",
     [](auto& r) { r.mutable_config()->mutable_smtp()->set_host("http://mail.example.net/smtp"); },
     "config.smtp.host HOST_INVALID"},
    {"UrlWithWrongScheme",
     [](auto& r) { r.mutable_config()->mutable_smtp()->set_host("ftp://mail.example.net"); },
     "config.smtp.host HOST_INVALID"},
    {"UsernameWithoutPassword",
     [](auto& r) { r.mutable_config()->mutable_smtp()->clear_password(); },
     "config.smtp.password CREDENTIALS_INCOMPLETE"},
    {"PasswordWithoutUsername",
     [](auto& r) { r.mutable_config()->mutable_smtp()->clear_username(); },
     "config.smtp.username CREDENTIALS_INCOMPLETE"},
    {"SecretReferenceToEnvironment",
     [](auto& r) { r.mutable_config()->mutable_smtp()->mutable_password()->set_env("HOME"); },
     "config.smtp.password.env SECRET_REFERENCE_REFUSED"},
    {"SecretReferenceToFile",
     [](auto& r) {
       r.mutable_config()->mutable_smtp()->mutable_oauth2_token()->set_file("/etc/x");
     },
     "config.smtp.oauth2_token.file SECRET_REFERENCE_REFUSED"},
    {"UnknownRelay", [](auto& r) { r.mutable_config()->set_relay("nobody"); },
     "config.relay RELAY_UNKNOWN"},
    {"NoSettingsAndNoDefault", [](auto& r) { r.clear_config(); }, "config NO_DEFAULT_RELAY"},
    {"UnknownPolicy", [](auto& r) { r.set_delivery(static_cast<v1::DeliveryPolicy>(99)); },
     "delivery FIELD_INVALID"},
    {"RequestIdTooLong",
     [](auto& r) { r.set_request_id(std::string(kMaxRequestIdBytes + 1, 'x')); },
     "request_id LIMIT_EXCEEDED"},
    {"RequestIdWithBlank", [](auto& r) { r.set_request_id("a b"); }, "request_id FIELD_INVALID"},
    {"RequestIdWithLineBreak", [](auto& r) { r.set_request_id("a\nb"); },
     "request_id FIELD_INVALID"},
    {"LongContext", [](auto& r) { r.mutable_context()->set_run_id(std::string(257, 'x')); },
     "context.run_id LIMIT_EXCEEDED"},
};

INSTANTIATE_TEST_SUITE_P(All, BadInputTest, ::testing::ValuesIn(kBadInputs),
                         [](const auto& info) { return info.param.name; });

TEST_F(RequestMappingTest, LettersWhoseLowByteIsALineBreakAreFineInText) {
  v1::ExecuteRequest request = good_;
  request.mutable_email()->set_subject(
      "\u010Desk\u00FD p\u0159\u00EDklad");  // U+010D narrows to CR
  EXPECT_EQ(FirstError(request), "");
}

TEST_F(RequestMappingTest, LettersWhoseLowByteIsALineBreakAreFineInDomains) {
  v1::ExecuteRequest request = good_;
  request.mutable_email()->mutable_from()->set_email("a@\u010Desko.cz");
  request.mutable_email()->mutable_to(0)->set_email("b@\u4E0A\u6D77.cn");
  request.mutable_config()->mutable_smtp()->set_domain("\u010Desko.cz");
  EXPECT_EQ(FirstError(request), "");
}

TEST_F(RequestMappingTest, AllFindingsComeAtOnce) {
  v1::ExecuteRequest request = good_;
  request.mutable_email()->clear_text();
  request.mutable_email()->set_subject("a\nb");
  request.mutable_config()->mutable_smtp()->set_port(0);
  int errors = 0;
  for (const Finding& finding : MapExecute(request, catalog_, false).findings) {
    errors += finding.severity == Severity::kError ? 1 : 0;
  }
  EXPECT_EQ(errors, 3);
}

TEST_F(RequestMappingTest, ARecipientNamedTwiceIsOneRecipient) {
  v1::ExecuteRequest request = good_;
  request.mutable_email()->add_cc()->set_email("reader@EXAMPLE.org");
  request.mutable_email()->add_bcc()->set_email("hidden@example.org");
  const Checked<SendCommand> command = MapExecute(request, catalog_, false);
  ASSERT_TRUE(command.ok());
  EXPECT_THAT(command.value.recipient_names,
              ElementsAre("reader@example.org", "hidden@example.org"));
  EXPECT_EQ(command.value.message.cc.size(), 1u);
}

TEST_F(RequestMappingTest, FromFallsBackToDefaultFromThenToTheUsername) {
  v1::ExecuteRequest request = good_;
  request.mutable_email()->clear_from();
  request.mutable_config()->mutable_smtp()->set_username("me@example.net");
  EXPECT_EQ(MapExecute(request, catalog_, false).value.message.from.address.Spec(),
            "me@example.net");
  request.mutable_config()->mutable_smtp()->mutable_default_from()->set_email("us@example.net");
  EXPECT_EQ(MapExecute(request, catalog_, false).value.message.from.address.Spec(),
            "us@example.net");
}

TEST_F(RequestMappingTest, EnvelopeSenderMayDifferFromFrom) {
  v1::ExecuteRequest request = good_;
  request.mutable_email()->set_envelope_sender("bounces@example.com");
  const Checked<SendCommand> command = MapExecute(request, catalog_, false);
  EXPECT_EQ(command.value.envelope.sender->Spec(), "bounces@example.com");
  EXPECT_EQ(command.value.message.from.address.Spec(), "sender@example.com");
}

TEST_F(RequestMappingTest, TestSendTakesItsOwnRecipientsAndBringsAMessage) {
  v1::TestSendRequest request;
  *request.mutable_config() = good_.config();
  request.mutable_config()->mutable_smtp()->mutable_default_from()->set_email("us@example.net");
  request.add_to()->set_email("tester@example.org");
  const Checked<SendCommand> command = MapTestSend(request, catalog_);
  EXPECT_TRUE(command.ok());
  EXPECT_THAT(command.value.recipient_names, ElementsAre("tester@example.org"));
  EXPECT_FALSE(command.value.message.html.empty());
}

TEST_F(RequestMappingTest, TestSendKeepsTheSenderOfAnEmailWithoutABody) {
  v1::TestSendRequest request;
  *request.mutable_config() = good_.config();
  request.mutable_email()->mutable_from()->set_email("chosen@example.com");
  request.add_to()->set_email("tester@example.org");
  const Checked<SendCommand> command = MapTestSend(request, catalog_);
  EXPECT_TRUE(command.ok());
  EXPECT_EQ(command.value.message.from.address.Spec(), "chosen@example.com");
  EXPECT_FALSE(command.value.message.text.empty());
}

TEST_F(RequestMappingTest, TestSendReplacesTheEmailsRecipients) {
  v1::TestSendRequest request;
  *request.mutable_config() = good_.config();
  *request.mutable_email() = good_.email();
  request.mutable_email()->add_bcc()->set_email("customer@example.org");
  request.add_to()->set_email("tester@example.org");
  EXPECT_THAT(MapTestSend(request, catalog_).value.recipient_names,
              ElementsAre("tester@example.org"));
}

TEST_F(RequestMappingTest, ValidateShowsTheSettingsWithSecretsBlank) {
  v1::ValidateConfigRequest request;
  *request.mutable_config() = good_.config();
  request.mutable_config()->mutable_smtp()->set_domain("example.com");
  const Checked<ValidateCommand> command = MapValidate(request, catalog_);
  EXPECT_TRUE(command.ok());
  EXPECT_EQ(command.value.effective.host(), "mail.example.net");
  EXPECT_EQ(command.value.effective.tls(), v1::TLS_MODE_STARTTLS);
  EXPECT_TRUE(command.value.effective.password().has_value());
  EXPECT_EQ(command.value.effective.password().value(), "");
}

TEST_F(RequestMappingTest, ValidateToTheSenderWantsRecipients) {
  v1::ValidateConfigRequest request;
  *request.mutable_config() = good_.config();
  request.mutable_email()->mutable_from()->set_email("a@example.com");
  request.set_depth(v1::VALIDATE_DEPTH_SENDER);
  const Checked<ValidateCommand> command = MapValidate(request, catalog_);
  ASSERT_FALSE(command.ok());
  EXPECT_EQ(command.findings.back().field, "email.to");
}

}  // namespace
}  // namespace sendstep::plugin
