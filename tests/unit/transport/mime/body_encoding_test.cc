#include "transport/mime/body_encoding.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>

#include "tests/unit/transport/mime/decoders.h"

namespace sendstep::mime {
namespace {

std::string Encoded(std::string_view content, Encoding encoding) {
  std::string out;
  AppendEncoded(content, encoding, out);
  return out;
}

std::string Qp(std::string_view content) { return Encoded(content, Encoding::kQuotedPrintable); }

// Every rule of RFC 2045 6.7 that a line of quoted-printable has to keep.
void ExpectSafeLines(const std::string& encoded) {
  for (const std::string& line : Lines(encoded + "\r\n")) {
    EXPECT_LE(line.size(), 76u);
    EXPECT_FALSE(line.ends_with(' ') || line.ends_with('\t')) << line;
    EXPECT_FALSE(line.starts_with("From ")) << line;
    EXPECT_FALSE(line.starts_with('.')) << line;
    for (char c : line) EXPECT_TRUE(c == '\t' || (c >= ' ' && c <= '~')) << static_cast<int>(c);
  }
}

TEST(CanonicalLines, TurnsEveryLineBreakIntoCrlf) {
  EXPECT_EQ(CanonicalLines(""), "");
  EXPECT_EQ(CanonicalLines("a"), "a");
  EXPECT_EQ(CanonicalLines("a\nb\rc\r\nd"), "a\r\nb\r\nc\r\nd");
  EXPECT_EQ(CanonicalLines("\r\r\n\n"), "\r\n\r\n\r\n");
  EXPECT_EQ(CanonicalLines("\n\r"), "\r\n\r\n");
}

TEST(Is7Bit, HoldsTheRulesOf7Bit) {
  EXPECT_TRUE(Is7Bit(""));
  EXPECT_TRUE(Is7Bit("a\r\n\r\nb\x7F"));
  EXPECT_TRUE(Is7Bit(std::string(998, 'x') + "\r\n" + std::string(998, 'x')));
  EXPECT_FALSE(Is7Bit(std::string(999, 'x')));
  for (std::string_view text : {"a\nb", "a\rb", "a\r", "\n", "\r\r\n", "ü", "\x80"}) {
    EXPECT_FALSE(Is7Bit(text)) << text;
  }
  EXPECT_FALSE(Is7Bit(std::string_view("\0", 1)));
}

TEST(ChooseEncoding, Is7BitWhereNothingNeedsEncoding) {
  EXPECT_EQ(ChooseEncoding(""), Encoding::k7Bit);
  EXPECT_EQ(ChooseEncoding("Hello,\r\n.\r\nFromage\r\n"), Encoding::k7Bit);
  EXPECT_EQ(ChooseEncoding("From me\r\n"), Encoding::kQuotedPrintable);
  EXPECT_EQ(ChooseEncoding("a\r\nFrom me\r\n"), Encoding::kQuotedPrintable);
  EXPECT_EQ(ChooseEncoding(std::string(999, 'x')), Encoding::kQuotedPrintable);
}

TEST(ChooseEncoding, IsTheShorterOne) {
  EXPECT_EQ(ChooseEncoding("Grüße aus München, wir haben alle viel Spaß"),
            Encoding::kQuotedPrintable);
  EXPECT_EQ(ChooseEncoding("日本語のメールです"), Encoding::kBase64);
}

TEST(QuotedPrintable, EncodesWhatRfc2045Wants) {
  EXPECT_EQ(Qp("a=b ü"), "a=3Db =C3=BC");
  EXPECT_EQ(Qp("end \r\n"), "end=20\r\n");
  EXPECT_EQ(Qp("end\t\r\nend "), "end=09\r\nend=20");
  EXPECT_EQ(Qp(" \r\n\r\n"), "=20\r\n\r\n");
  EXPECT_EQ(Qp("From a\r\nFrom b, From c"), "=46rom a\r\n=46rom b, From c");
  EXPECT_EQ(Qp(".\r\n..\r\na."), "=2E\r\n=2E.\r\na.");
  EXPECT_EQ(Qp(std::string_view("a\0b", 3)), "a=00b");
}

TEST(QuotedPrintable, BreaksLinesSoftlyAt76) {
  EXPECT_EQ(Qp(std::string(76, 'x')), std::string(76, 'x'));
  EXPECT_EQ(Qp(std::string(77, 'x')), std::string(75, 'x') + "=\r\nxx");
  EXPECT_EQ(Qp(std::string(73, 'x') + "ü"), std::string(73, 'x') + "=\r\n=C3=BC");
  EXPECT_EQ(Qp(std::string(75, 'x') + ".x"), std::string(75, 'x') + "=\r\n=2Ex");
  EXPECT_EQ(Qp(std::string(75, 'x') + "From x"), std::string(75, 'x') + "=\r\n=46rom x");
}

TEST(QuotedPrintable, EveryLengthAroundALineIsDecodedAgain) {
  for (const char* tail : {"", " ", "\t", "=", "ü", ".", "From ", " \r\n", "=\r\n", "ü ü"}) {
    for (size_t length = 60; length <= 160; ++length) {
      const std::string text = std::string(length, 'x') + tail;
      ExpectSafeLines(Qp(text));
      EXPECT_EQ(DecodeQuotedPrintable(Qp(text)), text);
    }
  }
}

TEST(QuotedPrintable, RandomTextIsDecodedAgain) {
  std::mt19937 random(7);
  const std::string_view pieces[] = {"x", " ", "\t", "\r\n", "=", "ü", ".", "From ", "🐊", "word "};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (size_t left = random() % 200; left > 0; --left) text += pieces[random() % 10];
    ExpectSafeLines(Qp(text));
    EXPECT_EQ(DecodeQuotedPrintable(Qp(text)), text);
  }
}

TEST(Base64, EveryLengthIsDecodedAgainFromLinesOf76) {
  std::mt19937 random(7);
  std::string bytes;
  for (size_t length = 0; length < 400; ++length, bytes += static_cast<char>(random())) {
    const std::string encoded = Encoded(bytes, Encoding::kBase64);
    EXPECT_EQ(DecodeBase64(encoded), bytes);
    EXPECT_LE(encoded.size(), EncodedSize(bytes, Encoding::kBase64));
    const auto lines = Lines(encoded + "\r\n");
    for (size_t i = 0; i + 1 < lines.size(); ++i) EXPECT_EQ(lines[i].size(), 76u);
    if (!bytes.empty()) {
      EXPECT_FALSE(lines.back().empty());
    }
  }
}

}  // namespace
}  // namespace sendstep::mime
