#include "transport/smtp/reply_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sendstep::smtp {
namespace {

using Event = ReplyParser::Event;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The event that ends the first reply in `bytes`.
Event ParseAll(ReplyParser& parser, std::string_view bytes) {
  for (;;) {
    const Event event = parser.Advance(bytes);
    if (event != Event::kLine) return event;
  }
}

base::Reply Parse(std::string_view bytes) {
  ReplyParser parser;
  EXPECT_EQ(ParseAll(parser, bytes), Event::kReply) << parser.fault();
  return parser.Take();
}

std::string Fault(std::string_view bytes) {
  ReplyParser parser;
  EXPECT_EQ(ParseAll(parser, bytes), Event::kMalformed);
  return std::string(parser.fault());
}

TEST(ReplyParser, ReadsCodeEnhancedCodeAndText) {
  const base::Reply reply = Parse("535 5.7.8 Bad credentials\r\n");
  EXPECT_EQ(reply.code, 535);
  EXPECT_EQ(reply.enhanced_code, "5.7.8");
  EXPECT_THAT(reply.lines, ElementsAre("Bad credentials"));
}

TEST(ReplyParser, ReadsSeveralLinesAndStripsTheEnhancedCodeFromEach) {
  const base::Reply reply = Parse("550-5.1.1 No such user\r\n550-\r\n550 5.1.1 Try another\r\n");
  EXPECT_EQ(reply.enhanced_code, "5.1.1");
  EXPECT_THAT(reply.lines, ElementsAre("No such user", "", "Try another"));
}

TEST(ReplyParser, AcceptsACodeAloneAndABareLineFeed) {
  EXPECT_THAT(Parse("250\r\n").lines, ElementsAre(""));
  EXPECT_THAT(Parse("250 \r\n").lines, ElementsAre(""));
  EXPECT_THAT(Parse("250-a\n250 b\n").lines, ElementsAre("a", "b"));
  EXPECT_EQ(Parse("250 2.0.0\r\n").enhanced_code, "2.0.0");
}

TEST(ReplyParser, LeavesWhatFollowsTheReply) {
  ReplyParser parser;
  std::string_view bytes = "250 one\r\n421 two\r\n";
  ASSERT_EQ(parser.Advance(bytes), Event::kReply);
  EXPECT_EQ(parser.Take().code, 250);
  EXPECT_EQ(bytes, "421 two\r\n");
  ASSERT_EQ(parser.Advance(bytes), Event::kReply);
  EXPECT_EQ(parser.Take().code, 421);
  EXPECT_EQ(parser.Advance(bytes), Event::kNeedMore);
}

TEST(ReplyParser, KnowsALineOnlyWithItsLineFeed) {
  ReplyParser parser;
  for (const char c : std::string_view("250 ok\r")) {
    std::string_view byte(&c, 1);
    EXPECT_EQ(parser.Advance(byte), Event::kNeedMore);
  }
  std::string_view feed = "\n";
  EXPECT_EQ(parser.Advance(feed), Event::kReply);
  EXPECT_EQ(parser.line(), "250 ok");
}

TEST(ReplyParser, DropsAnEnhancedCodeOfAnotherClass) {
  const base::Reply reply = Parse("450 5.7.1 Later\r\n");
  EXPECT_EQ(reply.enhanced_code, "");
  EXPECT_THAT(reply.lines, ElementsAre("5.7.1 Later"));
}

TEST(ReplyParser, TakesOnlyAWholeEnhancedCode) {
  EXPECT_EQ(LeadingEnhancedCode(550, "5.1.1 x"), "5.1.1");
  EXPECT_EQ(LeadingEnhancedCode(550, "5.123.456"), "5.123.456");
  for (const std::string_view text : {"5.1 x", "5.1.1x", "5.1.1234 x", "5..1 x", "5.1. x", "5", "",
                                      "55.1.1 x", "5.1.1.1 x", "mail.example.net"}) {
    EXPECT_EQ(LeadingEnhancedCode(550, text), "") << text;
  }
  EXPECT_EQ(LeadingEnhancedCode(354, "3.0.0 x"), "");
}

TEST(ReplyParser, RefusesWhatIsNoReply) {
  for (const std::string_view line :
       {"\r\n", "25\r\n", "2500 x\r\n", "250_x\r\n", "abc\r\n", " 250 x\r\n", "+OK ready\r\n",
        "HTTP/1.1 400 Bad Request\r\n", "199 x\r\n", "600 x\r\n", "000 x\r\n",
        "2\xb2"
        "0 x\r\n"}) {
    EXPECT_THAT(Fault(line), HasSubstr("not an SMTP reply")) << line;
  }
  EXPECT_EQ(Parse("200 x\r\n").code, 200);
  EXPECT_EQ(Parse("599 x\r\n").code, 599);
}

TEST(ReplyParser, RefusesAReplyWhoseCodeChanges) {
  EXPECT_THAT(Fault("250-a\r\n251 b\r\n"), HasSubstr("changes"));
}

TEST(ReplyParser, RefusesALineOverItsLimit) {
  const std::string longest = "250 " + std::string(ReplyParser::kMaxLineBytes - 6, 'x') + "\r\n";
  EXPECT_EQ(Parse(longest).code, 250);
  EXPECT_THAT(Fault("250 x" + longest.substr(4)), HasSubstr("line is too long"));
  EXPECT_THAT(Fault(std::string(ReplyParser::kMaxLineBytes + 1, '2')), HasSubstr("too long"));
}

TEST(ReplyParser, ShowsNothingOfALineOverItsLimit) {
  ReplyParser parser;
  std::string_view half = "250 begins ";
  EXPECT_EQ(parser.Advance(half), Event::kNeedMore);
  const std::string long_rest(ReplyParser::kMaxLineBytes, 'x');
  std::string_view rest = long_rest;
  EXPECT_EQ(parser.Advance(rest), Event::kMalformed);
  EXPECT_EQ(parser.line(), "");
}

TEST(ReplyParser, RefusesAReplyOfTooManyLines) {
  std::string bytes;
  for (size_t i = 1; i < ReplyParser::kMaxReplyLines; ++i) bytes += "250-x\r\n";
  EXPECT_EQ(Parse(bytes + "250 x\r\n").lines.size(), ReplyParser::kMaxReplyLines);
  EXPECT_THAT(Fault(bytes + "250-x\r\n250 x\r\n"), HasSubstr("reply is too long"));
}

TEST(ReplyParser, RefusesAReplyOfTooManyBytes) {
  const std::string line = "250-" + std::string(1500, 'x') + "\r\n";
  std::string bytes;
  while (bytes.size() <= ReplyParser::kMaxReplyBytes) bytes += line;
  EXPECT_THAT(Fault(bytes), HasSubstr("reply is too long"));
}

TEST(ReplyParser, KnowsATlsRecordByItsFirstByte) {
  for (const std::string_view record : {"\x15", "\x16\x03\x01"}) {
    ReplyParser parser;
    EXPECT_EQ(ParseAll(parser, record), Event::kTlsRecord);
  }
}

}  // namespace
}  // namespace sendstep::smtp
