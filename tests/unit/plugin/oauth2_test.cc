#include "plugin/oauth2.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace sendstep::plugin {
namespace {

using base::Secret;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

// A service account with a new key.
class ServiceAccountTest : public testing::Test {
 protected:
  ServiceAccountTest() : key_(EVP_RSA_gen(2048), EVP_PKEY_free) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    pem_.assign(data, static_cast<size_t>(size));
  }

  std::string Json() const {
    return absl::StrCat(
        R"({"type":"service_account","client_email":"robot@example.org","private_key_id":"k1",)",
        R"("token_uri":"https://token.example/t","private_key":")",
        absl::StrReplaceAll(pem_, {{"\n", "\\n"}}), "\"}");
  }

  bool Verifies(const std::string& text, const std::string& signature) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
    return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                            signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                            text.size()) == 1;
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::string pem_;
};

std::string Decoded(const std::string& base64url) {
  std::string bytes;
  EXPECT_TRUE(absl::WebSafeBase64Unescape(base64url, &bytes));
  return bytes;
}

TEST_F(ServiceAccountTest, AssertionIsSignedAndClaimsWhatIsAsked) {
  const auto key = ParseServiceAccountKey(Secret(Json()));
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->token_uri, "https://token.example/t");
  const auto now = std::chrono::system_clock::time_point(seconds(1700000000));
  const auto jwt =
      SignAssertion(*key, "ada@example.org", "https://mail.example/ x", key->token_uri, now);
  ASSERT_TRUE(jwt.ok()) << jwt.status();
  const std::vector<std::string> parts = absl::StrSplit(std::string(jwt->Reveal()), '.');
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_TRUE(Verifies(absl::StrCat(parts[0], ".", parts[1]), Decoded(parts[2])));
  EXPECT_FALSE(Verifies(absl::StrCat(parts[0], ".", parts[1], "x"), Decoded(parts[2])));
  EXPECT_THAT(Decoded(parts[0]), AllOf(HasSubstr(R"("alg":"RS256")"), HasSubstr(R"("typ":"JWT")"),
                                       HasSubstr(R"("kid":"k1")")));
  EXPECT_THAT(
      Decoded(parts[1]),
      AllOf(HasSubstr(R"("iss":"robot@example.org")"), HasSubstr(R"("sub":"ada@example.org")"),
            HasSubstr(R"("scope":"https://mail.example/ x")"),
            HasSubstr(R"("aud":"https://token.example/t")"), HasSubstr(R"("iat":1700000000)"),
            HasSubstr(R"("exp":1700003600)")));
}

TEST_F(ServiceAccountTest, FaultsOfAKeyFileAreNamedWithoutItsContent) {
  const auto fault = [](const std::string& json) {
    return std::string(ParseServiceAccountKey(Secret(json)).status().message());
  };
  EXPECT_THAT(fault("not JSON"), HasSubstr("JSON"));
  EXPECT_THAT(fault("[]"), HasSubstr("JSON"));
  EXPECT_THAT(fault("{}"), HasSubstr("client_email"));
  EXPECT_EQ(fault(R"({"client_email":"a","private_key":"hidden"})"),
            "its private_key is no RSA key in PEM");
}

TEST(OAuth2Test, FormsAreEncoded) {
  EXPECT_EQ(ClientCredentialsForm("id", Secret("a&b=c +%~"), "https://x/.default").Reveal(),
            "grant_type=client_credentials&client_id=id&client_secret=a%26b%3Dc%20%2B%25~&scope="
            "https%3A%2F%2Fx%2F.default");
  EXPECT_EQ(AssertionForm(Secret("a.b-c")).Reveal(),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b-c");
}

TEST(OAuth2Test, TokenUrlsAreHttps) {
  const auto url = ParseTokenUrl("https://login.example.com:8443/t/token?x=1");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "login.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/t/token?x=1");
  EXPECT_EQ(ParseTokenUrl("HTTPS://[::1]")->host, "::1");
  EXPECT_EQ(ParseTokenUrl("https://a")->target, "/");
  for (const char* wrong : {"http://a/", "https://", "https://u:p@a/", "https://a:0/",
                            "https://a:70000/", "https://a/ b", "https://a/\r\n", "https://a/#f"}) {
    EXPECT_FALSE(ParseTokenUrl(wrong)) << wrong;
  }
}

base::Result<AccessToken> Read(int status, const std::string& body) {
  return ReadTokenAnswer({status, Secret(body)});
}

TEST(OAuth2Test, AnswersHaveATokenAndItsLife) {
  const auto life = [](const std::string& rest) {
    return Read(200, absl::StrCat(R"({"access_token":"t0k")", rest, "}")).value().life;
  };
  EXPECT_EQ(Read(200, R"({"access_token":"t0k"})")->token.Reveal(), "t0k");
  EXPECT_EQ(life(R"(,"expires_in":3599)"), seconds(3599));
  EXPECT_EQ(life(R"(,"expires_in":"3599")"), seconds(3599));
  EXPECT_EQ(life(""), seconds(300));
  EXPECT_EQ(life(R"(,"expires_in":-1)"), seconds(300));
  EXPECT_EQ(life(R"(,"expires_in":1e300)"), seconds(86400));
}

TEST(OAuth2Test, RefusalsSayWhetherAnotherTryHelps) {
  struct Case {
    int status;
    const char* body;
    base::ErrorClass error_class;
    const char* why;
  };
  const Case cases[] = {
      {400, R"({"error":"invalid_grant"})", base::ErrorClass::kPermanent, ": invalid_grant"},
      {401, R"({"error":"invalid_client"})", base::ErrorClass::kPermanent, ": invalid_client"},
      {400, R"({"error":"temporarily_unavailable"})", base::ErrorClass::kTransient, "temporarily"},
      {403, "<html>", base::ErrorClass::kTransient, ": HTTP status 403"},
      {400, R"({"error":"Tenant X!"})", base::ErrorClass::kPermanent, ": HTTP status 400"},
      {302, "", base::ErrorClass::kPermanent, "302"},
      {429, "", base::ErrorClass::kTransient, "429"},
      {503, "<html>", base::ErrorClass::kTransient, "503"},
      {200, "<html>", base::ErrorClass::kTransient, "no JSON object"},
      {200, "{}", base::ErrorClass::kTransient, "access_token"},
      {200, R"({"access_token":"a\r\nb"})", base::ErrorClass::kTransient, "access_token"},
  };
  for (const Case& c : cases) {
    const auto answer = Read(c.status, c.body);
    ASSERT_FALSE(answer) << c.body;
    EXPECT_EQ(answer.error().stage, base::Stage::kAuth);
    EXPECT_EQ(answer.error().cause, base::Cause::kTokenNotFetched);
    EXPECT_EQ(answer.error().error_class, c.error_class) << c.body;
    EXPECT_THAT(answer.error().detail, HasSubstr(c.why));
  }
}

}  // namespace
}  // namespace sendstep::plugin
