#include "transport/net/pool_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace sendstep::net {
namespace {

using smtp::SmtpSettings;

SmtpSettings Settings() {
  SmtpSettings settings;
  settings.tenant = "tenant";
  settings.host = "mx.example";
  settings.port = 587;
  settings.ehlo_name = "client.example";
  smtp::Credentials credentials;
  credentials.username = "me";
  credentials.password = base::Secret("open sesame");
  settings.credentials = credentials;
  return settings;
}

struct Difference {
  const char* name;
  std::function<void(SmtpSettings&)> make;
};

class PoolKeyDifferenceTest : public ::testing::TestWithParam<Difference> {};

TEST_P(PoolKeyDifferenceTest, KeepsAccountsApart) {
  SmtpSettings other = Settings();
  GetParam().make(other);
  EXPECT_NE(PoolKey(other), PoolKey(Settings()));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, PoolKeyDifferenceTest,
    ::testing::Values(
        Difference{"Tenant", [](SmtpSettings& s) { s.tenant = "other"; }},
        Difference{"Host", [](SmtpSettings& s) { s.host = "mx.example.org"; }},
        Difference{"Port", [](SmtpSettings& s) { s.port = 465; }},
        Difference{"TlsPolicy", [](SmtpSettings& s) { s.tls.policy = smtp::TlsPolicy::kNone; }},
        Difference{"TlsVerify", [](SmtpSettings& s) { s.tls.verify = false; }},
        Difference{"Proxy", [](SmtpSettings& s) { s.proxy.emplace(); }},
        Difference{"PinnedKey", [](SmtpSettings& s) { s.tls.pinned_key_sha256 = "key"; }},
        Difference{"ServerName", [](SmtpSettings& s) { s.tls.server_name = "example.org"; }},
        Difference{"Tls13Only", [](SmtpSettings& s) { s.tls.tls13_only = true; }},
        Difference{"Ca", [](SmtpSettings& s) { s.tls.ca_pem = "pem"; }},
        Difference{"EhloName", [](SmtpSettings& s) { s.ehlo_name = "other.example"; }},
        Difference{"Mechanisms",
                   [](SmtpSettings& s) { s.mechanisms = {smtp::SaslMechanism::kLogin}; }},
        Difference{"OrderOfMechanisms",
                   [](SmtpSettings& s) { std::swap(s.mechanisms[0], s.mechanisms[1]); }},
        Difference{"NoCredentials", [](SmtpSettings& s) { s.credentials.reset(); }},
        Difference{"Username", [](SmtpSettings& s) { s.credentials->username = "you"; }},
        Difference{"Password",
                   [](SmtpSettings& s) { s.credentials->password = base::Secret("abracadabra"); }},
        Difference{"PasswordAsToken",
                   [](SmtpSettings& s) {
                     s.credentials->oauth2_token = s.credentials->password;
                     s.credentials->password = base::Secret("");
                   }},
        Difference{"SecretUsername",
                   [](SmtpSettings& s) { s.credentials->username_is_secret = true; }},
        Difference{"WhereFieldsEnd",
                   [](SmtpSettings& s) {
                     s.tenant = "tenantmx";
                     s.host = ".example";
                   }},
        Difference{"SwallowsRefusedChunk",
                   [](SmtpSettings& s) { s.swallows_refused_chunk = true; }},
        Difference{"PlaintextAuth", [](SmtpSettings& s) { s.allow_plaintext_auth = true; }}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(PoolKey, IsTheSameForTheSameSettings) { EXPECT_EQ(PoolKey(Settings()), PoolKey(Settings())); }

TEST(PoolKey, LimitsAndTimeoutsDoNotMatter) {
  SmtpSettings other = Settings();
  other.limits.max_connections = 1;
  other.timeouts.mail = std::chrono::seconds(1);
  EXPECT_EQ(PoolKey(other), PoolKey(Settings()));
}

TEST(PoolKey, TokensThatAnAccountGetsAnewAreOneAccount) {
  const auto with = [](const std::string& relay, const std::string& token) {
    SmtpSettings settings = Settings();
    settings.credentials->token_of = relay;
    settings.credentials->oauth2_token = base::Secret(token);
    return PoolKey(settings);
  };
  EXPECT_EQ(with("relay", "first"), with("relay", "second"));
  EXPECT_NE(with("relay", "first"), with("other", "first"));
  EXPECT_NE(with("", "first"), with("", "second"));
}

TEST(PoolKey, ShowsNoSecret) {
  EXPECT_EQ(PoolKey(Settings()).find("sesame"), std::string::npos);
  EXPECT_EQ(PoolKey(Settings()).size(), 32u);
}

}  // namespace
}  // namespace sendstep::net
