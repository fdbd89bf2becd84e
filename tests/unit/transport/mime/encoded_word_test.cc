#include "transport/mime/encoded_word.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/unit/transport/mime/decoders.h"
#include "transport/base/address.h"

namespace sendstep::mime {
namespace {

std::string Joined(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : "\r\n ") + word;
  return joined;
}

TEST(NeedsEncoding, OnlyWhereAReaderWouldNotGetItBack) {
  for (const char* text : {"", "Hello", "a  b", "= ?", "50% off? =)"}) {
    EXPECT_FALSE(NeedsEncoding(text)) << text;
  }
  for (const char* text : {"ü", "=?utf-8?q?x?=", "a =?", " a", "a "}) {
    EXPECT_TRUE(NeedsEncoding(text)) << text;
  }
}

TEST(EncodedWords, UseTheShorterEncoding) {
  EXPECT_EQ(EncodedWords("Viele liebe Grüße aus unserem schönen Ort", 75),
            (std::vector<std::string>{
                "=?UTF-8?Q?Viele_liebe_Gr=C3=BC=C3=9Fe_aus_unserem_sch=C3=B6nen_Ort?="}));
  EXPECT_EQ(EncodedWords("🐊", 75), (std::vector<std::string>{"=?UTF-8?B?8J+Qig==?="}));
}

TEST(EncodedWords, QIsFitForPhrases) {
  const std::string all = "\"(),.:;<>@[\\]?=_ aZ09!*+-/ " + std::string(150, 'x');
  const std::string words = Joined(EncodedWords(all, 75));
  EXPECT_NE(words.find("?Q?"), std::string::npos);
  EXPECT_EQ(words.find_first_of("\"(),.:;<>@[\\]"), std::string::npos);
  EXPECT_EQ(DecodeWords(words), all);
}

TEST(EncodedWords, NeverSplitACharacterAndNeverGrowPast75) {
  std::mt19937 random(7);
  const std::string_view pieces[] = {"x", " ", "ü", "€", "🐊", "=?", "?=", "_"};
  for (int round = 0; round < 3000; ++round) {
    const size_t kinds = 2 + random() % 7;
    std::string text;
    for (size_t left = 1 + random() % 120; left > 0; --left) text += pieces[random() % kinds];
    const size_t first = kMinEncodedWord + random() % 60;
    const auto words = EncodedWords(text, first);
    EXPECT_LE(words.front().size(), first);
    for (const std::string& word : words) {
      EXPECT_LE(word.size(), 75u);
      EXPECT_GT(word.size(), 12u);
      EXPECT_EQ(word.find_first_of(" \t\r\n"), std::string::npos);
      EXPECT_TRUE(base::IsUtf8(DecodeWords(word))) << word;
    }
    EXPECT_EQ(DecodeWords(Joined(words)), text);
  }
}

}  // namespace
}  // namespace sendstep::mime
