#include "providers/doctor/aftermath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <string>

#include "providers/doctor/mail_file.h"
#include "providers/pattern.h"

namespace sendstep::doctor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A bounce as Postfix forms it.
std::string Bounce(const std::string& status) {
  return "Return-Path: <>\r\nFrom: MAILER-DAEMON@out.test\r\nTo: ada@ex.test\r\n"
         "Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
         "Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n"
         "--b\r\nContent-Type: text/plain\r\n\r\nI could not deliver it.\r\n"
         "--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
         status +
         "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: ada@ex.test\r\nSubject: "
         "s\r\n\r\nt\r\n"
         "--b--\r\n";
}

std::string Received(const std::string& results) {
  return "Delivered-To: bob@gmail.com\r\nAuthentication-Results: " + results +
         "\r\nAuthentication-Results: forged.test; dmarc=pass header.from=ex.test\r\n"
         "From: Ada <ada@ex.test>\r\nSubject: Hello\r\n\r\nHello\r\n";
}

Aftermath Explained(const std::string& text) {
  absl::StatusOr<Aftermath> aftermath = ExplainAftermath(text);
  EXPECT_TRUE(aftermath.ok()) << aftermath.status();
  return aftermath.value_or(Aftermath());
}

TEST(ReceiverReplies, EachMatchesItsExampleAndNoneBeforeItDoes) {
  for (const ReceiverReply& known : ReceiverReplies()) {
    EXPECT_TRUE(providers::CachedPattern(known.pattern).ok()) << known.pattern;
    EXPECT_EQ(FindReceiverReply(known.example), &known) << known.example;
    EXPECT_NE(std::string(known.meaning), "");
    EXPECT_NE(std::string(known.what_to_do), "");
  }
}

TEST(Aftermath, APastedReplyOfOneLineOrSeveralIsExplained) {
  for (const char* text :
       {"550 5.7.26 Unauthenticated email is not accepted.",
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n"
        "550-5.7.26 Gmail requires all senders to authenticate\n550 5.7.26 with SPF or DKIM",
        "host gmail-smtp-in.l.google.com said: 550-5.7.26 This mail is unauthenticated (in reply "
        "to "
        "end of DATA command)"}) {
    const Aftermath aftermath = Explained(text);
    EXPECT_EQ(aftermath.kind, Aftermath::Kind::kReply);
    ASSERT_THAT(aftermath.events, SizeIs(1));
    EXPECT_EQ(aftermath.events[0].said_by, "Gmail");
    EXPECT_EQ(aftermath.events[0].side, Side::kDomain);
    EXPECT_THAT(aftermath.events[0].what_to_do, HasSubstr("DKIM"));
  }
}

TEST(Aftermath, ARepeatedCodeIsNoPartOfTheWords) {
  const Event event = Explained("550-5.1.1 no such\r\n550 5.1.1 user\r\n").events.at(0);
  EXPECT_EQ(event.reply, "550 5.1.1 no such user");
  EXPECT_EQ(event.side, Side::kRecipient);
}

TEST(Aftermath, AProvidersReplyToALoginIsExplainedByItsProfile) {
  const Event event =
      Explained("535-5.7.8 Username and Password not accepted. For more information").events.at(0);
  EXPECT_EQ(event.said_by, "Gmail");
  EXPECT_EQ(event.side, Side::kAccount);
}

TEST(Aftermath, AReplyNobodyKnowsIsExplainedByItsCode) {
  EXPECT_THAT(Explained("554 5.3.0 Something odd").events.at(0).meaning,
              HasSubstr("recipient's mail system"));
  EXPECT_FALSE(Explained("451 4.3.5 Something odd").events.at(0).final);
  EXPECT_THAT(Explained("250 2.0.0 OK").events.at(0).meaning, HasSubstr("took the message"));
}

