#include "plugin/units.h"

#include <gtest/gtest.h>

namespace sendstep::plugin {
namespace {

using std::chrono::milliseconds;

TEST(UnitsTest, TimesAreReadInEveryUnit) {
  EXPECT_EQ(ParseDuration("25"), milliseconds(25'000));
  EXPECT_EQ(ParseDuration("500ms"), milliseconds(500));
  EXPECT_EQ(ParseDuration("2m"), milliseconds(120'000));
  EXPECT_EQ(ParseDuration("1h"), milliseconds(3'600'000));
  EXPECT_EQ(ParseDuration("7d"), milliseconds(604'800'000));
  for (const char* text : {"", "s", "-1s", "1.5s", "1 s", "s1", "5000000000s"}) {
    EXPECT_EQ(ParseDuration(text), std::nullopt) << text;
  }
}

TEST(UnitsTest, TimesAreWrittenInTheLargestWholeUnit) {
  EXPECT_EQ(DurationText(milliseconds(0)), "0ms");
  EXPECT_EQ(DurationText(milliseconds(1500)), "1500ms");
  EXPECT_EQ(DurationText(milliseconds(90'000)), "90s");
  EXPECT_EQ(DurationText(milliseconds(172'800'000)), "2d");
}

TEST(UnitsTest, SizesAreReadInEveryUnit) {
  EXPECT_EQ(ParseSize("1000"), 1000u);
  EXPECT_EQ(ParseSize("64KiB"), 65'536u);
  EXPECT_EQ(ParseSize("512MiB"), 536'870'912u);
  EXPECT_EQ(ParseSize("4GiB"), 4'294'967'296u);
  EXPECT_EQ(ParseSize("17179869183GiB"), 18'446'744'072'635'809'792u);
  for (const char* text : {"", "MiB", "-1", "1.5GiB", "1 GiB", "1GB", "1gib", "17179869184GiB"}) {
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
  }
}

TEST(UnitsTest, SizesAreWrittenInTheLargestWholeUnit) {
  EXPECT_EQ(SizeText(0), "0 bytes");
  EXPECT_EQ(SizeText(1025), "1025 bytes");
  EXPECT_EQ(SizeText(uint64_t{3} << 30), "3GiB");
  EXPECT_EQ(SizeText(1536 << 10), "1536KiB");
}

}  // namespace
}  // namespace sendstep::plugin
