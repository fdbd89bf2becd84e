#include "transport/smtp/sasl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transport/base/base64.h"

namespace sendstep::smtp {
namespace {

using namespace std::string_view_literals;
using ::testing::ElementsAre;

Credentials WithPassword(std::string_view user, std::string_view password) {
  Credentials credentials;
  credentials.username = user;
  credentials.password = base::Secret(password);
  return credentials;
}

Credentials WithToken(std::string_view user, std::string_view token) {
  Credentials credentials;
  credentials.username = user;
  credentials.oauth2_token = base::Secret(token);
  return credentials;
}

std::string Encode(std::string_view bytes) { return std::string(EncodeBase64(bytes).Reveal()); }

TEST(Base64, GivesTheVectorsOfRfc4648) {
  EXPECT_EQ(Encode(""), "");
  EXPECT_EQ(Encode("f"), "Zg==");
  EXPECT_EQ(Encode("fo"), "Zm8=");
  EXPECT_EQ(Encode("foo"), "Zm9v");
  EXPECT_EQ(Encode("foobar"), "Zm9vYmFy");
}

TEST(Sasl, PlainIsThatOfRfc4616) {
  const Credentials tim = WithPassword("tim", "tanstaaftanstaaf");
  EXPECT_EQ(PlainMessage(tim).Reveal(), "\0tim\0tanstaaftanstaaf"sv);
  SaslExchange exchange(SaslMechanism::kPlain, tim);
  EXPECT_EQ(exchange.Command().Reveal(), "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
}

TEST(Sasl, LoginAnswersUsernameThenPasswordThenNothing) {
  const Credentials credentials = WithPassword("alice", "wonder");
  SaslExchange exchange(SaslMechanism::kLogin, credentials);
  EXPECT_EQ(exchange.Command().Reveal(), "AUTH LOGIN\r\n");
  EXPECT_EQ(exchange.Answer("whatever")->Reveal(), Encode("alice"));
  EXPECT_EQ(exchange.Answer("UGFzc3dvcmQ6")->Reveal(), Encode("wonder"));
  EXPECT_FALSE(exchange.Answer(""));
}

TEST(Sasl, XOAuth2CarriesUserAndToken) {
  const Credentials credentials = WithToken("a@example.org", "ya29");
  SaslExchange exchange(SaslMechanism::kXOAuth2, credentials);
  EXPECT_EQ(exchange.Command().Reveal(), "AUTH XOAUTH2 " +
                                             Encode("user=a@example.org\x01"
                                                    "auth=Bearer ya29\x01\x01") +
                                             "\r\n");
}

TEST(Sasl, XOAuth2AnswersTheErrorWithAnEmptyLineAndKeepsItsStatus) {
  const Credentials credentials = WithToken("a@example.org", "ya29");
  SaslExchange exchange(SaslMechanism::kXOAuth2, credentials);
  const auto answer = exchange.Answer(Encode(R"({"schemes":"bearer","status" : "400"})"));
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->empty());
  EXPECT_EQ(exchange.failure(), "the token was refused, status 400");
  EXPECT_FALSE(exchange.Answer(Encode(R"({"status":"400"})"))) << "no end otherwise";
}

TEST(Sasl, XOAuth2StatusIsAWordWhateverTheServerSays) {
  const Credentials credentials = WithToken("a@example.org", "ya29");
  for (const std::string_view json :
       {R"({"status":"<b>\r\n"})", R"({"status":)", R"({"status")", "{"}) {
    SaslExchange exchange(SaslMechanism::kXOAuth2, credentials);
    EXPECT_TRUE(exchange.Answer(Encode(json)));
    EXPECT_EQ(exchange.failure(), "the token was refused") << json;
  }
}

TEST(Sasl, AnInitialResponseThatDoesNotFitWaitsForTheChallenge) {
  const Credentials credentials = WithToken("a@example.org", std::string(10000, 't'));
  SaslExchange exchange(SaslMechanism::kXOAuth2, credentials);
  EXPECT_EQ(exchange.Command().Reveal(), "AUTH XOAUTH2\r\n");
  EXPECT_EQ(exchange.Answer("")->Reveal(),
            EncodeBase64(XOAuth2Message(credentials).Reveal()).Reveal());
}

TEST(Sasl, ATokenFitsTheMechanismsOfOAuthAndAPasswordTheOthersInTheirOrder) {
  const std::vector<SaslMechanism> preferred = {SaslMechanism::kLogin, SaslMechanism::kXOAuth2,
                                                SaslMechanism::kPlain, SaslMechanism::kOAuthBearer};
  EXPECT_THAT(FittingMechanisms(WithToken("a", "t"), preferred),
              ElementsAre(SaslMechanism::kXOAuth2, SaslMechanism::kOAuthBearer));
  EXPECT_THAT(FittingMechanisms(WithPassword("a", "p"), preferred),
              ElementsAre(SaslMechanism::kLogin, SaslMechanism::kPlain));
}

TEST(Sasl, CramMd5IsThatOfRfc2195) {
  const Credentials tim = WithPassword("tim", "tanstaaftanstaaf");
  SaslExchange exchange(SaslMechanism::kCramMd5, tim);
  EXPECT_EQ(exchange.Command().Reveal(), "AUTH CRAM-MD5\r\n");
  EXPECT_EQ(exchange.Answer(Encode("<1896.697170952@postoffice.reston.mci.net>"))->Reveal(),
            Encode("tim b913a602c7eda7a495b4e6e7334d3890"));
  EXPECT_FALSE(exchange.Answer(Encode("<another>")));
}

TEST(Sasl, CramMd5AnswersNoEmptyChallenge) {
  const Credentials tim = WithPassword("tim", "tanstaaftanstaaf");
  for (const std::string_view challenge : {"", "no base64"}) {
    SaslExchange exchange(SaslMechanism::kCramMd5, tim);
    EXPECT_FALSE(exchange.Answer(challenge)) << challenge;
  }
}

TEST(Sasl, OAuthBearerCarriesUserAndTokenAsRfc7628Says) {
  const Credentials credentials = WithToken("a,=@example.org", "vF9dft4q==");
  EXPECT_EQ(OAuthBearerMessage(credentials).Reveal(),
            "n,a=a=2C=3D@example.org,\x01"
            "auth=Bearer vF9dft4q==\x01\x01");
}

TEST(Sasl, OAuthBearerAnswersTheErrorWithOneByteAndKeepsItsStatus) {
  const Credentials credentials = WithToken("a@example.org", "ya29");
  SaslExchange exchange(SaslMechanism::kOAuthBearer, credentials);
  const auto answer = exchange.Answer(Encode(R"({"status":"invalid_token","scope":"mail"})"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->Reveal(), "AQ==");
  EXPECT_EQ(exchange.failure(), "the token was refused, status invalid_token");
  EXPECT_FALSE(exchange.Answer(Encode(R"({"status":"invalid_token"})"))) << "no end otherwise";
}

// The client's first message, as the server reads it.
std::string FirstScram(SaslMechanism mechanism, const ChannelBinding& channel, bool plus_offered) {
  const Credentials credentials = WithPassword("alice", "wonder");
  const SaslExchange exchange(mechanism, credentials, channel, plus_offered);
  const base::Secret line = exchange.Command();
  const std::string command = "AUTH " + std::string(MechanismName(mechanism)) + " ";
  EXPECT_TRUE(line.Reveal().starts_with(command));
  const std::string_view initial = line.Reveal().substr(command.size());
  return base::DecodeBase64(initial.substr(0, initial.size() - 2)).value_or("");
}

TEST(Sasl, ScramSaysWhetherItCouldHaveBeenBound) {
  const ChannelBinding channel = {"tls-exporter", "data"}, none;
  using enum SaslMechanism;
  EXPECT_TRUE(FirstScram(kScramSha256, none, false).starts_with("n,,n=alice,r="));
  EXPECT_TRUE(FirstScram(kScramSha256, channel, true).starts_with("n,,n=alice,r="));
  EXPECT_TRUE(FirstScram(kScramSha256, channel, false).starts_with("y,,n=alice,r="));
  EXPECT_TRUE(
      FirstScram(kScramSha256Plus, channel, true).starts_with("p=tls-exporter,,n=alice,r="));
}

TEST(Sasl, ScramHasANewNonceInEachExchange) {
  const ChannelBinding none;
  EXPECT_NE(FirstScram(SaslMechanism::kScramSha256, none, false),
            FirstScram(SaslMechanism::kScramSha256, none, false));
}

TEST(Sasl, OnlyScramHasTheServerProveItself) {
  const Credentials credentials = WithPassword("alice", "wonder");
  EXPECT_TRUE(SaslExchange(SaslMechanism::kPlain, credentials).ServerProved());
  SaslExchange scram(SaslMechanism::kScramSha256, credentials);
  EXPECT_FALSE(scram.ServerProved());
  EXPECT_FALSE(scram.Answer(Encode("r=other,s=c2FsdA==,i=4096")));
  EXPECT_EQ(scram.failure(), "the server answers another exchange than this one");
}

TEST(Sasl, CredentialsWithControlBytesAreRefused) {
  EXPECT_TRUE(CheckCredentials(WithPassword("jörg", "pässword with blanks")));
  EXPECT_FALSE(CheckCredentials(WithPassword("a\0b"sv, "p")));
  EXPECT_FALSE(CheckCredentials(WithPassword("a", "p\0q"sv)));
  EXPECT_FALSE(CheckCredentials(WithPassword("a", "p\n")));
  EXPECT_FALSE(CheckCredentials(WithToken("a\x01", "t")));
  const auto refused = CheckCredentials(WithToken("a", "secret\x01token"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail, "the token holds a control character");
}

}  // namespace
}  // namespace sendstep::smtp
