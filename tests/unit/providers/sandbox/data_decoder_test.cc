#include "providers/sandbox/data_decoder.h"

#include <gtest/gtest.h>

namespace sendstep::providers::sandbox {
namespace {

struct Decoded {
  std::string content;
  size_t used = 0;
  bool done = false;
};

// Feeds `input` in pieces of `piece` bytes.
Decoded Decode(std::string_view input, size_t piece) {
  DataDecoder decoder;
  Decoded decoded;
  while (decoded.used < input.size() && !decoder.done()) {
    decoded.used += decoder.Decode(input.substr(decoded.used, piece), decoded.content);
  }
  decoded.done = decoder.done();
  return decoded;
}

// The content is the same wherever the network cuts the input.
void ExpectContent(std::string_view input, std::string_view content) {
  for (size_t piece = 1; piece <= input.size(); ++piece) {
    const Decoded decoded = Decode(input, piece);
    EXPECT_TRUE(decoded.done) << "pieces of " << piece;
    EXPECT_EQ(decoded.used, input.size()) << "pieces of " << piece;
    EXPECT_EQ(decoded.content, content) << "pieces of " << piece;
  }
}

void ExpectNoEnd(std::string_view input, std::string_view content_so_far) {
  for (size_t piece = 1; piece <= input.size(); ++piece) {
    const Decoded decoded = Decode(input, piece);
    EXPECT_FALSE(decoded.done) << "pieces of " << piece;
    EXPECT_EQ(decoded.content, content_so_far) << "pieces of " << piece;
  }
}

TEST(DataDecoderTest, DotOnALineOfItsOwnEndsTheMessage) {
  ExpectContent("a\r\nb\r\n.\r\n", "a\r\nb\r\n");
  ExpectContent(".\r\n", "");
}

TEST(DataDecoderTest, StuffedDotsAreRemoved) {
  ExpectContent("..\r\n...a\r\n..b\r\n.c\r\na.b\r\n.\r\n", ".\r\n..a\r\n.b\r\nc\r\na.b\r\n");
}

TEST(DataDecoderTest, BareLineBreaksAreContent) {
  ExpectContent("a\n.\nb\r.\rc\n.\r\n.\r\n", "a\n.\nb\r.\rc\n.\r\n");
  ExpectContent("a\r\r\n.\r\n", "a\r\r\n");
}

TEST(DataDecoderTest, OnlyCrlfDotCrlfEnds) {
  ExpectNoEnd("a\r\n.\n", "a\r\n\n");
  ExpectNoEnd("a\r\n.\rb", "a\r\n\rb");
  ExpectNoEnd("a\n.\r\n", "a\n.\r\n");
  ExpectNoEnd("a\r.\r\n", "a\r.\r\n");
  ExpectNoEnd("a\r\n.\r\r", "a\r\n\r\r");
}

TEST(DataDecoderTest, WhatFollowsTheEndIsLeftAlone) {
  const Decoded decoded = Decode("a\r\n.\r\nQUIT\r\n", 100);
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.used, 6u);
}

}  // namespace
}  // namespace sendstep::providers::sandbox
