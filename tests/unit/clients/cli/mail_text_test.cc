#include "clients/cli/mail_text.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::cli {
namespace {

TEST(MailText, EncodedWordsAreDecoded) {
  EXPECT_EQ(DecodeWords("=?UTF-8?B?R3LDvMOfZQ==?="), "Grüße");
  EXPECT_EQ(DecodeWords("=?utf-8?q?Gr=C3=BC=c3=9fe_an?= alle"), "Grüße an alle");
  EXPECT_EQ(DecodeWords("=?ISO-8859-1?Q?Gr=FC=DFe?="), "Grüße");
  EXPECT_EQ(DecodeWords("=?us-ascii*en?Q?plain?="), "plain");
}

TEST(MailText, BlanksBetweenEncodedWordsGo) {
  EXPECT_EQ(DecodeWords("=?utf-8?q?a?=  =?utf-8?q?b?="), "ab");
  EXPECT_EQ(DecodeWords("=?utf-8?q?a?= b =?utf-8?q?c?="), "a b c");
  EXPECT_EQ(DecodeWords("x =?utf-8?q?a?= "), "x a ");
}

TEST(MailText, ACharacterSplitOverWordsIsWhole) {
  EXPECT_EQ(DecodeWords("=?utf-8?b?8J+Y?= =?utf-8?b?gA==?="), "😀");
}

TEST(MailText, WhatIsNoEncodedWordStays) {
  for (const char* text :
       {"=?utf-8?q?open", "=?utf-8?x?a?=", "=?koi8-r?q?a?=", "=?",
        "=?utf-8?b?*?=", "=?utf-8?q?=4?=", "=?utf-8?q", "a=?b", "=?utf-8?q?a b?="}) {
    EXPECT_EQ(DecodeWords(text), text);
  }
}

TEST(MailText, HeaderSectionEndsAtTheEmptyLine) {
  EXPECT_EQ(HeaderSection("A: 1\r\nB: 2\r\n\r\nbody\r\n"), "A: 1\r\nB: 2\r\n");
  EXPECT_EQ(HeaderSection("A: 1\n\nbody"), "A: 1\n");
  EXPECT_EQ(HeaderSection("A: 1\nB"), "A: 1\nB");
  EXPECT_EQ(HeaderSection("\nbody"), "");
  EXPECT_EQ(HeaderSection(""), "");
}

TEST(MailText, FieldsAreUnfolded) {
  const auto fields = HeaderFields(
      "Subject: =?utf-8?q?one?=\r\n =?utf-8?q?_two?=\r\nTO:\r\n a@b.c\r\n\r\nX: 1\r\n");
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(HeaderValue(fields, "subject"), "one two");
  EXPECT_EQ(HeaderValue(fields, "To"), "a@b.c");
  EXPECT_EQ(HeaderValue(fields, "X"), "");
}

TEST(MailText, CommasInNamesSeparateNothing) {
  const auto fields = HeaderFields(
      "To: \"Lee, \\\"A\\\"\" <a@b.c>,\r\n =?utf-8?q?L=C3=A9=2C_B?= <b@b.c> , c@b.c\r\n\r\n");
  EXPECT_THAT(HeaderList(fields, "to"),
              testing::ElementsAre("\"Lee, \\\"A\\\"\" <a@b.c>", "Lé, B <b@b.c>", "c@b.c"));
  EXPECT_THAT(HeaderList(fields, "Cc"), testing::IsEmpty());
}

}  // namespace
}  // namespace sendstep::cli
