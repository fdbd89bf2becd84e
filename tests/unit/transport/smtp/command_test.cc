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
  EXPECT_EQ(MailCommand(alice, all),
            "MAIL FROM:<alice@example.org> SIZE=42 BODY=8BITMIME SMTPUTF8\r\n");
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
