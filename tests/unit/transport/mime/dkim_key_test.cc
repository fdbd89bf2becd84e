#include "transport/mime/dkim_key.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <string>

#include "tests/unit/transport/mime/dkim_keys.h"

namespace sendstep::mime {
namespace {

// Why it is refused.
std::string Refusal(std::string_view domain, std::string_view selector, std::string_view pem) {
  const auto key = DkimKey::Load(domain, selector, base::Secret(pem));
  EXPECT_EQ(ERR_peek_error(), 0u);
  if (key) return "none";
  EXPECT_EQ(key.error().stage, base::Stage::kConfig);
  EXPECT_EQ(key.error().cause, base::Cause::kInvalid);
  return key.error().detail;
}

std::string Refusal(std::string_view pem) { return Refusal("example.com", "s", pem); }

TEST(DkimKey, RsaAndEd25519AreTaken) {
  const DkimKey old = Key("example.com", "s", kRfc6376Rsa);
  EXPECT_EQ(old.algorithm(), "rsa-sha256");
  EXPECT_EQ(old.bits(), 1024);
  EXPECT_TRUE(old.is_short());
  const DkimKey rsa = Key("example.com", "s", Pem(EVP_RSA_gen(2048)));  // PKCS #8
  EXPECT_EQ(rsa.algorithm(), "rsa-sha256");
  EXPECT_EQ(rsa.bits(), 2048);
  EXPECT_FALSE(rsa.is_short());
  const DkimKey ed25519 = Key("example.com", "s", kRfc8463Ed25519);
  EXPECT_EQ(ed25519.algorithm(), "ed25519-sha256");
  EXPECT_FALSE(ed25519.is_short());
}

TEST(DkimKey, WhatIsNoneOfTheseIsRefusedAndSaysWhy) {
  constexpr char kNoPem[] = "the private key is not one in PEM";
  EXPECT_EQ(Refusal(""), kNoPem);
  EXPECT_EQ(Refusal("nonsense"), kNoPem);
  EXPECT_EQ(Refusal(std::string(kRfc6376Rsa).substr(0, 300)), kNoPem);
  EXPECT_EQ(Refusal("-----BEGIN PUBLIC KEY-----\n"
                    "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                    "-----END PUBLIC KEY-----\n"),
            kNoPem);
  EXPECT_EQ(Refusal(Pem(EVP_RSA_gen(2048), "passphrase")),
            "the private key is encrypted: write it without a passphrase");
  EXPECT_EQ(Refusal(Pem(EVP_EC_gen("P-256"))), "the private key is neither RSA nor Ed25519");
  EXPECT_EQ(Refusal(Pem(EVP_RSA_gen(1016))),
            "the private key has 1016 bits: RSA needs 1024 to 4096");
  EXPECT_EQ(Refusal(Pem(EVP_RSA_gen(4104))),
            "the private key has 4104 bits: RSA needs 1024 to 4096");
}

TEST(DkimKey, DomainsBecomeALabels) {
  EXPECT_EQ(Key("B\u00FCcher.Example", "s", kRfc8463Ed25519).domain(), "xn--bcher-kva.example");
  EXPECT_EQ(Refusal("a b.example", "s", kRfc8463Ed25519).substr(0, 10), "the domain");
  EXPECT_EQ(Refusal("", "s", kRfc8463Ed25519), "the domain is empty");
  EXPECT_EQ(Refusal("example.com", "a;b", kRfc8463Ed25519),
            "the selector is not letters, digits and hyphens between dots");
}

TEST(DkimKey, SelectorsAreLabelsBetweenDots) {
  for (const char* good : {"s", "20261127", "mar2026.eu", "k-1", "S1"}) {
    EXPECT_TRUE(IsDkimSelector(good)) << good;
  }
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a_b", "a b", "a;b", "-a", "a-", "\u00FC",
                          "a\r\nb", "s._domainkey"}) {
    EXPECT_FALSE(IsDkimSelector(bad)) << bad;
  }
  EXPECT_TRUE(IsDkimSelector(std::string(63, 'a')));
  EXPECT_FALSE(IsDkimSelector(std::string(64, 'a')));
}

TEST(DkimKey, ADomainCoversItselfAndWhatIsBelow) {
  EXPECT_TRUE(DkimCovers("example.com", "example.com"));
  EXPECT_TRUE(DkimCovers("example.com", "mail.example.com"));
  EXPECT_FALSE(DkimCovers("mail.example.com", "example.com"));
  EXPECT_FALSE(DkimCovers("example.com", "badexample.com"));
  EXPECT_FALSE(DkimCovers("example.com", "example.org"));
  EXPECT_FALSE(DkimCovers("example.com", ""));
}

}  // namespace
}  // namespace sendstep::mime
