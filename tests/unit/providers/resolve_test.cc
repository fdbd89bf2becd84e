#include "providers/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sendstep::providers {
namespace {

using smtp::TlsPolicy;
using testing::HasSubstr;

const Registry& Embedded() {
  static const Registry& registry = *new Registry(Registry::Embedded());
  return registry;
}

class ResolveTest : public testing::Test {
 protected:
  Resolved Run() { return Resolve(config_, Embedded(), context_); }

  // The finding about `field` of this severity; an empty one where there is none.
  static Finding Find(const Resolved& resolved, const std::string& field, Severity severity) {
    for (const Finding& finding : resolved.findings) {
      if (finding.field == field && finding.severity == severity) return finding;
    }
    return {};
  }
  static Finding Error(const Resolved& resolved, const std::string& field) {
    return Find(resolved, field, Severity::kError);
  }
  static Finding Warning(const Resolved& resolved, const std::string& field) {
    return Find(resolved, field, Severity::kWarning);
  }

  void Server(const std::string& host) { config_.host = host; }
  void Login() {
    config_.username = "user@example.com";
    config_.password = base::Secret("hunter2");
  }

  SmtpConfig config_;
  ResolveContext context_;
};

// Provider and host.

TEST_F(ResolveTest, UnknownProviderSuggestsTheNearest) {
  config_.provider = "gmial";
  const Finding error = Error(Run(), "provider");
  EXPECT_EQ(error.reason, "PROVIDER_UNKNOWN");
  EXPECT_THAT(error.hint, HasSubstr("\"gmail\""));
}

TEST_F(ResolveTest, UnknownProviderWithNoneNearListsAll) {
  config_.provider = "pigeon";
  EXPECT_THAT(Error(Run(), "provider").hint, testing::AllOf(HasSubstr("gmail"), HasSubstr("ses")));
}

TEST_F(ResolveTest, HostOfAProfileSelectsItWithAWarning) {
  Server("smtp.sendgrid.net");
  config_.password = base::Secret("SG.key");
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.profile->id(), "sendgrid");
  EXPECT_THAT(Warning(resolved, "provider").hint, HasSubstr("\"sendgrid\""));
}

TEST_F(ResolveTest, CustomGivesWayToTheHostsProfile) {
  config_.provider = "custom";
  Server("smtp.gmail.com");
  Login();
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.profile->id(), "gmail");
  EXPECT_EQ(resolved.settings.port, 587);
}

TEST_F(ResolveTest, HostOfAnotherProviderIsWrong) {
  config_.provider = "sendgrid";
  Server("smtp.mailgun.org");
  config_.password = base::Secret("SG.key");
  const Finding error = Error(Run(), "host");
  EXPECT_EQ(error.reason, "WRONG_HOST");
  EXPECT_THAT(error.message, testing::AllOf(HasSubstr("Mailgun"), HasSubstr("SendGrid")));
}

TEST_F(ResolveTest, OwnGatewayOfAKnownProviderIsAllowedWithAWarning) {
  config_.provider = "gmail";
  Server("mail.internal.example");
  Login();
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.profile->id(), "gmail");
  EXPECT_EQ(resolved.settings.host, "mail.internal.example");
  EXPECT_THAT(Warning(resolved, "host").message, HasSubstr("mail.internal.example"));
}

TEST_F(ResolveTest, HostLikeAKnownOneIsRemembered) {
  Server("smtp.gmial.com");
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.SimilarHost(), "smtp.gmail.com");
}

TEST_F(ResolveTest, NoProviderAndNoHostIsAnError) {
  EXPECT_EQ(Error(Run(), "host").reason, "FIELD_REQUIRED");
}

TEST_F(ResolveTest, MailDomainSuggestsTheProvider) {
  config_.username = "me@Gmail.com";
  config_.password = base::Secret("x");
  EXPECT_THAT(Error(Run(), "host").hint, HasSubstr("provider to \"gmail\""));
  config_.username.clear();
  config_.password = {};
  config_.default_from_email = "me@googlemail.com";
  EXPECT_THAT(Error(Run(), "host").hint, HasSubstr("provider to \"gmail\""));
}

