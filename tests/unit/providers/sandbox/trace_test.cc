#include "providers/sandbox/trace.h"

#include <gtest/gtest.h>

namespace sendstep::providers::sandbox {
namespace {

constexpr std::chrono::system_clock::time_point kNow{std::chrono::seconds(1795424645)};

TEST(TraceTest, HeadersNameEnvelopeAndHop) {
  Greylist greylist;
  Dialog dialog(greylist);
  dialog.OnLine("EHLO client.example");
  dialog.OnLine("MAIL FROM:<a@example.com>");
  dialog.OnLine("RCPT TO:<b@example.com>");
  dialog.OnLine("RCPT TO:<c@example.com>");
  EXPECT_EQ(TraceHeaders(dialog, "127.0.0.1", "17.5_1.sandbox", kNow),
            "Return-Path: <a@example.com>\r\n"
            "X-Envelope-To: b@example.com, c@example.com\r\n"
            "Received: from client.example ([127.0.0.1])\r\n"
            " by sandbox with ESMTP\r\n"
            " id 17.5_1.sandbox;\r\n"
            " Mon, 23 Nov 2026 09:04:05 +0000\r\n");
}

TEST(TraceTest, ManyRecipientsAreFolded) {
  Greylist greylist;
  Dialog dialog(greylist);
  dialog.OnLine("EHLO c");
  dialog.OnLine("MAIL FROM:<>");
  for (int i = 10; i < 40; ++i) {
    dialog.OnLine("RCPT TO:<recipient" + std::to_string(i) + "@example.com>");
  }
  const std::string headers = TraceHeaders(dialog, "127.0.0.1", "1", kNow);
  EXPECT_TRUE(headers.starts_with("Return-Path: <>\r\n"));
  std::string unfolded;
  for (size_t begin = 0; begin < headers.size();) {
    const size_t end = headers.find("\r\n", begin);
    EXPECT_LE(end - begin, 78u);
    unfolded += (headers[begin] == ' ' ? "" : "\n") + headers.substr(begin, end - begin);
    begin = end + 2;
  }
  std::string expected = "\nX-Envelope-To: recipient10@example.com";
  for (int i = 11; i < 40; ++i) expected += ", recipient" + std::to_string(i) + "@example.com";
  EXPECT_NE(unfolded.find(expected + "\n"), std::string::npos) << unfolded;
}

}  // namespace
}  // namespace sendstep::providers::sandbox
