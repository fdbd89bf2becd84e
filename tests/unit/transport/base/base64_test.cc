#include "transport/base/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::base {
namespace {

TEST(Base64, MatchesTheTestVectorsOfRfc4648) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, encoded] : cases) {
    std::string out;
    AppendBase64(bytes, out);
    EXPECT_EQ(out, encoded);
  }
}

TEST(Base64Lines, HaveAnnouncedSizeAnd76DigitsButTheLast) {
  std::string bytes;
  for (size_t size = 0; size < 300; ++size, bytes += static_cast<char>(size)) {
    std::string one_line;
    AppendBase64(bytes, one_line);
    for (size_t at = 76; at < one_line.size(); at += 78) one_line.insert(at, "\r\n");
    std::string lines = "before ";
    AppendBase64Lines(bytes, lines);
    EXPECT_EQ(lines, "before " + one_line);
    EXPECT_EQ(Base64LinesSize(size), one_line.size());
  }
}

TEST(DecodeBase64, GivesTheVectorsOfRfc4648) {
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_EQ(DecodeBase64("Zg=="), "f");
  EXPECT_EQ(DecodeBase64("Zm8="), "fo");
  EXPECT_EQ(DecodeBase64("Zm9v"), "foo");
  EXPECT_EQ(DecodeBase64("Zm9vYmFy"), "foobar");
}

TEST(DecodeBase64, RefusesWhatIsNotBase64) {
  for (const char* text : {"Zg", "Zg=", "Z===", "====", "Zm9v!",
                           " Zg=", "Zg== ", "Zg==Zg==", "Zm\n=", "-_-_", "*", "Zg=a"}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sendstep::base