TEST_F(ResolveTest, MalformedHostIsReportedOnTheHost) {
  Server("https://smtp.gmail.com/settings");
  const Finding error = Error(Run(), "host");
  EXPECT_EQ(error.reason, "HOST_INVALID");
  EXPECT_THAT(error.message, HasSubstr("a path"));
}

TEST_F(ResolveTest, ErrorsComeBeforeWarningsAndCarryTheProvidersPage) {
  config_.provider = "gmail";
  config_.port = 110;
  const Resolved resolved = Run();
  ASSERT_GE(resolved.findings.size(), 2u);
  EXPECT_EQ(resolved.findings.front().severity, Severity::kError);
  EXPECT_EQ(resolved.findings.back().severity, Severity::kWarning);
  EXPECT_EQ(resolved.findings.front().doc_url, resolved.profile->doc_url());
}

TEST_F(ResolveTest, AllFindingsComeBackAtOnce) {
  config_.provider = "nope-nope";
  config_.port = 0;
  config_.domain = "https://example.com";
  config_.username = "u";
  const Resolved resolved = Run();
  for (const char* field : {"provider", "port", "domain", "password", "host"}) {
    EXPECT_NE(Error(resolved, field).reason, "") << field;
  }
  EXPECT_NE(resolved.profile, nullptr);
}

// Regions.

TEST_F(ResolveTest, RegionMakesTheHost) {
  config_.provider = "ses";
  config_.region = " EU-Central-1 ";
  Login();
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.host, "email-smtp.eu-central-1.amazonaws.com");
  EXPECT_EQ(resolved.region, "eu-central-1");
}

TEST_F(ResolveTest, RegionIsReadFromTheHost) {
  Server("email-smtp-fips.us-west-2.amazonaws.com");
  Login();
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.profile->id(), "ses");
  EXPECT_EQ(resolved.region, "us-west-2");
  EXPECT_EQ(resolved.settings.host, "email-smtp-fips.us-west-2.amazonaws.com");
}

TEST_F(ResolveTest, SesWantsARegion) {
  config_.provider = "ses";
  const Finding error = Error(Run(), "region");
  EXPECT_EQ(error.reason, "FIELD_REQUIRED");
  EXPECT_THAT(error.hint, HasSubstr("us-east-1"));
}

TEST_F(ResolveTest, RegionOfTheRightShapeIsTakenWithAWarning) {
  config_.provider = "ses";
  config_.region = "xx-north-9";
  Login();
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.host, "email-smtp.xx-north-9.amazonaws.com");
  EXPECT_THAT(Warning(resolved, "region").message, HasSubstr("xx-north-9"));
}

TEST_F(ResolveTest, UnknownRegionListsTheKnown) {
  config_.provider = "mailgun";
  config_.region = "asia";
  Login();
  const Resolved resolved = Run();
  const Finding error = Error(resolved, "region");
  EXPECT_EQ(error.reason, "FIELD_INVALID");
  EXPECT_THAT(error.hint, HasSubstr("us, eu"));
  config_.provider = "ses";
  config_.region = "evil.example/x";
  EXPECT_EQ(Error(Run(), "region").reason, "FIELD_INVALID");
}

TEST_F(ResolveTest, RegionThatContradictsTheHostIsAWrongHost) {
  config_.provider = "mailgun";
  config_.region = "eu";
  Server("smtp.mailgun.org");
  Login();
  EXPECT_EQ(Error(Run(), "host").reason, "WRONG_HOST");
  config_.provider = "ses";
  config_.region = "eu-west-1";
  Server("email-smtp.us-east-1.amazonaws.com");
  EXPECT_EQ(Error(Run(), "host").reason, "WRONG_HOST");
}

TEST_F(ResolveTest, RegionOfAProviderWithoutRegionsIsIgnoredWithAWarning) {
  config_.provider = "gmail";
  config_.region = "eu";
  Login();
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.region, "");
  EXPECT_NE(Warning(resolved, "region").message, "");
}

