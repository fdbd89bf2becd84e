#include "transport/mailauth/dmarc_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sendstep::mailauth {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Not;

ParsedDmarc Parse(const std::string& text) { return ParseDmarc(text, "_dmarc.ex.test"); }

auto HasId(const std::string& id) { return Contains(Field("id", &Problem::id, id)); }

TEST(DmarcRecord, IsOneOnlyWhereVersionIsFirstAndInCapitals) {
  for (const char* text :
       {"v=DMARC1", "v=DMARC1;p=none", "v=DMARC1 ; p=none", "v = DMARC1; p=none"}) {
    EXPECT_TRUE(IsDmarc(text)) << text;
  }
  for (const char* text :
       {"", " v=DMARC1; p=none", "v=dmarc1; p=none", "V=DMARC1; p=none", "v=DMARC10; p=none",
        "v=DMARC1 p=none", "p=none; v=DMARC1", "v=spf1 -all"}) {
    EXPECT_FALSE(IsDmarc(text)) << text;
  }
}

TEST(DmarcRecord, EveryTagIsRead) {
  const ParsedDmarc parsed = Parse(
      "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; psd=n; fo=1; "
      "rua=mailto:a@ex.test,mailto:b@ex.test!10m; ruf=mailto:c%2Cd@ex.test");
  ASSERT_TRUE(parsed.record);
  EXPECT_EQ(parsed.record->p, DmarcPolicy::kReject);
  EXPECT_EQ(parsed.record->sp, DmarcPolicy::kQuarantine);
  EXPECT_EQ(parsed.record->np, DmarcPolicy::kNone);
  EXPECT_EQ(parsed.record->adkim, Alignment::kStrict);
  EXPECT_EQ(parsed.record->aspf, Alignment::kRelaxed);
  EXPECT_EQ(parsed.record->psd, PublicSuffixFlag::kNo);
  EXPECT_THAT(parsed.record->rua, ElementsAre("mailto:a@ex.test", "mailto:b@ex.test"));
  EXPECT_THAT(parsed.record->ruf, ElementsAre("mailto:c,d@ex.test"));
  EXPECT_THAT(parsed.problems, IsEmpty());
}

TEST(DmarcRecord, DefaultsAreThoseOfTheRfc) {
  const ParsedDmarc parsed = Parse("v=DMARC1; p=none");
  ASSERT_TRUE(parsed.record);
  EXPECT_EQ(parsed.record->sp, std::nullopt);
  EXPECT_EQ(parsed.record->np, std::nullopt);
  EXPECT_EQ(parsed.record->adkim, Alignment::kRelaxed);
  EXPECT_EQ(parsed.record->aspf, Alignment::kRelaxed);
  EXPECT_EQ(parsed.record->psd, PublicSuffixFlag::kUnknown);
  EXPECT_FALSE(parsed.record->testing);
  EXPECT_EQ(parsed.record->pct, std::nullopt);
}

TEST(DmarcRecord, ValuesAreReadWithoutCase) {
  EXPECT_EQ(Parse("v=DMARC1; P=ReJect").record->p, DmarcPolicy::kReject);
  EXPECT_EQ(Parse("v=DMARC1; p=none; aspf=S").record->aspf, Alignment::kStrict);
}

TEST(DmarcRecord, WithoutAPolicyReportsMakeItNone) {
  const ParsedDmarc reports = Parse("v=DMARC1; rua=mailto:a@ex.test");
  ASSERT_TRUE(reports.record);
  EXPECT_EQ(reports.record->p, DmarcPolicy::kNone);
  EXPECT_THAT(reports.problems, HasId("dmarc.no_policy"));
  EXPECT_FALSE(Parse("v=DMARC1; sp=reject").record);
  EXPECT_FALSE(Parse("v=DMARC1; p=refuse").record);
  EXPECT_FALSE(Parse("v=DMARC1; rua=https://ex.test/").record);
}

TEST(DmarcRecord, OnlyAPctBelow100IsAMistake) {
  EXPECT_THAT(Parse("v=DMARC1; p=reject; pct=100").problems, IsEmpty());
  EXPECT_THAT(Parse("v=DMARC1; p=reject; pct=20").problems, HasId("dmarc.removed_tag"));
  EXPECT_THAT(Parse("v=DMARC1; p=reject; pct=200").problems, HasId("dmarc.bad_value"));
}

struct Mistake {
  const char* id;
  const char* text;
};

TEST(DmarcRecord, EachMistakeIsNamed) {
  for (const Mistake& mistake : {
           Mistake{"dmarc.bad_value", "v=DMARC1; p=none; sp=refuse"},
           Mistake{"dmarc.bad_value", "v=DMARC1; p=none; adkim=strict"},
           Mistake{"dmarc.bad_value", "v=DMARC1; p=none; t=yes"},
           Mistake{"dmarc.bad_value", "v=DMARC1; p=none; psd=maybe"},
           Mistake{"dmarc.duplicate_tag", "v=DMARC1; p=none; p=reject"},
           Mistake{"dmarc.unknown_tag", "v=DMARC1; p=none; policy=reject"},
           Mistake{"dmarc.removed_tag", "v=DMARC1; p=none; rf=afrf"},
           Mistake{"dmarc.removed_tag", "v=DMARC1; p=none; ri=3600"},
           Mistake{"dmarc.p_not_second", "v=DMARC1; sp=none; p=reject"},
           Mistake{"dmarc.syntax", "v=DMARC1; p=none; reject"},
           Mistake{"dmarc.bad_uri", "v=DMARC1; p=none; rua=dmarc@ex.test"},
           Mistake{"dmarc.too_many_uris",
                   "v=DMARC1; p=none; rua=mailto:a@x.test,mailto:b@x.test,mailto:c@x.test"},
           Mistake{"dmarc.testing", "v=DMARC1; p=reject; t=y"},
       }) {
    const ParsedDmarc parsed = Parse(mistake.text);
    EXPECT_TRUE(parsed.record) << mistake.text;
    EXPECT_THAT(parsed.problems, HasId(mistake.id)) << mistake.text;
  }
}

TEST(DmarcRecord, TheFirstOfTwoEqualTagsCounts) {
  EXPECT_EQ(Parse("v=DMARC1; p=quarantine; p=reject").record->p, DmarcPolicy::kQuarantine);
}

TEST(DmarcRecord, WhatAMessageQuotesIsPrintable) {
  for (const Problem& problem : Parse("v=DMARC1; p=none; \x1b[31mx=\x07; sp=\xff\x01").problems) {
    for (const unsigned char c : problem.message) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
}

}  // namespace
}  // namespace sendstep::mailauth
