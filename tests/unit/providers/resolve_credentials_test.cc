#include "providers/resolve_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "providers/resolve.h"
#include "transport/smtp/sasl.h"

namespace sendstep::providers {
namespace {

using smtp::SaslMechanism;
using testing::ElementsAre;
using testing::HasSubstr;

const Registry& Embedded() {
  static const Registry& registry = *new Registry(Registry::Embedded());
  return registry;
}

class ResolveCredentialsTest : public testing::Test {
 protected:
  Resolved Run() const { return Resolve(config_, Embedded(), {}); }

  static Finding Find(const Resolved& resolved, const std::string& field, Severity severity) {
    for (const Finding& finding : resolved.findings) {
      if (finding.field == field && finding.severity == severity) return finding;
    }
    return {};
  }
  Finding Error(const std::string& field) const { return Find(Run(), field, Severity::kError); }
  Finding Warning(const std::string& field) const { return Find(Run(), field, Severity::kWarning); }

  void Give(const std::string& provider, const std::string& username, const std::string& password) {
    config_ = {};
    config_.provider = provider;
    if (provider == "custom") config_.host = "smtp.example.com";
    if (provider == "ses") config_.region = "eu-west-1";
    config_.username = username;
    config_.password = base::Secret(password);
  }

  SmtpConfig config_;
};

TEST_F(ResolveCredentialsTest, UsernameAndPasswordPass) {
  Give("custom", " user ", "hunter2");
  const Resolved resolved = Run();
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.credentials->username, "user");
  EXPECT_EQ(resolved.settings.credentials->password.Reveal(), "hunter2");
  EXPECT_FALSE(resolved.settings.credentials->username_is_secret);
  EXPECT_THAT(resolved.settings.mechanisms,
              ElementsAre(SaslMechanism::kScramSha256Plus, SaslMechanism::kScramSha256,
                          SaslMechanism::kPlain, SaslMechanism::kLogin));
}

TEST_F(ResolveCredentialsTest, NoneAreNeededWhereTheServerMayDoWithout) {
  for (const char* provider : {"custom", "gmail-relay"}) {
    Give(provider, "", "");
    EXPECT_TRUE(Run().ok()) << provider;
    EXPECT_FALSE(Run().settings.credentials.has_value());
  }
}

TEST_F(ResolveCredentialsTest, ProviderThatWantsALoginGetsOne) {
  Give("gmail", "", "");
  EXPECT_EQ(Error("username").reason, "CREDENTIALS_INCOMPLETE");
  Give("sendgrid", "", "");
  EXPECT_EQ(Error("password").reason, "CREDENTIALS_INCOMPLETE");
  Give("postmark", "", "");
  EXPECT_EQ(Error("password").reason, "CREDENTIALS_INCOMPLETE");
}

TEST_F(ResolveCredentialsTest, HalfALoginIsReportedOnTheMissingHalf) {
  Give("custom", "user", "");
  EXPECT_EQ(Error("password").reason, "CREDENTIALS_INCOMPLETE");
  Give("custom", "", "hunter2");
  EXPECT_EQ(Error("username").reason, "CREDENTIALS_INCOMPLETE");
  Give("gmail", "", "");
  config_.oauth2_token = base::Secret("token");
  EXPECT_EQ(Error("username").reason, "CREDENTIALS_INCOMPLETE");
}

TEST_F(ResolveCredentialsTest, SendGridsUsernameFillsItself) {
  Give("sendgrid", "", "SG.key");
  EXPECT_TRUE(Run().ok());
  EXPECT_TRUE(Run().findings.empty());
  EXPECT_EQ(Run().settings.credentials->username, "apikey");
}

TEST_F(ResolveCredentialsTest, AnotherSendGridUsernameIsAWarning) {
  Give("sendgrid", "me@example.com", "SG.key");
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("username").message, HasSubstr("apikey, literally"));
}

