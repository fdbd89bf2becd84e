#include "transport/smtp/scram.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "transport/smtp/sasl.h"

namespace sendstep::smtp {
namespace {

// The exchange of RFC 7677 3.
constexpr char kNonce[] = "rOprNGfwEbeRWgbNEkqO";
const std::string kServerNonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const std::string kServerFirst = "r=" + kServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr char kServerFinal[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const ChannelBinding kNone;

class Scram : public ::testing::Test {
 protected:
  static ScramClient Client(ScramBinding binding = ScramBinding::kImpossible,
                            const ChannelBinding& channel = kNone) {
    return ScramClient("user", base::Secret("pencil"), binding, channel, kNonce);
  }
};

TEST_F(Scram, SpeaksTheExchangeOfRfc7677) {
  ScramClient client = Client();
  EXPECT_EQ(client.First(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(client.Final(kServerFirst),
            "c=biws,r=" + kServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_FALSE(client.verified());
  EXPECT_TRUE(client.Verify(kServerFinal)) << client.failure();
  EXPECT_TRUE(client.verified());
}

TEST_F(Scram, SaysHowTheExchangeIsBound) {
  const ChannelBinding channel = {"tls-exporter", "data"};
  EXPECT_TRUE(Client(ScramBinding::kPossible).First().starts_with("y,,n=user"));
  ScramClient bound = Client(ScramBinding::kBound, channel);
  EXPECT_TRUE(bound.First().starts_with("p=tls-exporter,,n=user"));
  const std::string c = std::string(EncodeBase64("p=tls-exporter,,data").Reveal());
  EXPECT_TRUE(bound.Final(kServerFirst)->starts_with("c=" + c + ",r="));
}

TEST_F(Scram, AnotherBindingGivesAnotherProof) {
  const ChannelBinding one = {"tls-exporter", "1"}, other = {"tls-exporter", "2"};
  EXPECT_NE(Client(ScramBinding::kBound, one).Final(kServerFirst),
            Client(ScramBinding::kBound, other).Final(kServerFirst));
}

TEST_F(Scram, CommasAndEqualsSignsOfTheUsernameAreWrittenAsTheirCodes) {
  const ScramClient client("a,b=c", base::Secret("p"), ScramBinding::kImpossible, kNone, "n");
  EXPECT_EQ(client.First(), "n,,n=a=2Cb=3Dc,r=n");
}

// RFC 4013 3: SOFT HYPHEN goes, ROMAN NUMERAL NINE becomes IX.
TEST_F(Scram, NamesAndPasswordsArePrepared) {
  const auto final_of = [](std::string_view name, std::string_view password) {
    return ScramClient(name, base::Secret(password), ScramBinding::kImpossible, kNone, kNonce)
        .Final(kServerFirst);
  };
  EXPECT_EQ(final_of("I\u00ADX", "\u2168"), final_of("IX", "IX"));
  EXPECT_NE(final_of("IX", "ix"), final_of("IX", "IX"));
  EXPECT_TRUE(final_of("user", "\xff")) << "no UTF-8: taken as it is";
}

TEST_F(Scram, AServerThatDoesNotKnowThePasswordIsFoundOut) {
  for (const std::string& words :
       {std::string("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), std::string("v="),
        std::string("v=Zm9v"), std::string(), std::string("x=y")}) {
    ScramClient client = Client();
    ASSERT_TRUE(client.Final(kServerFirst));
    EXPECT_FALSE(client.Verify(words)) << words;
    EXPECT_EQ(client.failure(), "the server does not prove that it knows the password");
  }
}

TEST_F(Scram, AProofBeforeTheQuestionIsNone) {
  ScramClient client = Client();
  EXPECT_FALSE(client.Verify(kServerFinal));
  EXPECT_FALSE(client.verified());
}

TEST_F(Scram, TheServersErrorIsKept) {
  ScramClient client = Client();
  ASSERT_TRUE(client.Final(kServerFirst));
  EXPECT_FALSE(client.Verify("e=invalid-proof"));
  EXPECT_EQ(client.failure(), "the server says invalid-proof");
}

TEST_F(Scram, AnAnswerToAnotherExchangeIsRefused) {
  for (const std::string nonce : {"other", "rOprNGfwEbeRWgbNEkqO"}) {
    ScramClient client = Client();
    EXPECT_FALSE(client.Final("r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    EXPECT_EQ(client.failure(), "the server answers another exchange than this one");
  }
}

TEST_F(Scram, TooFewAndTooManyIterationsAreRefused) {
  for (const std::string count : {"4095", "1", "0", "-4096", "1000001", "2147483647"}) {
    ScramClient client = Client();
    EXPECT_FALSE(client.Final("r=" + kServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=" + count));
    EXPECT_EQ(client.failure(),
              "the server asks for " + count + " iterations; 4096 to 100000 are taken");
  }
}

TEST_F(Scram, WhatIsNoServerFirstMessageIsRefused) {
  for (const std::string& words :
       {std::string(), std::string("m=ext,") + kServerFirst, std::string("r="), "r=" + kServerNonce,
        "r=" + kServerNonce + ",s=,i=4096", "r=" + kServerNonce + ",s=!,i=4096",
        "r=" + kServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "r=" + kServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
        "r=" + kServerNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999",
        "r=" + kServerNonce + ",i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ=="}) {
    ScramClient client = Client();
    EXPECT_FALSE(client.Final(words)) << words;
    EXPECT_EQ(client.failure(), "the server's answer is none of SCRAM (RFC 5802 7)");
  }
}

}  // namespace
}  // namespace sendstep::smtp
