#include "transport/mime/dkim_canonical.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sendstep::mime {
namespace {

using testing::ElementsAre;

// The canonical form of a body that comes `portion` bytes at a time.
std::string Body(std::string_view body, DkimForm form, size_t portion) {
  std::string canonical;
  DkimBody reader(form, [&canonical](std::string_view bytes) { canonical += bytes; });
  for (size_t begin = 0; begin < body.size(); begin += portion) {
    reader.Append(body.substr(begin, portion));
  }
  reader.Finish();
  return canonical;
}

TEST(DkimCanonical, BodiesHaveTheFormsOfRfc6376InWhateverPortionsTheyCome) {
  const struct {
    std::string body, simple, relaxed;
  } cases[] = {
      {"", "\r\n", ""},
      {"\r\n", "\r\n", ""},
      {"\r\n\r\n\r\n", "\r\n", ""},
      {"a", "a\r\n", "a\r\n"},
      {"a\r\n", "a\r\n", "a\r\n"},
      {"a\r\n\r\n\r\n", "a\r\n", "a\r\n"},
      {"\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
      {"a\r\n\r\nb", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
      {"a \t b\r\n", "a \t b\r\n", "a b\r\n"},
      {" a\r\n\tb\r\n", " a\r\n\tb\r\n", " a\r\n b\r\n"},
      {"a \r\nb\t\t\r\n", "a \r\nb\t\t\r\n", "a\r\nb\r\n"},
      {"a \t", "a \t\r\n", "a\r\n"},
      {" \t", " \t\r\n", ""},
      {"a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n"},
      {"a\r\n \r\nb\r\n", "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n"},
      {"a\r\n\r\n ", "a\r\n\r\n \r\n", "a\r\n"},
      // RFC 6376 3.4.5.
      {" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
      // No message of ours has them; they are bytes as others.
      {"a\rb\nc\r\r\nd\r", "a\rb\nc\r\r\nd\r\r\n", "a\rb\nc\r\r\nd\r\r\n"},
      {"a \r b", "a \r b\r\n", "a \r b\r\n"},
  };
  for (const auto& [body, simple, relaxed] : cases) {
    for (size_t portion = 1; portion <= body.size() + 1; ++portion) {
      EXPECT_EQ(Body(body, DkimForm::kSimple, portion), simple) << body << " by " << portion;
      EXPECT_EQ(Body(body, DkimForm::kRelaxed, portion), relaxed) << body << " by " << portion;
    }
  }
}

TEST(DkimCanonical, AMillionEmptyLinesAreHeldAsANumber) {
  std::string lines;
  for (int i = 0; i < 1'000'000; ++i) lines += "\r\n";
  size_t most = 0, all = 0;
  DkimBody body(DkimForm::kRelaxed, [&](std::string_view bytes) {
    most = std::max(most, bytes.size());
    all += bytes.size();
  });
  body.Append(lines);
  EXPECT_EQ(all, 0u);
  body.Append("a");
  body.Finish();
  EXPECT_EQ(all, lines.size() + 3);
  EXPECT_LT(most, 10'000u);
}

TEST(DkimCanonical, FieldsHaveTheFormsOfRfc6376) {
  const struct {
    std::string field, relaxed;
  } cases[] = {
      {"Subject: Hello\r\n", "subject:Hello\r\n"},
      {"SUBJECT:Hello", "subject:Hello"},
      {"Subject \t:\t Hello \t world \t\r\n", "subject:Hello world\r\n"},
      {"Subject: a\r\n b\r\n\t c\r\n", "subject:a b c\r\n"},
      {"Subject:\r\n a\r\n", "subject:a\r\n"},
      {"Subject:\r\n", "subject:\r\n"},
      {"Subject: \r\n", "subject:\r\n"},
      {"X: a:B: c\r\n", "x:a:B: c\r\n"},
      // RFC 6376 3.4.5.
      {"A: X\r\n", "a:X\r\n"},
      {"B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
  };
  for (const auto& [field, relaxed] : cases) {
    EXPECT_EQ(CanonicalField(field, DkimForm::kRelaxed), relaxed);
    EXPECT_EQ(CanonicalField(field, DkimForm::kSimple), field);
  }
}

TEST(DkimCanonical, AHeaderIsItsFieldsWithTheirFoldedLines) {
  EXPECT_THAT(HeaderFields("A: 1\r\nB: 2\r\n 3\r\n\t4\r\nC:\r\n"),
              ElementsAre("A: 1\r\n", "B: 2\r\n 3\r\n\t4\r\n", "C:\r\n"));
  EXPECT_THAT(HeaderFields("A: 1"), ElementsAre("A: 1"));
  EXPECT_THAT(HeaderFields(""), ElementsAre());
}

TEST(DkimCanonical, AFieldsNameIsComparedWhole) {
  EXPECT_TRUE(IsField("To: a\r\n", "to"));
  EXPECT_TRUE(IsField("TO : a\r\n", "to"));
  EXPECT_FALSE(IsField("Topic: a\r\n", "to"));
  EXPECT_FALSE(IsField("T: to\r\n", "to"));
}

}  // namespace
}  // namespace sendstep::mime
