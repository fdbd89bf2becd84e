#include "transport/mailauth/authentication_results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sendstep::mailauth {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(AuthenticationResults, ThatOfGmailIsRead) {
  const AuthenticationResults read = ParseAuthenticationResults(
      "mx.google.com;\r\n"
      "       dkim=pass header.i=@ex.test header.s=s1 header.b=ab/+c=;\r\n"
      "       spf=softfail (google.com: domain of transitioning a@ex.test (x) does not) "
      "smtp.mailfrom=a@ex.test;\r\n"
      "       dmarc=fail (p=REJECT sp=REJECT dis=NONE) header.from=ex.test");
  EXPECT_EQ(read.authserv_id, "mx.google.com");
  ASSERT_THAT(read.results,
              ElementsAre(Field(&AuthResult::method, "dkim"), Field(&AuthResult::method, "spf"),
                          Field(&AuthResult::method, "dmarc")));
  EXPECT_EQ(read.Find("dkim")->result, "pass");
  EXPECT_EQ(read.Find("dkim")->Property("header.i"), "@ex.test");
  EXPECT_EQ(read.Find("dkim")->Property("header.b"), "ab/+c=");
  EXPECT_EQ(read.Find("spf")->result, "softfail");
  EXPECT_EQ(read.Find("spf")->Property("smtp.mailfrom"), "a@ex.test");
  EXPECT_EQ(read.Find("dmarc")->reason, "p=REJECT sp=REJECT dis=NONE");
  EXPECT_EQ(read.Find("arc"), nullptr);
}

TEST(AuthenticationResults, ThatOfMicrosoftNamesNobodyAndHasWordsBetween) {
  const AuthenticationResults read = ParseAuthenticationResults(
      "spf=fail (sender IP is 192.0.2.1)\r\n smtp.mailfrom=ex.test; dkim=none (message not "
      "signed)\r\n"
      " header.d=none;dmarc=fail action=quarantine\r\n header.from=ex.test;compauth=fail "
      "reason=001");
  EXPECT_EQ(read.authserv_id, "");
  EXPECT_EQ(read.Find("spf")->result, "fail");
  EXPECT_EQ(read.Find("dmarc")->Property("action"), "quarantine");
  EXPECT_EQ(read.Find("compauth")->reason, "001");
}

// RFC 8601 appendix B.

TEST(AuthenticationResults, NoneMeansThatNothingWasChecked) {
  const AuthenticationResults read = ParseAuthenticationResults("example.org 1; none");
  EXPECT_EQ(read.authserv_id, "example.org");
  EXPECT_THAT(read.results, IsEmpty());
}

TEST(AuthenticationResults, SeveralOfOneMethodAreAllRead) {
  const AuthenticationResults read = ParseAuthenticationResults(
      "example.com; dkim=fail reason=\"bad signature\" header.d=a.test; dkim=pass (good) "
      "header.d=b.test");
  EXPECT_THAT(read.results, SizeIs(2));
  EXPECT_EQ(read.results[0].reason, "bad signature");
  EXPECT_EQ(read.Find("dkim")->Property("header.d"), "b.test");
}

TEST(AuthenticationResults, BlanksCommentsAndQuotesMayStandAnywhere) {
  const AuthenticationResults read = ParseAuthenticationResults(
      "(who) mx.ex.test (v) 1 ; SPF/1 = Pass reason = \"a \\\"b\\\"\" (c (d) \\) e) smtp . "
      "mailfrom "
      "= x");
  EXPECT_EQ(read.authserv_id, "mx.ex.test");
  EXPECT_EQ(read.Find("spf")->result, "pass");
  EXPECT_EQ(read.Find("spf")->reason, "a \"b\"; c (d) ) e");
}

TEST(AuthenticationResults, WhatCannotBeReadIsPassedOver) {
  for (const char* text : {"", ";", "(", "\"", "=", "a", "a;", "a; =;=", "a; spf", "a; (((("}) {
    EXPECT_THAT(ParseAuthenticationResults(text).results, IsEmpty()) << text;
  }
  std::string many = "a";
  for (int i = 0; i < 200; ++i) many += "; dkim=pass header.d=x";
  EXPECT_THAT(ParseAuthenticationResults(many).results, SizeIs(50));
}

}  // namespace
}  // namespace sendstep::mailauth
