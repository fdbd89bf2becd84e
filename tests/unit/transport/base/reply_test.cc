#include "transport/base/reply.h"

#include <gtest/gtest.h>

#include <string>

#include "transport/base/address.h"

namespace sendstep::base {
namespace {

TEST(Reply, ClassFollowsTheFirstDigit) {
  EXPECT_TRUE((Reply{250, "", {}}.Positive()));
  EXPECT_TRUE((Reply{354, "", {}}.Positive()));
  EXPECT_TRUE((Reply{421, "", {}}.Transient()));
  EXPECT_TRUE((Reply{550, "", {}}.Permanent()));
  EXPECT_FALSE((Reply{0, "", {}}.Positive()));
}

TEST(ReplyText, JoinsLinesByOneBlank) {
  EXPECT_EQ((Reply{250, "", {"one", "two", "three"}}.Text()), "one two three");
  EXPECT_EQ((Reply{250, "", {"", "one", "", "two", ""}}.Text()), "one two");
  EXPECT_EQ((Reply{250, "", {}}.Text()), "");
}

TEST(ReplyText, ReplacesWhatIsNotPrintable) {
  EXPECT_EQ((Reply{550, "", {"a\x1B[31mb\tc\r\n"}}.Text()), "a?[31mb?c??");
  EXPECT_EQ((Reply{550, "", {"gr\xFC\xDF\xC3\xBC"}}.Text()), "gr??ü");
  EXPECT_EQ((Reply{550, "", {"a\u2028\u0085"}}.Text()), "a??");
  EXPECT_EQ((Reply{550, "", {std::string("a\0b", 3)}}.Text()), "a?b");
}

TEST(ReplyText, IsCutBetweenCharactersAtAnyLength) {
  const Reply reply = {550, "", {"aü€🐊", "b\xFF", "€"}};
  const std::string whole = reply.Text();
  EXPECT_EQ(whole, "aü€🐊 b? €");
  for (size_t max = 0; max <= whole.size(); ++max) {
    const std::string text = reply.Text(max);
    EXPECT_LE(text.size(), max);
    EXPECT_GE(text.size() + 4, max);
    EXPECT_TRUE(IsUtf8(text)) << max;
    EXPECT_TRUE(whole.starts_with(text)) << max;
  }
}

TEST(ReplyShorten, KeepsTheBeginning) {
  Reply reply;
  reply.code = 550;
  reply.lines = {"no", "such", "us\u00E9r", "here"};
  Reply same = reply;
  same.Shorten(100);
  EXPECT_EQ(same.lines, reply.lines);
  reply.Shorten(9);  // within the second letter of "us\u00E9r"
  EXPECT_EQ(reply.lines, (std::vector<std::string>{"no", "such", "us"}));
}

TEST(ReplyText, HasAtMost512BytesUnlessAsked) {
  EXPECT_EQ((Reply{550, "", {std::string(2000, 'x')}}.Text().size()), 512u);
}

}  // namespace
}  // namespace sendstep::base
