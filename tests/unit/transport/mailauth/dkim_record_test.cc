#include "transport/mailauth/dkim_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <string>

#include "tests/support/fake_lookup.h"
#include "transport/base/base64.h"

namespace sendstep::mailauth {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::IsEmpty;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string Base64(const std::string& bytes) {
  std::string text;
  base::AppendBase64(bytes, text);
  return text;
}

// A public key of so many bits as SubjectPublicKeyInfo, or bare (PKCS #1).
std::string RsaKey(unsigned bits, bool bare = false) {
  const Key key(EVP_RSA_gen(bits), &EVP_PKEY_free);
  unsigned char* der = nullptr;
  const int size = bare ? i2d_PublicKey(key.get(), &der) : i2d_PUBKEY(key.get(), &der);
  const std::string bytes(reinterpret_cast<char*>(der), size);
  OPENSSL_free(der);
  return Base64(bytes);
}

const std::string& GoodKey() {
  static const std::string key = RsaKey(2048);
  return key;
}

DkimRecord Parse(const std::string& text) { return ParseDkimRecord(text, "s1._domainkey.ex.test"); }

auto HasId(const std::string& id) { return Contains(Field("id", &Problem::id, id)); }

TEST(DkimRecord, AnRsaKeyOf2048BitsIsUsable) {
  for (const std::string& text :
       {"v=DKIM1; k=rsa; p=" + GoodKey(), "p=" + GoodKey(), "v=DKIM1;p=" + GoodKey() + ";",
        "V = DKIM1 ; K = RSA ; h=sha1:sha256; s=*; P =" + GoodKey()}) {
    const DkimRecord record = Parse(text);
    EXPECT_TRUE(record.usable) << text;
    EXPECT_EQ(record.kind, DkimKeyKind::kRsa);
    EXPECT_EQ(record.bits, 2048);
    EXPECT_THAT(record.problems, IsEmpty()) << text;
  }
}

TEST(DkimRecord, ABareRsaKeyIsTakenToo) {
  EXPECT_TRUE(Parse("v=DKIM1; p=" + RsaKey(2048, /*bare=*/true)).usable);
}

TEST(DkimRecord, BlanksWithinTheKeyAreNotPartOfIt) {
  std::string spaced = GoodKey();
  spaced.insert(100, " ").insert(50, "\t");
  EXPECT_TRUE(Parse("v=DKIM1; p=" + spaced).usable);
}

TEST(DkimRecord, TheKeyOfRfc8463IsUsable) {
  const DkimRecord record =
      Parse("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
  EXPECT_TRUE(record.usable);
  EXPECT_EQ(record.kind, DkimKeyKind::kEd25519);
  EXPECT_THAT(record.problems, HasId("dkim.ed25519_only"));
}

TEST(DkimRecord, FlagsAreRead) {
  const DkimRecord record = Parse("v=DKIM1; t=y:s; p=" + GoodKey());
  EXPECT_TRUE(record.testing);
  EXPECT_TRUE(record.strict);
  EXPECT_TRUE(record.usable);
  EXPECT_THAT(record.problems, HasId("dkim.testing"));
}

TEST(DkimRecord, AKeyBelow1024BitsIsRefusedAndOneBelow2048Named) {
  const DkimRecord small = Parse("v=DKIM1; p=" + RsaKey(512));
  EXPECT_FALSE(small.usable);
  EXPECT_THAT(small.problems, HasId("dkim.short_key"));
  const DkimRecord middling = Parse("v=DKIM1; p=" + RsaKey(1024));
  EXPECT_TRUE(middling.usable);
  EXPECT_EQ(middling.problems.front().severity, Severity::kWarning);
}

struct Broken {
  const char* id;
  std::string text;
};

TEST(DkimRecord, EachMistakeIsNamedAndMakesTheKeyUnusable) {
  const std::string key = GoodKey();
  const Broken cases[] = {
      {"dkim.revoked", "v=DKIM1; p="},
      {"dkim.bad_key", "v=DKIM1; p=%%%"},
      {"dkim.bad_key", "v=DKIM1; p=" + key.substr(0, 100)},
      {"dkim.bad_key", "v=DKIM1; p=" + Base64("not a key, though well encoded")},
      {"dkim.bad_key", "v=DKIM1; k=ed25519; p=" + Base64(std::string(31, 'x'))},
      {"dkim.bad_key", "v=DKIM1; k=ed25519; p=" + key},
      {"dkim.unknown_kind", "v=DKIM1; k=dsa; p=" + key},
      {"dkim.no_sha256", "v=DKIM1; h=sha1; p=" + key},
      {"dkim.not_for_email", "v=DKIM1; s=tlsrpt; p=" + key},
      {"dkim.version", "v=DKIM2; p=" + key},
      {"dkim.version", "k=rsa; v=DKIM1; p=" + key},
      {"dkim.duplicate_tag", "v=DKIM1; p=" + key + "; p=" + key},
      {"dkim.quotes", "\"v=DKIM1; p=" + key + "\""},
      {"dkim.quotes", "v=DKIM1\\; p=" + key},
      {"dkim.no_key", "v=DKIM1; k=rsa"},
      {"dkim.no_key", "v=spf1 -all"},
      {"dkim.no_key", ""},
  };
  for (const Broken& broken : cases) {
    const DkimRecord record = Parse(broken.text);
    EXPECT_FALSE(record.usable) << broken.text;
    EXPECT_THAT(record.problems, HasId(broken.id)) << broken.text;
  }
}

TEST(DkimRecord, AKeyOfAnotherKindThanRsaIsNoRsaKey) {
  const Key ec(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(ec.get(), &der);
  const std::string text = Base64(std::string(reinterpret_cast<char*>(der), size));
  OPENSSL_free(der);
  EXPECT_THAT(Parse("v=DKIM1; k=rsa; p=" + text).problems, HasId("dkim.bad_key"));
}

class DkimLookupTest : public ::testing::Test {
 protected:
  template <class Result, class Work>
  Result Run(Work work) {
    boost::asio::io_context context;
    dns::Inquiry inquiry(context.get_executor(), lookup_, {});
    std::future<Result> done =
        boost::asio::co_spawn(context, work(inquiry), boost::asio::use_future);
    context.run();
    return done.get();
  }
  DkimSelector LookUp() {
    return Run<DkimSelector>(
        [](dns::Inquiry& inquiry) { return LookUpDkim(inquiry, "s1", "ex.test"); });
  }
  DkimPresence Probe() {
    return Run<DkimPresence>([](dns::Inquiry& inquiry) { return ProbeDkim(inquiry, "ex.test"); });
  }

  testing::FakeLookup lookup_;
};

TEST_F(DkimLookupTest, AKeyBehindACnameIsFound) {
  lookup_.Name("s1._domainkey.ex.test", dns::RecordType::kCname, "key.provider.test");
  lookup_.Txt("key.provider.test", "v=DKIM1; p=" + GoodKey());
  const DkimSelector found = LookUp();
  EXPECT_TRUE(found.usable());
  EXPECT_EQ(found.name, "s1._domainkey.ex.test");
  EXPECT_THAT(found.answer.aliases, ::testing::ElementsAre("key.provider.test"));
}

TEST_F(DkimLookupTest, ACnameThatLeadsNowhereIsDangling) {
  lookup_.Name("s1._domainkey.ex.test", dns::RecordType::kCname, "gone.provider.test");
  EXPECT_THAT(LookUp().problems, HasId("dkim.dangling_cname"));
}

TEST_F(DkimLookupTest, NoRecordIsMissingAndSeveralAreUndefined) {
  EXPECT_THAT(LookUp().problems, HasId("dkim.missing"));
  lookup_.Txt("s1._domainkey.ex.test", "v=DKIM1; p=" + GoodKey());
  lookup_.Txt("s1._domainkey.ex.test", "v=DKIM1; p=" + GoodKey());
  const DkimSelector several = LookUp();
  EXPECT_FALSE(several.usable());
  EXPECT_THAT(several.problems, HasId("dkim.several"));
}

TEST_F(DkimLookupTest, AnAnswerThatDoesNotComeIsNoMissingKey) {
  lookup_.Fails("s1._domainkey.ex.test", dns::Outcome::kTimeout);
  EXPECT_THAT(LookUp().problems, IsEmpty());
}

TEST_F(DkimLookupTest, OnlyNxdomainSaysThatThereIsNoKeyAtAll) {
  EXPECT_EQ(Probe(), DkimPresence::kNone);
  lookup_.Txt("any._domainkey.ex.test", "v=DKIM1; p=");
  EXPECT_EQ(Probe(), DkimPresence::kLikely);
  lookup_.Fails("_domainkey.ex.test", dns::Outcome::kFailed);
  EXPECT_EQ(Probe(), DkimPresence::kUnknown);
}

}  // namespace
}  // namespace sendstep::mailauth
