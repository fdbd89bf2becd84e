#include "providers/sandbox/certificate.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>

namespace sendstep::providers::sandbox {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio BioOf(std::string_view pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free};
}
Certificate ParseCertificate(const std::string& pem) {
  return {PEM_read_bio_X509(BioOf(pem).get(), nullptr, nullptr, nullptr), X509_free};
}

// X509_V_OK, or why `leaf` is not a server that a client trusting `ca` alone believes.
int Verify(X509* leaf, X509* ca) {
  std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(), X509_STORE_free);
  X509_STORE_add_cert(store.get(), ca);
  std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(X509_STORE_CTX_new(),
                                                                          X509_STORE_CTX_free);
  X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr);
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_X509_STRICT);
  return X509_verify_cert(context.get()) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context.get());
}

class CertificateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = MakeServerIdentity();
    ASSERT_TRUE(made.ok()) << made.status();
    identity_ = *std::move(made);
    ca_ = ParseCertificate(identity_.ca_pem);
    leaf_ = ParseCertificate(identity_.certificate_pem);
    ASSERT_TRUE(ca_ && leaf_);
  }
  ServerIdentity identity_;
  Certificate ca_{nullptr, X509_free};
  Certificate leaf_{nullptr, X509_free};
};

TEST_F(CertificateTest, StrictClientsVerifyTheChain) {
  EXPECT_EQ(Verify(leaf_.get(), ca_.get()), X509_V_OK);
}

TEST_F(CertificateTest, AnotherAuthorityDoesNotVerifyIt) {
  const auto other = MakeServerIdentity();
  ASSERT_TRUE(other.ok());
  EXPECT_NE(Verify(leaf_.get(), ParseCertificate(other->ca_pem).get()), X509_V_OK);
}

TEST_F(CertificateTest, NamesAreTheLoopbackOnes) {
  EXPECT_EQ(X509_check_ip_asc(leaf_.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_host(leaf_.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(leaf_.get(), "127.0.0.2", 0), 0);
  EXPECT_EQ(X509_check_host(leaf_.get(), "example.com", 0, 0, nullptr), 0);
}

TEST_F(CertificateTest, KeyFitsTheServerAndNotTheAuthority) {
  const std::string_view pem = identity_.private_key_pem.Reveal();
  const Key key(PEM_read_bio_PrivateKey(BioOf(pem).get(), nullptr, nullptr, nullptr),
                EVP_PKEY_free);
  ASSERT_TRUE(key);
  EXPECT_EQ(X509_check_private_key(leaf_.get(), key.get()), 1);
  EXPECT_EQ(X509_check_private_key(ca_.get(), key.get()), 0);
  EXPECT_EQ(EVP_PKEY_get_bits(key.get()), 256);
}

TEST_F(CertificateTest, ServerIsNoAuthority) {
  EXPECT_EQ(X509_check_ca(leaf_.get()), 0);
  EXPECT_EQ(X509_check_ca(ca_.get()), 1);
}

}  // namespace
}  // namespace sendstep::providers::sandbox