TEST(Aftermath, ABounceIsExplainedForEachRecipient) {
  const Aftermath aftermath = Explained(Bounce(
      "Reporting-MTA: dns; out.test\r\n\r\nFinal-Recipient: rfc822; bob@gmail.com\r\n"
      "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; gmail-smtp-in.l.google.com\r\n"
      "Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not\r\n"
      "    550 5.1.1 exist.\r\n\r\nFinal-Recipient: rfc822; eve@slow.test\r\nAction: delayed\r\n"
      "Status: 4.4.1\r\n"));
  EXPECT_EQ(aftermath.kind, Aftermath::Kind::kBounce);
  EXPECT_THAT(aftermath.summary, HasSubstr("2 recipients: 1 failed, 1 delayed"));
  ASSERT_THAT(aftermath.events, SizeIs(2));
  EXPECT_EQ(aftermath.events[0].recipient, "bob@gmail.com");
  EXPECT_EQ(aftermath.events[0].side, Side::kRecipient);
  EXPECT_TRUE(aftermath.events[0].final);
  EXPECT_FALSE(aftermath.events[1].final);
  EXPECT_THAT(aftermath.events[1].meaning, HasSubstr("did not answer"));
}

TEST(Aftermath, ABounceInPlainWordsIsReadToo) {
  const Aftermath aftermath = Explained(
      "From: MAILER-DAEMON@old.test\r\nSubject: failure notice\r\n\r\nHi. I could not deliver.\r\n"
      "<bob@c.test>:\r\n192.0.2.1 does not like recipient.\r\nRemote host said: 550 5.1.1 User "
      "unknown\r\n");
  EXPECT_EQ(aftermath.kind, Aftermath::Kind::kBounce);
  EXPECT_EQ(aftermath.events.at(0).side, Side::kRecipient);
}

TEST(Aftermath, OnlyTheReceiversOwnResultsCount) {
  const Aftermath aftermath = Explained(
      Received("mx.google.com; spf=pass smtp.mailfrom=b@em.provider.test; dkim=none; dmarc=fail "
               "(p=REJECT) header.from=ex.test"));
  EXPECT_EQ(aftermath.kind, Aftermath::Kind::kReceived);
  EXPECT_EQ(aftermath.receiver, "mx.google.com");
  ASSERT_THAT(aftermath.authentication, SizeIs(3));
  EXPECT_EQ(aftermath.authentication[0].domain, "em.provider.test");
  EXPECT_EQ(aftermath.authentication[2].result, "fail");
  EXPECT_THAT(aftermath.summary,
              AllOf(HasSubstr("DMARC failed for ex.test"),
                    HasSubstr("SPF passed for em.provider.test"), HasSubstr("does not align")));
}

TEST(Aftermath, WhatPassedIsSaidToHavePassed) {
  const Aftermath aftermath = Explained(
      Received("mx.google.com; spf=pass smtp.mailfrom=ada@ex.test; dkim=pass header.d=ex.test; "
               "dmarc=pass header.from=ex.test"));
  EXPECT_THAT(aftermath.summary, HasSubstr("DMARC passed"));
}

TEST(Aftermath, NoDmarcPolicyIsSaid) {
  EXPECT_THAT(Explained(Received("mx.test; spf=pass smtp.mailfrom=a@ex.test")).summary,
              HasSubstr("No DMARC policy"));
}

TEST(Aftermath, WhatIsNeitherMailNorReplyIsRefused) {
  for (const char* text : {"", "hello", "Hello, 2024 was a good year", "{\"a\": 1}", "\x01\x02\xff",
                           "From: a@b.test\r\nSubject: s\r\n\r\nhello\r\n"}) {
    const auto aftermath = ExplainAftermath(text);
    EXPECT_EQ(aftermath.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(ExplainAftermath(std::string(kMaxAftermathBytes + 1, 'x')).ok());
}

TEST(MailFile, EncodedPartsAndHeadersAreDecoded) {
  const MailFile mail = ReadMailFile(
      "From x@y Mon Jan  1 00:00:00 2024\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@EX.test>\r\n"
      "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
      "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n");
  EXPECT_TRUE(mail.is_mail);
  EXPECT_EQ(mail.from, "ex.test");
  EXPECT_EQ(mail.subject, "Grüße");
  EXPECT_THAT(mail.text, HasSubstr("Grüße"));
}

TEST(MailFile, DeepNestingEnds) {
  std::string mail = "From: a@b.test\r\n";
  for (int i = 0; i < 500; ++i) {
    const std::string boundary = "b" + std::to_string(i);
    mail +=
        "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n";
  }
  EXPECT_TRUE(ReadMailFile(mail).is_mail);
}

}  // namespace
}  // namespace sendstep::doctor
