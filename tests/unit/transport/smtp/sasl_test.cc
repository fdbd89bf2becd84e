#include "transport/smtp/sasl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_EQ(DecodeBase64("Zg=="), "f");
  EXPECT_EQ(DecodeBase64("Zm8="), "fo");
  EXPECT_EQ(DecodeBase64("Zm9vYmFy"), "foobar");
  EXPECT_EQ(DecodeBase64(""), "");
}

TEST(Base64, RefusesWhatIsNotBase64) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Z===", "====", "Zm9v!", " Zg=", "Zg==Zg==", "Zm\n=", "-_-_"}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
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

TEST(Sasl, ATokenFitsXOAuth2OnlyAndAPasswordTheOthersInTheirOrder) {
  const std::vector<SaslMechanism> preferred = {SaslMechanism::kLogin, SaslMechanism::kXOAuth2,
                                                SaslMechanism::kPlain};
  EXPECT_THAT(FittingMechanisms(WithToken("a", "t"), {SaslMechanism::kPlain}),
              ElementsAre(SaslMechanism::kXOAuth2));
  EXPECT_THAT(FittingMechanisms(WithPassword("a", "p"), preferred),
              ElementsAre(SaslMechanism::kLogin, SaslMechanism::kPlain));
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
