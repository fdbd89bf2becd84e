#include "transport/mime/header_writer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/unit/transport/mime/decoders.h"

namespace sendstep::mime {
namespace {

Mailbox Box(std::string_view address, std::string name = "") {
  return {base::ParseAddress(address).value(), std::move(name)};
}

std::string Unstructured(std::string_view value, std::string_view name = "Subject") {
  std::string out;
  HeaderWriter(name, out).Unstructured(value);
  return out;
}

std::string Mailboxes(const std::vector<Mailbox>& mailboxes) {
  std::string out;
  HeaderWriter("To", out).Mailboxes(mailboxes);
  return out;
}

std::string Filename(std::string_view value) {
  std::string out;
  {
    HeaderWriter header("Content-Disposition", out);
    header.Word("attachment");
    header.Parameter("filename", value);
  }
  return out;
}

// RFC 2231 3 and 4: the value of all sections, put together and decoded.
std::string DecodeExtended(const std::string& field, const std::string& name) {
  std::string encoded;
  for (int i = 0;; ++i) {
    const std::string key = " " + name + "*" + std::to_string(i) + "*=";
    size_t begin = field.find(key);
    if (begin == std::string::npos && i == 0) begin = field.find(" " + name + "*=");
    if (begin == std::string::npos) break;
    begin = field.find('=', begin) + 1;
    encoded += field.substr(begin, field.find_first_of(";\r", begin) - begin);
  }
  EXPECT_TRUE(encoded.starts_with("UTF-8''")) << field;
  std::string decoded;
  for (size_t i = 7; i < encoded.size(); ++i) {
    if (encoded[i] != '%') {
      decoded += encoded[i];
    } else {
      decoded += static_cast<char>(HexDigit(encoded.at(i + 1)) * 16 + HexDigit(encoded.at(i + 2)));
      i += 2;
    }
  }
  return decoded;
}

void ExpectLinesUpTo(size_t limit, const std::string& field) {
  for (const std::string& line : Lines(field)) {
    EXPECT_LE(line.size(), limit) << line;
    EXPECT_NE(line.find_first_not_of(' '), std::string::npos) << "a line of blanks";
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

TEST(Unstructured, ShortAsciiStaysAsItIs) {
  EXPECT_EQ(Unstructured("Hello, world"), "Subject: Hello, world\r\n");
  EXPECT_EQ(Unstructured("a  b\tc"), "Subject: a  b c\r\n");
  EXPECT_EQ(Unstructured(""), "Subject:\r\n");
}

TEST(Unstructured, WhatLooksLikeAnEncodedWordIsEncoded) {
  const std::string field = Unstructured("=?utf-8?q?x?=");
  EXPECT_EQ(field.find("=?utf-8"), std::string::npos);
  EXPECT_EQ(DecodeWords(field), "Subject: =?utf-8?q?x?=\r\n");
}

TEST(Unstructured, LongAsciiIsFoldedAtBlanksAndUnfoldsToItself) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "word" + std::string(1 + i % 3, ' ');
  text += "end";
  const std::string field = Unstructured(text);
  ExpectLinesUpTo(78, field);
  EXPECT_EQ(Unfolded(field), "Subject: " + text);
}

TEST(Unstructured, AsciiWithoutBlanksIsEncodedOnlyPast998) {
  const std::string longest(998 - 9, 'x');
  EXPECT_EQ(Unstructured(longest), "Subject: " + longest + "\r\n");
  const std::string field = Unstructured(longest + "x");
  ExpectLinesUpTo(76, field);
  EXPECT_EQ(DecodeWords(Unfolded(field)), "Subject: " + longest + "x");
  ExpectLinesUpTo(998, Unstructured("a " + std::string(997, 'x')));
  ExpectLinesUpTo(76, Unstructured("a " + std::string(998, 'x')));
  ExpectLinesUpTo(76, Unstructured("a" + std::string(1000, ' ') + "b"));
}

TEST(Unstructured, EveryTextComesOutAsTyped) {
  std::mt19937 random(7);
  const std::string_view pieces[] = {"x", " ", "word", "ü", "🐊", "=?", "?="};
  for (int round = 0; round < 2000; ++round) {
    const size_t kinds = 2 + random() % 6;
    std::string text;
    for (size_t left = 1 + random() % 150; left > 0; --left) text += pieces[random() % kinds];
    for (const std::string& name : {std::string("Subject"), "X-" + std::string(74, 'n')}) {
      const std::string field = Unstructured(text, name);
      ExpectLinesUpTo(998, field);
      std::string value = Unfolded(field).substr(name.size() + 1);
      if (value.starts_with(' ')) value.erase(0, 1);
      EXPECT_EQ(DecodeWords(value), text) << field;
    }
  }
}

TEST(Mailboxes, NamesAreAtomsOrQuoted) {
  EXPECT_EQ(Mailboxes({Box("a@b.c")}), "To: a@b.c\r\n");
  EXPECT_EQ(Mailboxes({Box("a@b.c", "Max Muster")}), "To: Max Muster <a@b.c>\r\n");
  EXPECT_EQ(Mailboxes({Box("a@b.c", "Muster, Max")}), "To: \"Muster, Max\" <a@b.c>\r\n");
  EXPECT_EQ(Mailboxes({Box("a@b.c", "Dr. Max \"M\" \\")}),
            "To: \"Dr. Max \\\"M\\\" \\\\\" <a@b.c>\r\n");
  EXPECT_EQ(Mailboxes({Box("a@b.c", "a  b")}), "To: \"a  b\" <a@b.c>\r\n");
  EXPECT_EQ(Mailboxes({Box("a@b.c", "  ")}), "To: a@b.c\r\n");
  EXPECT_EQ(Mailboxes({Box("a@b.c", "x <y@z>, q")}), "To: \"x <y@z>, q\" <a@b.c>\r\n");
}

TEST(Mailboxes, OtherNamesAreEncodedWords) {
  EXPECT_EQ(Mailboxes({Box("a@b.c", "Jürgen")}), "To: =?UTF-8?Q?J=C3=BCrgen?= <a@b.c>\r\n");
  for (const std::string& name : {std::string("=?utf-8?q?x?="), std::string(300, 'x'),
                                  "Jürgen \"J\" Müller, 🐊 <x@y>" + std::string(200, ' ') + "é"}) {
    const std::string field = Mailboxes({Box("a@b.c", name)});
    ExpectLinesUpTo(76, field);
    EXPECT_EQ(DecodeWords(Unfolded(field)), "To: " + name + " <a@b.c>");
  }
}

TEST(Mailboxes, LongListsAreFoldedBetweenMailboxes) {
  std::vector<Mailbox> many;
  std::string plain = "To: ";
  for (int i = 0; i < 60; ++i) {
    const std::string address = "user" + std::to_string(i) + "@example.com";
    many.push_back(Box(address, i % 2 == 0 ? "User " + std::to_string(i) : ""));
    plain += (i > 0 ? ", " : "") +
             (i % 2 == 0 ? "User " + std::to_string(i) + " <" + address + ">" : address);
  }
  const std::string field = Mailboxes(many);
  ExpectLinesUpTo(78, field);
  EXPECT_EQ(Unfolded(field), plain);
}

TEST(Mailboxes, LongestAddressFitsALine) {
  const std::string address = std::string(64, 'a') + "@" + std::string(63, 'b') + "." +
                              std::string(63, 'c') + "." + std::string(57, 'd') + ".de";
  ExpectLinesUpTo(998, Mailboxes({Box(address, "Jürgen"), Box(address)}));
}

TEST(Mailboxes, Utf8LocalPartsStayRaw) {
  EXPECT_EQ(Mailboxes({Box("jürgen@müller.example", "x")}),
            "To: x <jürgen@xn--mller-kva.example>\r\n");
}

TEST(Parameter, AsciiIsQuoted) {
  EXPECT_EQ(Filename("report 1.pdf"),
            "Content-Disposition: attachment; filename=\"report 1.pdf\"\r\n");
  EXPECT_EQ(Filename("a\"b\\c.txt"),
            "Content-Disposition: attachment; filename=\"a\\\"b\\\\c.txt\"\r\n");
  EXPECT_EQ(Filename("README"), "Content-Disposition: attachment; filename=README\r\n");
  EXPECT_EQ(Filename(""), "Content-Disposition: attachment; filename=\"\"\r\n");
}

TEST(Parameter, OtherValuesAreExtended) {
  EXPECT_EQ(Filename("Übersicht 1.pdf"),
            "Content-Disposition: attachment; filename*=UTF-8''%C3%9Cbersicht%201.pdf\r\n");
  EXPECT_EQ(DecodeExtended(Filename("=?utf-8?q?x?=.pdf"), "filename"), "=?utf-8?q?x?=.pdf");
}

TEST(Parameter, LongValuesAreContinuedWithoutSplittingACharacter) {
  for (const std::string& piece : {std::string("x"), std::string("ü "), std::string("🐊")}) {
    for (size_t count = 1; count < 120; ++count) {
      std::string name = "é";
      for (size_t i = 0; i < count; ++i) name += piece;
      const std::string field = Filename(name);
      ExpectLinesUpTo(78, field);
      EXPECT_EQ(DecodeExtended(field, "filename"), name);
    }
  }
  const std::string ascii(200, 'x');
  EXPECT_EQ(DecodeExtended(Filename(ascii), "filename"), ascii);
}

}  // namespace
}  // namespace sendstep::mime