TEST_F(ResolveTest, MailgunIsUsUnlessSaidOtherwise) {
  config_.provider = "mailgun";
  Login();
  const Resolved resolved = Run();
  EXPECT_EQ(resolved.settings.host, "smtp.mailgun.org");
  EXPECT_EQ(resolved.region, "us");
}

// EHLO and default sender.

TEST_F(ResolveTest, EhloIsTheDomainElseTheOperatorsElseFroms) {
  Server("smtp.example.com");
  EXPECT_EQ(Run().settings.ehlo_name, "");
  EXPECT_TRUE(Run().ok());
  context_.from_domain = "from.example";
  EXPECT_EQ(Run().settings.ehlo_name, "from.example");
  context_.operator_ehlo_name = "operator.example";
  EXPECT_EQ(Run().settings.ehlo_name, "operator.example");
  config_.domain =
      " B\xc3\xbc"
      "cher.example ";
  EXPECT_EQ(Run().settings.ehlo_name, "xn--bcher-kva.example");
}

TEST_F(ResolveTest, AddressAsDomainBecomesALiteral) {
  Server("smtp.example.com");
  config_.domain = "192.0.2.7";
  EXPECT_EQ(Run().settings.ehlo_name, "[192.0.2.7]");
  config_.domain = "2001:db8::1";
  EXPECT_EQ(Run().settings.ehlo_name, "[IPv6:2001:db8::1]");
  EXPECT_EQ(Warning(Run(), "domain").message, "");
}

TEST_F(ResolveTest, MalformedDomainHintsAtWhatWasTyped) {
  Server("smtp.example.com");
  const std::pair<const char*, const char*> cases[] = {{"https://example.com", "URL"},
                                                       {"me@example.com", "after the @"},
                                                       {"exa mple.com", "IP address"}};
  for (const auto& [domain, phrase] : cases) {
    config_.domain = domain;
    const Finding error = Error(Run(), "domain");
    EXPECT_EQ(error.reason, "FIELD_INVALID") << domain;
    EXPECT_THAT(error.hint, HasSubstr(phrase)) << domain;
  }
  config_.domain = "example.com\r\nMAIL FROM:<x>";
  EXPECT_EQ(Error(Run(), "domain").reason, "CONTROL_CHARACTER");
}

TEST_F(ResolveTest, DomainWithoutADotIsAWarning) {
  Server("smtp.example.com");
  config_.domain = "localhost";
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_THAT(Warning(resolved, "domain").message, HasSubstr("localhost"));
}

TEST_F(ResolveTest, DefaultSenderIsChecked) {
  Server("smtp.example.com");
  config_.default_from_email = "me@@example.com";
  EXPECT_EQ(Error(Run(), "default_from.email").reason, "ADDRESS_INVALID");
  config_.default_from_email = "me@example.com";
  config_.default_from_name = "M\xc4\x8d";
  EXPECT_TRUE(Run().ok());
  config_.default_from_name = "Me\r\nBcc: you@example.com";
  EXPECT_EQ(Error(Run(), "default_from.name").reason, "CONTROL_CHARACTER");
  config_.default_from_name = "Me";
  config_.default_from_email.clear();
  EXPECT_EQ(Error(Run(), "default_from.email").reason, "FIELD_REQUIRED");
}

// Sandbox.

TEST_F(ResolveTest, SandboxWithoutOneIsOff) {
  config_.provider = "sandbox";
  EXPECT_EQ(Error(Run(), "provider").reason, "SANDBOX_OFF");
}

TEST_F(ResolveTest, SandboxFillsInWhereItListens) {
  config_.provider = "sandbox";
  context_.sandbox = SandboxEndpoint{"127.0.0.1", 40025, "pem"};
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.host, "127.0.0.1");
  EXPECT_EQ(resolved.settings.port, 40025);
  EXPECT_EQ(resolved.settings.tls.policy, TlsPolicy::kStartTls);
  EXPECT_EQ(resolved.settings.tls.ca_pem, "pem");
  EXPECT_TRUE(resolved.settings.tls.verify);
  EXPECT_FALSE(resolved.settings.credentials.has_value());
}

