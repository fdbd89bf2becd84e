#include "transport/mailauth/delivery_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sendstep::mailauth {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(DeliveryStatus, EveryRecipientHasItsFields) {
  const DeliveryStatus read = ParseDeliveryStatus(
      "Reporting-MTA: dns; out.provider.test\r\nArrival-Date: Mon, 1 Jan 2024 00:00:00 "
      "+0000\r\n\r\n"
      "Original-Recipient: rfc822;first@c.test\r\nFinal-Recipient: rfc822; b@c.test\r\n"
      "Action: Failed\r\nStatus: 5.1.1 (no mailbox)\r\nRemote-MTA: dns; mx.c.test\r\n"
      "Diagnostic-Code: smtp; 550-5.1.1 no such\r\n    550 5.1.1 user\r\n\r\n"
      "Original-Recipient: rfc822;d@c.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n");
  EXPECT_EQ(read.reporting_mta, "out.provider.test");
  ASSERT_THAT(read.recipients, SizeIs(2));
  EXPECT_EQ(read.recipients[0].recipient, "b@c.test");
  EXPECT_EQ(read.recipients[0].action, "failed");
  EXPECT_EQ(read.recipients[0].status, "5.1.1");
  EXPECT_EQ(read.recipients[0].remote_mta, "mx.c.test");
  EXPECT_EQ(read.recipients[0].diagnostic, "550-5.1.1 no such 550 5.1.1 user");
  EXPECT_EQ(read.recipients[1].recipient, "d@c.test");
  EXPECT_EQ(read.recipients[1].action, "delayed");
}

TEST(DeliveryStatus, GroupsWithoutActionAndStatusAreNoRecipients) {
  for (const char* text :
       {"", "\n\n", "Reporting-MTA: dns; a", "no field", ": x", "Action:\nStatus:"}) {
    EXPECT_THAT(ParseDeliveryStatus(text).recipients, IsEmpty()) << text;
  }
}

TEST(DeliveryStatus, NoMoreThanAThousandRecipientsAreRead) {
  std::string text = "Reporting-MTA: dns; a\n\n";
  for (int i = 0; i < 3000; ++i) text += "Action: failed\nStatus: 5.0.0\n\n";
  EXPECT_THAT(ParseDeliveryStatus(text).recipients, SizeIs(1000));
}

TEST(StatusMeaning, SaysWhatTheCodeSays) {
  EXPECT_THAT(StatusMeaning("5.1.1"), HasSubstr("no such mailbox"));
  EXPECT_THAT(StatusMeaning("4.2.2"), HasSubstr("full"));
  EXPECT_THAT(StatusMeaning("5.7.26"), HasSubstr("authentication"));
  EXPECT_THAT(StatusMeaning("5.4.99"), HasSubstr("network"));
  EXPECT_THAT(StatusMeaning("2.1.5"), HasSubstr("delivered"));
  for (const char* odd : {"", "5", "5.", "5.9.9", "5.x.y", "x"}) {
    EXPECT_THAT(StatusMeaning(odd), Not(IsEmpty())) << odd;
  }
}

}  // namespace
}  // namespace sendstep::mailauth
