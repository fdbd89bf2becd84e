#include "transport/base/content.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::base {
namespace {

// All of it, at most `most` bytes at a time, with room for `room` encoded ones.
std::string Read(const Content& content, size_t most, size_t room) {
  std::string all;
  std::string scratch;
  scratch.reserve(room);
  ContentReader reader(content);
  while (!reader.done()) {
    scratch.clear();
    const std::string_view next = reader.Next(most, scratch);
    EXPECT_FALSE(next.empty());
    EXPECT_LE(next.size(), most);
    if (next.empty()) break;
    all += next;
  }
  return all;
}

TEST(Content, ReadsWhatWasAppendedInOrder) {
  const std::string file = "attached";
  Content content("Subject: a\r\n\r\n");
  content.Append("");
  content.AppendBase64(file);
  content.Append("\r\nend\r\n");
  EXPECT_EQ(Read(content, 1000, 1000), "Subject: a\r\n\r\nYXR0YWNoZWQ=\r\nend\r\n");
  EXPECT_EQ(content.size(), Read(content, 1000, 1000).size());
  EXPECT_TRUE(content.ends_with_line_break());
}

TEST(Content, WhatIsPrependedIsReadFirst) {
  Content content("b");
  content.Prepend("a");
  content.Prepend("");
  EXPECT_EQ(Read(content, 1000, 1000), "ab");
  EXPECT_EQ(content.size(), 2u);
}

TEST(Content, TextIsNotCopied) {
  const Content content(std::string(1000, 'x'));
  std::string scratch;
  EXPECT_EQ(ContentReader(content).Next(1000, scratch).data(), content.pieces()[0].text.data());
}

TEST(Content, AFileIsTheSameInWhateverPortionsItIsRead) {
  for (size_t size = 0; size < 300; ++size) {
    const std::string file(size, 'f');
    Content content;
    content.AppendBase64(file);
    const std::string whole = Read(content, 1000, 1000);
    EXPECT_EQ(content.size(), whole.size());
    EXPECT_EQ(Read(content, 78, 1000), whole);
    EXPECT_EQ(Read(content, 1000, 160), whole);
  }
}

TEST(Content, LinesOfAFileHave76DigitsAndTheLastNoLineBreak) {
  const std::string file(57 * 2, 'f');
  Content content;
  content.AppendBase64(file);
  const std::string bytes = Read(content, 1000, 1000);
  ASSERT_EQ(bytes.size(), 76u + 2 + 76);
  EXPECT_EQ(bytes.substr(76, 2), "\r\n");
  EXPECT_FALSE(content.ends_with_line_break());
}

TEST(Content, WithoutRoomForALineNothingIsRead) {
  const std::string file(100, 'f');
  Content content;
  content.AppendBase64(file);
  std::string scratch;
  scratch.reserve(100);
  ContentReader reader(content);
  EXPECT_EQ(reader.Next(77, scratch), "");
  EXPECT_FALSE(reader.done());
}

}  // namespace
}  // namespace sendstep::base