TEST_F(ResolveTest, SandboxTakesAnyLoginButNoHost) {
  config_.provider = "sandbox";
  context_.sandbox = SandboxEndpoint{"127.0.0.1", 40025, "pem"};
  Login();
  EXPECT_TRUE(Run().ok());
  Server("smtp.example.com");
  EXPECT_EQ(Error(Run(), "host").reason, "SETTINGS_CONTRADICT");
  Server("smtp.gmail.com");
  EXPECT_EQ(Error(Run(), "host").reason, "SETTINGS_CONTRADICT");
  config_.tls = TlsChoice::kImplicit;
  EXPECT_EQ(Error(Run(), "tls").reason, "SETTINGS_CONTRADICT");
}

// Limits.

TEST_F(ResolveTest, LimitsOfTheProfileStandOverTheServersOwn) {
  context_.limits.max_connections = 8;
  context_.limits.max_mails_per_connection = 9;
  config_.provider = "microsoft365";
  Login();
  const smtp::SendingLimits limits = Run().settings.limits;
  EXPECT_EQ(limits.max_connections, 3);
  EXPECT_EQ(limits.max_mails_per_second, 0.5);
  EXPECT_EQ(limits.max_mails_per_connection, 9) << "the profile says nothing of it";
}

TEST_F(ResolveTest, LimitsOfAServerNobodyKnowsAreTheServersOwn) {
  context_.limits.max_connections = 8;
  Server("mail.example.com");
  const smtp::SendingLimits limits = Run().settings.limits;
  EXPECT_EQ(limits.max_connections, 8);
  EXPECT_EQ(limits.max_mails_per_second, 0);
}

TEST_F(ResolveTest, RefusedChunkIsSwallowedByTheSandboxAndByNoProviderThatIsNotKnownTo) {
  config_.provider = "sandbox";
  context_.sandbox = SandboxEndpoint{"127.0.0.1", 40025, "pem"};
  EXPECT_TRUE(Run().settings.swallows_refused_chunk);
  config_ = {};
  Server("mail.example.com");
  EXPECT_FALSE(Run().settings.swallows_refused_chunk);
  config_.host.clear();
  config_.provider = "gmail";
  Login();
  EXPECT_FALSE(Run().settings.swallows_refused_chunk);
}

TEST(ResolveLimitsTest, AGatewayInTheProvidersPlaceIsNotSaidToSwallowChunks) {
  constexpr char kSwallows[] = R"txt(
    id: "acme" title: "Acme" host: "smtp.acme.example" doc_url: "https://acme.example/smtp"
    ports { number: 587 tls: TLS_FORM_STARTTLS } default_port: 587 auth_mechanisms: "PLAIN"
    auth_optional: true username { help: "u" } password { help: "p" }
    swallows_refused_chunk: true
  )txt";
  std::string folder = testing::TempDir() + "/resolve_test.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/acme.textproto") << kSwallows;
  const auto loaded = Registry::WithFolder(folder);
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Registry& registry = *loaded;
  SmtpConfig config;
  config.provider = "acme";
  EXPECT_TRUE(Resolve(config, registry, {}).settings.swallows_refused_chunk);
  config.host = "SMTP.acme.example";
  EXPECT_TRUE(Resolve(config, registry, {}).settings.swallows_refused_chunk);
  config.host = "mail.internal.example";
  EXPECT_FALSE(Resolve(config, registry, {}).settings.swallows_refused_chunk);
}

// Discovery.

class DiscoveryTest : public ResolveTest {
 protected:
  DiscoveryTest() {
    config_.discover_domain = " Example.COM ";
    Login();
  }
  void Found(const std::string& host, TlsPolicy policy = TlsPolicy::kImplicit) {
    context_.discovered = {host, 4650, policy};
  }
};

TEST_F(DiscoveryTest, BeforeDnsIsAskedThereIsNoHostAndNoError) {
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.host, "");
  EXPECT_EQ(resolved.settings.port, 0);
  EXPECT_EQ(resolved.discover_domain, "example.com");
}

