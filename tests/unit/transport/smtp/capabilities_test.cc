#include "transport/smtp/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sendstep::smtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

base::Reply Ehlo(std::vector<std::string> keywords) {
  base::Reply reply;
  reply.code = 250;
  reply.lines = std::move(keywords);
  reply.lines.insert(reply.lines.begin(), "mail.example.net PIPELINING");
  return reply;
}

TEST(Capabilities, AreReadFromKeywordsInAnyCase) {
  const Capabilities c =
      ParseCapabilities(Ehlo({"pipelining", "CHUNKING", "8bitMIME", "SMTPUTF8", "StartTLS", "DSN",
                              "RequireTLS", "ENHANCEDSTATUSCODES"}));
  EXPECT_TRUE(c.pipelining);
  EXPECT_TRUE(c.chunking);
  EXPECT_TRUE(c.eight_bit_mime);
  EXPECT_TRUE(c.smtputf8);
  EXPECT_TRUE(c.starttls);
  EXPECT_TRUE(c.dsn);
  EXPECT_TRUE(c.require_tls);
  EXPECT_TRUE(c.enhanced_status_codes);
  EXPECT_FALSE(c.size);
}

TEST(Capabilities, AreNotReadFromTheFirstLine) {
  EXPECT_FALSE(ParseCapabilities(Ehlo({})).pipelining);
}

TEST(Capabilities, AreWholeWords) {
  const Capabilities c = ParseCapabilities(Ehlo({"XPIPELINING", "STARTTLSX", "AUTHPLAIN"}));
  EXPECT_FALSE(c.pipelining);
  EXPECT_FALSE(c.starttls);
  EXPECT_THAT(c.auth, IsEmpty());
}

TEST(Capabilities, SizeMayNameALimit) {
  EXPECT_EQ(ParseCapabilities(Ehlo({"SIZE 35882577"})).max_message_bytes, 35882577u);
  for (const std::string line :
       {"SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE 12x", "SIZE 99999999999999999999999"}) {
    const Capabilities c = ParseCapabilities(Ehlo({line}));
    EXPECT_TRUE(c.size) << line;
    EXPECT_EQ(c.max_message_bytes, 0u) << line;
  }
}

TEST(Capabilities, AuthIsReadInBothFormsAndOnce) {
  const Capabilities c =
      ParseCapabilities(Ehlo({"AUTH=LOGIN PLAIN", "AUTH plain  XOAUTH2 ", "AUTH"}));
  EXPECT_THAT(c.auth, ElementsAre("LOGIN", "PLAIN", "XOAUTH2"));
  EXPECT_TRUE(c.Offers(SaslMechanism::kXOAuth2));
  EXPECT_FALSE(ParseCapabilities(Ehlo({"AUTH XOAUTH2"})).Offers(SaslMechanism::kPlain));
}

TEST(Capabilities, LimitsAreRead) {
  const Capabilities c =
      ParseCapabilities(Ehlo({"LIMITS RCPTMAX=50 mailmax=1000 RCPTDOMAINMAX=x OTHER=1"}));
  EXPECT_EQ(c.max_recipients, 50u);
  EXPECT_EQ(c.max_mails, 1000u);
  EXPECT_FALSE(c.max_domains);
}

TEST(Capabilities, AfterThe64thLineAreNotLookedAt) {
  std::vector<std::string> keywords(62, "X");
  keywords.push_back("PIPELINING");
  keywords.push_back("CHUNKING");
  const Capabilities c = ParseCapabilities(Ehlo(keywords));
  EXPECT_TRUE(c.pipelining);
  EXPECT_FALSE(c.chunking);
}

TEST(Capabilities, AreDescribedInTheServersWords) {
  EXPECT_EQ(DescribeCapabilities(Ehlo({"SIZE 10", "AUTH PLAIN"})), "SIZE 10, AUTH PLAIN");
  EXPECT_EQ(DescribeCapabilities(Ehlo({})), "no extensions");
  EXPECT_LE(DescribeCapabilities(Ehlo(std::vector<std::string>(60, std::string(90, 'X')))).size(),
            512u);
}

}  // namespace
}  // namespace sendstep::smtp
