#include "clients/cli/text.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::cli {
namespace {

TEST(Text, EscapeSequencesNeverReachTheTerminal) {
  EXPECT_EQ(Shown("\x1b[2J\x1b]0;title\x07"), "\\x1b[2J\\x1b]0;title\\x07");
  EXPECT_EQ(Shown("\xc2\x9b"
                  "31m"),
            "\\x9b31m");  // CSI as one C1 character
  EXPECT_EQ(Shown(std::string("a\0b\x7f", 4)), "a\\x00b\\x7f");
}

TEST(Text, OneLineStaysOneLine) {
  EXPECT_EQ(Shown("a\r\nb\tc"), "a\\r\\nb\\tc");
  EXPECT_EQ(Shown("a\xe2\x80\xa8z"), "a\\u2028z");
}

TEST(Text, DirectionOfWritingCannotBeTurned) {
  EXPECT_EQ(Shown("invoice\xe2\x80\xae"
                  "fdp.exe"),
            "invoice\\u202efdp.exe");
  EXPECT_EQ(Shown("\xe2\x81\xa6x"), "\\u2066x");
}

TEST(Text, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(Shown("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(Shown("\xc0\xaf\xed\xa0\x80"), "\\xc0\\xaf\\xed\\xa0\\x80");
}

TEST(Text, LettersOfAllLanguagesStay) { EXPECT_EQ(Shown("Grüße 你好 😀"), "Grüße 你好 😀"); }

TEST(Text, LinesKeepLineFeedsAndTabs) {
  EXPECT_EQ(ShownLines("a\r\nb\n\tc\rd\x1b"), "a\nb\n\tc\\rd\\x1b");
}

TEST(Text, TableAlignsByCharactersNotBytes) {
  EXPECT_EQ(Table({{"Ä", "x"}, {"bb", "y"}, {"c"}}, "> "), "> Ä   x\n> bb  y\n> c\n");
}

TEST(Text, ClippedCutsBetweenCharacters) {
  EXPECT_EQ(Clipped("Grüße", 5), "Grüße");
  EXPECT_EQ(Clipped("Grüße 😀😀", 7), "Grüß...");
  EXPECT_EQ(Clipped("😀😀😀😀😀", 4), "😀...");
  EXPECT_EQ(Clipped("abcdef", 2), "..");
}

TEST(Text, AShellWordIsQuotedWhereItHasToBe) {
  EXPECT_EQ(ShellWord("wf-1/run_2:3@x"), "wf-1/run_2:3@x");
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
  EXPECT_EQ(ShellWord("$(x);it's"), "'$(x);it'\\''s'");
  EXPECT_EQ(ShellWord("a\x1b"), "'a\\x1b'");
}

TEST(Text, StyleWithoutColoursIsPlain) {
  EXPECT_EQ(Style(false).Bad("x"), "x");
  EXPECT_EQ(Style(true).Bad("x"), "\x1b[31mx\x1b[0m");
}

TEST(Text, Utf8IsToldFromOtherBytes) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("aä€😀\n"));
  for (const char* other : {"\xe4", "a\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80"}) {
    EXPECT_FALSE(IsUtf8(other)) << Shown(other);
  }
}

}  // namespace
}  // namespace sendstep::cli