TEST_F(DiscoveryTest, ServerBelowTheDomainIsKnownByItsOwnName) {
  for (const char* host : {"example.com", "smtp.example.com"}) {
    Found(host, TlsPolicy::kStartTls);
    const Resolved resolved = Run();
    EXPECT_TRUE(resolved.ok());
    EXPECT_EQ(resolved.settings.host, host);
    EXPECT_EQ(resolved.settings.port, 4650);
    EXPECT_EQ(resolved.settings.tls.policy, TlsPolicy::kStartTls);
    EXPECT_EQ(resolved.settings.tls.server_name, "");
  }
}

TEST_F(DiscoveryTest, ServerElsewhereHasToNameTheDomain) {
  for (const char* host : {"smtp.hoster.net", "notexample.com", "example.com.hoster.net"}) {
    Found(host);
    const Resolved resolved = Run();
    EXPECT_TRUE(resolved.ok());
    EXPECT_EQ(resolved.settings.host, host);
    EXPECT_EQ(resolved.settings.tls.server_name, "example.com");
  }
}

TEST_F(DiscoveryTest, ProfileOfTheServerIsUsed) {
  config_.discover_domain = "gmail.com";
  Found("smtp.gmail.com");
  const Resolved resolved = Run();
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.profile->id(), "gmail");
  EXPECT_EQ(resolved.settings.port, 4650);
  EXPECT_THAT(resolved.findings, testing::IsEmpty());
}

TEST_F(DiscoveryTest, HostAndDomainContradictAndBothAreNamed) {
  Server("smtp.example.com");
  const Resolved resolved = Run();
  EXPECT_EQ(Error(resolved, "host").reason, "SETTINGS_CONTRADICT");
  EXPECT_EQ(Error(resolved, "discover_domain").reason, "SETTINGS_CONTRADICT");
  EXPECT_FALSE(NeedsDiscovery(config_));
}

TEST_F(DiscoveryTest, PortProviderAndSkippedVerificationContradict) {
  config_.port = 587;
  config_.provider = "gmail";
  config_.insecure_skip_verify = true;
  const Resolved resolved = Run();
  for (const char* field : {"port", "provider", "insecure_skip_verify"}) {
    EXPECT_EQ(Error(resolved, field).reason, "SETTINGS_CONTRADICT") << field;
  }
  EXPECT_FALSE(NeedsDiscovery(config_));
}

TEST_F(DiscoveryTest, TlsCannotBeOff) {
  config_.tls = TlsChoice::kOff;
  EXPECT_EQ(Error(Run(), "tls").reason, "SETTINGS_CONTRADICT");
  EXPECT_FALSE(NeedsDiscovery(config_));
}

TEST_F(DiscoveryTest, FormOfTlsDecidesWhatIsAsked) {
  EXPECT_EQ(NeedsDiscovery(config_)->domain, "example.com");
  EXPECT_TRUE(NeedsDiscovery(config_)->implicit_tls && NeedsDiscovery(config_)->starttls);
  config_.tls = TlsChoice::kStartTls;
  EXPECT_FALSE(NeedsDiscovery(config_)->implicit_tls);
  config_.tls = TlsChoice::kImplicit;
  EXPECT_FALSE(NeedsDiscovery(config_)->starttls);
  config_.discover_domain = "b\u00fccher.example";
  EXPECT_EQ(NeedsDiscovery(config_)->domain, "xn--bcher-kva.example");
  config_.discover_domain.clear();
  EXPECT_FALSE(NeedsDiscovery(config_));
}

TEST_F(DiscoveryTest, WhatIsNoDomainIsRefused) {
  for (const std::string bad :
       {"me@example.com", "https://example.com", "com", "192.0.2.1", "a..b", "a\nb.com"}) {
    config_.discover_domain = bad;
    EXPECT_EQ(Error(Run(), "discover_domain").reason, "FIELD_INVALID") << bad;
    EXPECT_FALSE(NeedsDiscovery(config_)) << bad;
  }
  config_.discover_domain = "me@example.com";
  EXPECT_EQ(Error(Run(), "discover_domain").hint, "Give only what stands after the @.");
}

}  // namespace
}  // namespace sendstep::providers
