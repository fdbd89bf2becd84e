#include "transport/smtp/command.h"

#include <gtest/gtest.h>

namespace sendstep::smtp {
namespace {

base::Address Address(std::string_view text) {
  const auto address = base::ParseAddress(text);
  EXPECT_TRUE(address) << text;
  return *address;
}

TEST(Command, MailNamesOnlyTheParametersGiven) {
  const base::Address alice = Address("alice@example.org");
  EXPECT_EQ(MailCommand(alice, {}), "MAIL FROM:<alice@example.org>\r\n");
  MailParameters all;
  all.size = 42;
  all.eight_bit_mime = true;
  all.smtputf8 = true;
  all.dsn = Dsn{0, Dsn::Return::kHeaders, "a b"};
  all.require_tls = true;
  EXPECT_EQ(MailCommand(alice, all),
            "MAIL FROM:<alice@example.org> SIZE=42 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b "
            "REQUIRETLS\r\n");
}

TEST(Command, RcptNamesTheOccasionsOfNotifications) {
  const base::Address bob = Address("bob@example.net");
  const auto rcpt = [&bob](int notify) {
    return RcptCommand(bob, Dsn{static_cast<uint8_t>(notify), Dsn::Return::kFull, "1"});
  };
  EXPECT_EQ(rcpt(0), "RCPT TO:<bob@example.net>\r\n");
  EXPECT_EQ(rcpt(Dsn::kNever), "RCPT TO:<bob@example.net> NOTIFY=NEVER\r\n");
  EXPECT_EQ(rcpt(Dsn::kFailure | Dsn::kSuccess),
            "RCPT TO:<bob@example.net> NOTIFY=SUCCESS,FAILURE\r\n");
}

TEST(Command, XtextEncodesWhatWouldEndOrSplitAParameter) {
  EXPECT_EQ(Xtext("a+b=c d\r\n\x7f~"), "a+2Bb+3Dc+20d+0D+0A+7F~");
}

TEST(Command, MailWithoutSenderHasTheNullReversePath) {
  EXPECT_EQ(MailCommand({}, {}), "MAIL FROM:<>\r\n");
}

TEST(Command, RcptKeepsAQuotedLocalPart) {
  EXPECT_EQ(RcptCommand(Address("\"a b\"@example.net")), "RCPT TO:<\"a b\"@example.net>\r\n");
}

TEST(Command, EhloTakesDomainsAndLiterals) {
  EXPECT_EQ(EhloCommand("client.example.org"), "EHLO client.example.org\r\n");
  EXPECT_EQ(HeloCommand("[192.0.2.1]"), "HELO [192.0.2.1]\r\n");
}

TEST(Command, IsOneLineWithoutControlBytes) {
  EXPECT_TRUE(IsCommandLine("NOOP\r\n"));
  EXPECT_TRUE(IsCommandLine("RCPT TO:<jörg@example.net>\r\n"));
  using namespace std::string_view_literals;
  for (const std::string_view line :
       {"NOOP"sv, "NOOP\n"sv, ""sv, "A\r\nB\r\n"sv, "A\nB\r\n"sv, "A\rB\r\n"sv, "A\0\r\n"sv,
        "A\x7f\r\n"sv, "A\tB\r\n"sv, "A\r\r\n"sv}) {
    EXPECT_FALSE(IsCommandLine(line)) << line;
  }
}

}  // namespace
}  // namespace sendstep::smtp