TEST_F(ResolveCredentialsTest, PostmarksTokenIsBothAndSecret) {
  Give("postmark", "", "the-token");
  const Resolved resolved = Run();
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.credentials->username, "the-token");
  EXPECT_TRUE(resolved.settings.credentials->username_is_secret);
}

TEST_F(ResolveCredentialsTest, PasswordAndTokenContradict) {
  Give("gmail", "me@example.com", "hunter2");
  config_.oauth2_token = base::Secret("token");
  EXPECT_EQ(Error("oauth2_token").reason, "SETTINGS_CONTRADICT");
}

TEST_F(ResolveCredentialsTest, TokenChoosesXOAuth2) {
  Give("gmail", "me@example.com", "");
  config_.oauth2_token = base::Secret("token");
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(Run().settings.mechanisms, ElementsAre(SaslMechanism::kXOAuth2));
}

TEST_F(ResolveCredentialsTest, ANamedMechanismIsTheOnlyOne) {
  Give("mailgun", "me@example.com", "hunter2");
  for (const SaslMechanism mechanism :
       {SaslMechanism::kScramSha256Plus, SaslMechanism::kScramSha256, SaslMechanism::kPlain,
        SaslMechanism::kLogin, SaslMechanism::kCramMd5}) {
    config_.auth_mechanism = mechanism;
    ASSERT_TRUE(Run().ok()) << smtp::MechanismName(mechanism);
    EXPECT_THAT(Run().settings.mechanisms, ElementsAre(mechanism));
  }
}

TEST_F(ResolveCredentialsTest, ANamedMechanismThatDoesNotTakeWhatIsGivenContradicts) {
  Give("gmail", "me@example.com", "hunter2");
  for (const SaslMechanism mechanism : {SaslMechanism::kOAuthBearer, SaslMechanism::kXOAuth2}) {
    config_.auth_mechanism = mechanism;
    EXPECT_EQ(Error("auth_mechanism").reason, "SETTINGS_CONTRADICT");
    EXPECT_THAT(Error("auth_mechanism").message, HasSubstr("takes an OAuth token"));
  }
  Give("gmail", "me@example.com", "");
  config_.oauth2_token = base::Secret("token");
  config_.auth_mechanism = SaslMechanism::kPlain;
  EXPECT_THAT(Error("auth_mechanism").message, HasSubstr("PLAIN takes a password"));
}

TEST_F(ResolveCredentialsTest, AMechanismBoundToTlsContradictsTlsOff) {
  Give("custom", "me", "hunter2");
  config_.tls = TlsChoice::kOff;
  config_.allow_plaintext_auth = true;
  config_.auth_mechanism = SaslMechanism::kScramSha256Plus;
  EXPECT_EQ(Error("auth_mechanism").reason, "SETTINGS_CONTRADICT");
  config_.auth_mechanism = SaslMechanism::kScramSha256;
  EXPECT_TRUE(Run().ok());
}

TEST_F(ResolveCredentialsTest, CramMd5IsAWarning) {
  Give("custom", "me", "hunter2");
  config_.auth_mechanism = SaslMechanism::kCramMd5;
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("auth_mechanism").message, HasSubstr("weak"));
}

TEST_F(ResolveCredentialsTest, TokenForAProviderWithoutOAuthContradicts) {
  Give("mailgun", "me@example.com", "");
  config_.oauth2_token = base::Secret("token");
  EXPECT_EQ(Error("oauth2_token").reason, "SETTINGS_CONTRADICT");
}

TEST_F(ResolveCredentialsTest, UsernameOfTheWrongFormIsAWarning) {
  Give("ses", "me@example.com", "x");
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("username").message, HasSubstr("AKIA"));
  Give("ses", "AKIAEXAMPLE000000000", "x");
  EXPECT_EQ(Warning("username").message, "");
  Give("gmail", "me", "x");
  EXPECT_THAT(Warning("username").message, HasSubstr("full address"));
}

TEST_F(ResolveCredentialsTest, IamSecretKeyAsPasswordIsAWarning) {
  Give("ses", "AKIAEXAMPLE000000000", std::string(40, 'k'));
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("password").message, HasSubstr("secret access key"));
  Give("ses", "AKIAEXAMPLE000000000", std::string(44, 'k'));
  EXPECT_EQ(Warning("password").message, "");
}

