#include "providers/resolve_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "providers/resolve.h"

namespace sendstep::providers {
namespace {

using smtp::TlsPolicy;
using testing::HasSubstr;

const Registry& Embedded() {
  static const Registry& registry = *new Registry(Registry::Embedded());
  return registry;
}

// A self-signed certificate, made here.
std::string CertificatePem() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_sign(certificate, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pem;
}

class ResolveTlsTest : public testing::Test {
 protected:
  ResolveTlsTest() { config_.host = "smtp.example.com"; }

  Resolved Run() const { return Resolve(config_, Embedded(), {}); }

  static Finding Find(const Resolved& resolved, const std::string& field, Severity severity) {
    for (const Finding& finding : resolved.findings) {
      if (finding.field == field && finding.severity == severity) return finding;
    }
    return {};
  }
  Finding Error(const std::string& field) const { return Find(Run(), field, Severity::kError); }
  Finding Warning(const std::string& field) const { return Find(Run(), field, Severity::kWarning); }

  void Gmail() {
    config_.host.clear();
    config_.provider = "gmail";
    config_.username = "me@example.com";
    config_.password = base::Secret("x");
  }

  SmtpConfig config_;
};

TEST_F(ResolveTlsTest, TlsUnsetMeansTheUsualFormOfThePort) {
  const std::pair<uint32_t, TlsPolicy> cases[] = {
      {25, TlsPolicy::kStartTls},   {587, TlsPolicy::kStartTls},  {2525, TlsPolicy::kStartTls},
      {465, TlsPolicy::kImplicit},  {2465, TlsPolicy::kImplicit}, {8465, TlsPolicy::kImplicit},
      {1025, TlsPolicy::kStartTls}, {110, TlsPolicy::kStartTls},  {995, TlsPolicy::kStartTls}};
  for (const auto& [port, policy] : cases) {
    for (const TlsChoice choice : {TlsChoice::kUnset, TlsChoice::kOn}) {
      config_.port = port;
      config_.tls = choice;
      EXPECT_EQ(Run().settings.tls.policy, policy) << port;
      EXPECT_TRUE(Run().ok()) << port;
    }
  }
}

TEST_F(ResolveTlsTest, ExplicitChoiceWins) {
  config_.port = 587;
  config_.tls = TlsChoice::kImplicit;
  EXPECT_EQ(Run().settings.tls.policy, TlsPolicy::kImplicit);
  config_.port = 465;
  config_.tls = TlsChoice::kStartTls;
  EXPECT_EQ(Run().settings.tls.policy, TlsPolicy::kStartTls);
  config_.tls = TlsChoice::kOff;
  EXPECT_EQ(Run().settings.tls.policy, TlsPolicy::kNone);
}

TEST_F(ResolveTlsTest, PortIsFrom1To65535) {
  for (const uint32_t port : {0u, 65536u, 4294967295u}) {
    config_.port = port;
    EXPECT_EQ(Error("port").reason, "FIELD_INVALID") << port;
  }
  for (const uint32_t port : {1u, 65535u}) {
    config_.port = port;
    EXPECT_EQ(Run().settings.port, port);
    EXPECT_TRUE(Run().ok());
  }
}

TEST_F(ResolveTlsTest, PortOfTheUrlCountsUnlessItContradicts) {
  config_.host = "smtp.example.com:2525";
  EXPECT_EQ(Run().settings.port, 2525);
  config_.port = 2525;
  EXPECT_TRUE(Run().ok());
  config_.port = 587;
  EXPECT_EQ(Error("port").reason, "SETTINGS_CONTRADICT");
}

TEST_F(ResolveTlsTest, SmtpsUrlIsImplicitTls) {
  config_.host = "smtps://smtp.example.com";
  EXPECT_EQ(Run().settings.port, 465);
  EXPECT_EQ(Run().settings.tls.policy, TlsPolicy::kImplicit);
  config_.host = "smtps://smtp.example.com:2525";
  EXPECT_EQ(Run().settings.tls.policy, TlsPolicy::kImplicit);
  for (const TlsChoice choice : {TlsChoice::kOff, TlsChoice::kStartTls}) {
    config_.tls = choice;
    EXPECT_EQ(Error("tls").reason, "SETTINGS_CONTRADICT");
  }
}

TEST_F(ResolveTlsTest, SmtpUrlLeavesTlsOn) {
  config_.host = "smtp://smtp.example.com:587";
  EXPECT_EQ(Run().settings.tls.policy, TlsPolicy::kStartTls);
}

TEST_F(ResolveTlsTest, ImplicitTlsWithoutAPortFindsThePortOfThatForm) {
  config_.tls = TlsChoice::kImplicit;
  EXPECT_EQ(Run().settings.port, 465);
  Gmail();
  EXPECT_EQ(Run().settings.port, 465);
  EXPECT_EQ(Warning("tls").message, "");
}

TEST_F(ResolveTlsTest, MailboxPortsAreAcceptedWithAWarning) {
  const std::pair<uint32_t, const char*> cases[] = {
      {110, "POP3"}, {995, "POP3"}, {143, "IMAP"}, {993, "IMAP"}};
  for (const auto& [port, protocol] : cases) {
    config_.port = port;
    EXPECT_TRUE(Run().ok());
    EXPECT_THAT(Warning("port").message, HasSubstr(protocol)) << port;
  }
}

TEST_F(ResolveTlsTest, PortThatTheProviderDoesNotListIsAWarning) {
  Gmail();
  config_.port = 2525;
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("port").hint, HasSubstr("587, 465"));
  config_.port = 465;
  EXPECT_EQ(Warning("port").message, "");
}

TEST_F(ResolveTlsTest, FormThePortDoesNotSpeakIsAWarningThatNamesBoth) {
  config_.port = 465;
  config_.tls = TlsChoice::kStartTls;
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(Warning("tls").message, "Port 465 wants implicit TLS; you chose STARTTLS.");
  Gmail();
  EXPECT_EQ(Warning("tls").message, "Port 465 wants implicit TLS; you chose STARTTLS.");
  config_.port = 587;
  config_.tls = TlsChoice::kImplicit;
  EXPECT_EQ(Warning("tls").message, "Port 587 wants STARTTLS; you chose implicit TLS.");
}

TEST_F(ResolveTlsTest, UnusualPortMaySpeakEitherForm) {
  config_.port = 1465;
  for (const TlsChoice choice : {TlsChoice::kImplicit, TlsChoice::kStartTls, TlsChoice::kOff}) {
    config_.tls = choice;
    EXPECT_EQ(Warning("tls").message, "");
  }
}

TEST_F(ResolveTlsTest, PlaintextToAKnownProviderIsAWarning) {
  Gmail();
  config_.tls = TlsChoice::kOff;
  config_.allow_plaintext_auth = true;
  EXPECT_TRUE(Run().ok());
  EXPECT_THAT(Warning("tls").message, HasSubstr("TLS is off"));
}

TEST_F(ResolveTlsTest, TrustSettingsContradictPlaintext) {
  config_.tls = TlsChoice::kOff;
  config_.insecure_skip_verify = true;
  EXPECT_EQ(Error("insecure_skip_verify").reason, "SETTINGS_CONTRADICT");
  config_.insecure_skip_verify = false;
  config_.ca_pem = CertificatePem();
  EXPECT_EQ(Error("ca_pem").reason, "SETTINGS_CONTRADICT");
}

TEST_F(ResolveTlsTest, TrustingOneAndAllContradict) {
  config_.ca_pem = CertificatePem();
  config_.insecure_skip_verify = true;
  EXPECT_EQ(Error("insecure_skip_verify").reason, "SETTINGS_CONTRADICT");
}

TEST_F(ResolveTlsTest, SkippingVerificationIsAWarning) {
  config_.insecure_skip_verify = true;
  EXPECT_TRUE(Run().ok());
  EXPECT_FALSE(Run().settings.tls.verify);
  EXPECT_NE(Warning("insecure_skip_verify").message, "");
}

TEST_F(ResolveTlsTest, CertificatesAreTaken) {
  config_.ca_pem = CertificatePem() + "\n" + CertificatePem();
  EXPECT_TRUE(Run().ok());
  EXPECT_EQ(Run().settings.tls.ca_pem, config_.ca_pem);
  EXPECT_TRUE(Run().settings.tls.verify);
}

TEST_F(ResolveTlsTest, WhatIsNoCertificateIsRefused) {
  config_.ca_pem = "not a certificate";
  EXPECT_THAT(Error("ca_pem").message, HasSubstr("no certificate"));
  EXPECT_EQ(Error("ca_pem").reason, "FIELD_INVALID");
  std::string cut = CertificatePem();
  cut.erase(cut.size() / 2);
  config_.ca_pem = CertificatePem() + cut;
  EXPECT_THAT(Error("ca_pem").message, HasSubstr("Certificate 2"));
  std::string damaged = CertificatePem();
  damaged.replace(60, 4, "@@@@");
  config_.ca_pem = damaged;
  EXPECT_THAT(Error("ca_pem").message, HasSubstr("Certificate 1"));
  config_.ca_pem = CertificatePem() + "-----BEGIN PRIVATE KEY-----\nAA==\n";
  EXPECT_THAT(Error("ca_pem").message, HasSubstr("private key"));
  config_.ca_pem = std::string(64 * 1024 + 1, 'a');
  EXPECT_EQ(Error("ca_pem").reason, "LIMIT_EXCEEDED");
}

TEST_F(ResolveTlsTest, PinnedKeyIsTheBase64OfASha256) {
  const std::string key(32, '\x07');
  config_.pinned_key_sha256 = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
  EXPECT_EQ(Run().settings.tls.pinned_key_sha256, key);
  for (const char* wrong : {"BwcH", "sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "?"}) {
    config_.pinned_key_sha256 = wrong;
    EXPECT_EQ(Error("pinned_key_sha256").reason, "FIELD_INVALID") << wrong;
  }
}

TEST_F(ResolveTlsTest, PinnedKeyContradictsWhatTrustsOtherwise) {
  config_.pinned_key_sha256 = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
  config_.insecure_skip_verify = true;
  EXPECT_EQ(Error("pinned_key_sha256").reason, "SETTINGS_CONTRADICT");
  config_.insecure_skip_verify = false;
  config_.tls = TlsChoice::kOff;
  EXPECT_EQ(Error("pinned_key_sha256").reason, "SETTINGS_CONTRADICT");
}

TEST_F(ResolveTlsTest, OldestVersionWantsTls) {
  config_.tls13_only = true;
  EXPECT_TRUE(Run().settings.tls.tls13_only);
  config_.tls = TlsChoice::kOff;
  EXPECT_EQ(Error("min_tls_version").reason, "SETTINGS_CONTRADICT");
}

}  // namespace
}  // namespace sendstep::providers