TEST_F(ResolveCredentialsTest, ControlCharactersAreRefused) {
  for (const std::string& bad :
       {std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3), std::string("a\tb"),
        std::string("a\vb"), std::string("a\x1b[b"), std::string("a\x7f"), std::string("a\x01")}) {
    SCOPED_TRACE(testing::PrintToString(bad));
    Give("custom", bad, "x");
    EXPECT_EQ(Error("username").reason, "CONTROL_CHARACTER");
    Give("custom", "user", bad);
    EXPECT_EQ(Error("password").reason, "CONTROL_CHARACTER");
    Give("custom", "user", "");
    config_.oauth2_token = base::Secret(bad);
    EXPECT_EQ(Error("oauth2_token").reason, "CONTROL_CHARACTER");
  }
}

TEST_F(ResolveCredentialsTest, EveryPasswordThatAuthCannotCarryIsRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    Give("custom", "user", std::string(1, static_cast<char>(byte)));
    smtp::Credentials credentials;
    credentials.password = config_.password;
    EXPECT_EQ(Error("password").reason == "CONTROL_CHARACTER", !smtp::CheckCredentials(credentials))
        << byte;
  }
}

TEST_F(ResolveCredentialsTest, TabsAroundTheUsernameGo) {
  Give("custom", "\tuser\t", "hunter2");
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(Run().settings.credentials->username, "user");
}

TEST_F(ResolveCredentialsTest, OverlongValuesAreRefused) {
  Give("custom", std::string(513, 'u'), "x");
  EXPECT_EQ(Error("username").reason, "LIMIT_EXCEEDED");
  Give("custom", "user", std::string(4097, 'p'));
  EXPECT_EQ(Error("password").reason, "LIMIT_EXCEEDED");
  Give("custom", "user", "");
  config_.oauth2_token = base::Secret(std::string(8193, 't'));
  EXPECT_EQ(Error("oauth2_token").reason, "LIMIT_EXCEEDED");
}

TEST_F(ResolveCredentialsTest, BlanksAroundThePasswordAreAWarning) {
  Give("custom", "user", "hunter2 ");
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("password").message, HasSubstr("blank"));
  EXPECT_EQ(Run().settings.credentials->password.Reveal(), "hunter2 ");
}

TEST_F(ResolveCredentialsTest, WordBearerBeforeTheTokenIsAWarning) {
  Give("custom", "user", "");
  config_.oauth2_token = base::Secret("Bearer abc");
  EXPECT_THAT(Warning("oauth2_token").message, HasSubstr("Bearer"));
}

TEST_F(ResolveCredentialsTest, PlaintextCredentialsAreRefusedUnlessAllowed) {
  Give("custom", "user", "hunter2");
  config_.tls = TlsChoice::kOff;
  EXPECT_EQ(Error("tls").reason, "PLAINTEXT_CREDENTIALS");
  config_.allow_plaintext_auth = true;
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_TRUE(resolved.settings.allow_plaintext_auth);
  EXPECT_NE(Warning("allow_plaintext_auth").message, "");
}

TEST_F(ResolveCredentialsTest, PlaintextWithoutCredentialsPasses) {
  Give("custom", "", "");
  config_.tls = TlsChoice::kOff;
  EXPECT_TRUE(Run().ok());
}

TEST_F(ResolveCredentialsTest, NoFindingHoldsASecret) {
  for (const auto& profile : Embedded().profiles()) {
    Give(profile->id(), "s3cret-user name", "s3cret-pass ");
    config_.oauth2_token = base::Secret("Bearer s3cret-token");
    for (const Finding& finding : Run().findings) {
      EXPECT_THAT(finding.message + finding.hint, testing::Not(HasSubstr("s3cret")))
          << profile->id();
    }
  }
}

}  // namespace
}  // namespace sendstep::providers
