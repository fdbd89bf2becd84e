#include "transport/mailauth/spf_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace sendstep::mailauth {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(SpfRecord, IsOneByItsVersionAndABlank) {
  for (const std::string txt : {"v=spf1", "v=spf1 ", "V=SPF1 -all"}) EXPECT_TRUE(IsSpf(txt)) << txt;
  for (const std::string txt : {"", "v=spf", "v=spf10", "v=spf1;", "v=spf1\t-all", " v=spf1 -all",
                                "\"v=spf1 -all\"", "spf2.0/pra -all"}) {
    EXPECT_FALSE(IsSpf(txt)) << txt;
  }
}

TEST(SpfRecord, IsMeantWhereBlanksOrQuotesSpoilIt) {
  for (const std::string txt :
       {" v=spf1 -all", "\"v=spf1 -all\"", "v=spf1;-all", "v=spf1\t-all", "v=spf1-all"}) {
    EXPECT_TRUE(LooksLikeSpf(txt)) << txt;
  }
  for (const std::string txt : {"v=spf1 -all", "v=spf10 -all", "v=DMARC1", "", "\""}) {
    EXPECT_FALSE(LooksLikeSpf(txt)) << txt;
  }
}

TEST(SpfRecord, HasItsTermsInOrder) {
  const SpfRecord record = ParseSpf(
      "v=spf1 +A:%{d}/24//64  -mx ?ip4:192.0.2.0/24 ~ip6:2001:db8::/32 ptr:example.com "
      "exists:%{i}.example.com include:_spf.example.com exp=why.example.com "
      "redirect=example.org x=y ALL ");
  ASSERT_THAT(record.faults, IsEmpty());
  ASSERT_THAT(record.mechanisms, SizeIs(8));
  const SpfTerm& a = record.mechanisms[0];
  EXPECT_EQ(a.kind, SpfKind::kA);
  EXPECT_EQ(a.text, "+A:%{d}/24//64");
  EXPECT_EQ(a.offset, 7u);
  EXPECT_EQ(a.domain, "%{d}");
  EXPECT_EQ(a.prefix4, 24u);
  EXPECT_EQ(a.prefix6, 64u);
  EXPECT_EQ(record.mechanisms[1].qualifier, '-');
  EXPECT_EQ(record.mechanisms[1].domain, "");
  EXPECT_EQ(record.mechanisms[2].network.to_string(), "192.0.2.0");
  EXPECT_EQ(record.mechanisms[3].prefix6, 32u);
  EXPECT_EQ(record.mechanisms[7].kind, SpfKind::kAll);
  EXPECT_EQ(record.redirect->domain, "example.org");
  EXPECT_EQ(record.exp->domain, "why.example.com");
  EXPECT_THAT(record.others, ElementsAre(Field(&SpfTerm::text, "x=y")));
  EXPECT_TRUE(record.has_all());
}

TEST(SpfRecord, EndsWithItsFirstAll) {
  const SpfRecord record = ParseSpf("v=spf1 mx ~all a -all");
  EXPECT_EQ(record.live_mechanisms(), 2u);
  EXPECT_FALSE(ParseSpf("v=spf1 mx").has_all());
  EXPECT_EQ(ParseSpf("v=spf1").live_mechanisms(), 0u);
}

// ---- Faults: the record, a line that points at the fault, and a part of what is said of it.

struct Faulty {
  std::string record, pointer, message;
};

void PrintTo(const Faulty& faulty, std::ostream* out) { *out << faulty.record; }

class SpfFaultTest : public ::testing::TestWithParam<Faulty> {};

TEST_P(SpfFaultTest, IsFoundAtItsPlace) {
  const SpfRecord record = ParseSpf(GetParam().record);
  ASSERT_THAT(record.faults, SizeIs(1));
  const std::string shown = PointAt(GetParam().record, record.faults.front());
  EXPECT_EQ(shown.substr(shown.find('\n') + 1), GetParam().pointer) << shown;
  EXPECT_THAT(record.faults.front().message, HasSubstr(GetParam().message)) << shown;
}

INSTANTIATE_TEST_SUITE_P(
    Glued, SpfFaultTest,
    ::testing::ValuesIn(std::vector<Faulty>{
        {"v=spf1 ip4:192.0.2.7~all",  //
         "                    ^^^^", "blank is missing"},
        {"v=spf1 ip4:192.0.2.0/24-all", "                       ^^^^", "blank is missing"},
        {"v=spf1 include:example.com~all", "                          ^^^^", "blank is missing"},
        {"v=spf1 ip4:192.0.2.7ip4:192.0.2.8", "                    ^^^^^^^^^^^^^",
         "blank is missing"},
        {"v=spf1 ip6:2001:db8::1?ip4:192.0.2.8", "                      ^^^^^^^^^^^^^^",
         "blank is missing"},
        {"v=spf1 mx-all",  //
         "         ^^^^", "blank is missing"}}));

INSTANTIATE_TEST_SUITE_P(Names, SpfFaultTest,
                         ::testing::ValuesIn(std::vector<Faulty>{
                             {"v=spf1 moo -all", "       ^^^", "no mechanism \"moo\""},
                             {"v=spf1 ip:192.0.2.1", "       ^^", "write ip4: or ip6:"},
                             {"v=spf1 ipv4:192.0.2.1", "       ^^^^", "write ip4: or ip6:"},
                             {"v=spf1 192.0.2.1 -all", "       ^^^^^^^^^", "write ip4:192.0.2.1"},
                             {"v=spf1 redirect:example.com", "       ^^^^^^^^", "write redirect="},
                             {"v=spf1 - all", "       ^", "name is missing"},
                             {"v=spf1 -redirect=example.com", "       ^", "no qualifier"},
                             {"v=spf1 1up=x", "       ^^^", "begins with a letter"},
                             {"v=spf1 =all", "       ^", "begins with a letter"},
                             {"v=spf1 x/y=z", "       ^", "no mechanism"},
                             {"v=spf1 --all", "        ^^^^", "blank is missing"}}));

INSTANTIATE_TEST_SUITE_P(
    Networks, SpfFaultTest,
    ::testing::ValuesIn(std::vector<Faulty>{
        {"v=spf1 ip4", "       ^^^", "lacks its address"},
        {"v=spf1 ip4:", "       ^^^^", "not an IPv4 address"},
        {"v=spf1 ip4:2001:db8::1", "       ^^^^", "write ip6: instead"},
        {"v=spf1 ip6:192.0.2.1", "       ^^^^", "write ip4: instead"},
        {"v=spf1 ip4:192.0.2", "           ^^^^^^^", "four numbers"},
        {"v=spf1 ip4:192.0.2.01", "           ^^^^^^^^^^", "four numbers"},
        {"v=spf1 ip4:192.0.2.256", "           ^^^^^^^^^^^", "four numbers"},
        {"v=spf1 ip4:192.0.2.1:25", "           ^^^^^^^^^^^^", "four numbers"},
        {"v=spf1 ip4:mail.example.com", "           ^^^^^^^^^^^^^^^^", "four numbers"},
        {"v=spf1 ip6:2001:db8", "           ^^^^^^^^", "not an IPv6"},
        {"v=spf1 ip6:fe80::1%eth0", "           ^^^^^^^^^^^^", "not an IPv6"},
        {"v=spf1 ip4:192.0.2.0/33", "                     ^^", "0 to 32"},
        {"v=spf1 ip4:192.0.2.0/", "                     ^", "0 to 32"},
        {"v=spf1 ip4:192.0.2.0/024", "                     ^^^", "leading zero"},
        {"v=spf1 ip4:192.0.2.0//24", "                     ^^^", "0 to 32"},
        {"v=spf1 ip6:2001:db8::/129", "                      ^^^", "0 to 128"},
        {"v=spf1 ip6:2001:db8::/99999999999", "                      ^^^^^^^^^^^", "0 to 128"},
        {"v=spf1 a/33", "         ^^", "0 to 32"},
        {"v=spf1 a/-1", "         ^^", "0 to 32"},
        {"v=spf1 a//129", "          ^^^", "0 to 128"},
        {"v=spf1 mx/24/64", "            ^^^", "two slashes"},
        {"v=spf1 a:example.com/24/64", "                       ^^^", "two slashes"}}));

INSTANTIATE_TEST_SUITE_P(
    Domains, SpfFaultTest,
    ::testing::ValuesIn(std::vector<Faulty>{
        {"v=spf1 a:", "       ^^", "domain is missing"},
        {"v=spf1 include", "       ^^^^^^^", "lacks its domain"},
        {"v=spf1 include: -all", "       ^^^^^^^^", "domain is missing"},
        {"v=spf1 exists", "       ^^^^^^", "lacks its domain"},
        {"v=spf1 redirect=", "       ^^^^^^^^^", "domain is missing"},
        {"v=spf1 exp=", "       ^^^^", "domain is missing"},
        {"v=spf1 a:192.0.2.1", "         ^^^^^^^^^", "written ip4:"},
        {"v=spf1 a:192.0.2.0/24", "         ^^^^^^^^^", "written ip4:"},
        {"v=spf1 a:com", "         ^^^", "has a dot"},
        {"v=spf1 include:example.com/24", "                          ^^^", "no prefix length"},
        {"v=spf1 ptr/24", "          ^^^", "no prefix length"},
        {"v=spf1 all:example.com", "          ^^^^^^^^^^^^", "nothing behind"},
        {"v=spf1 -all/8", "           ^^", "nothing behind"},
        {"v=spf1 all.", "       ^^^^", "no mechanism"},
        {"v=spf1 a:example.com:25", "                 ^^^^^^", "cannot end"},
        {"v=spf1 exists:%(ir).example.com", "              ^^", "%{…}"},
        {"v=spf1 a:%{z}.example.com", "         ^^^^", "no macro of this letter"},
        {"v=spf1 exp=%{r}.example.com", "           ^^^^", "explanations only"},
        {"v=spf1 x=100%", "            ^", "%{…}"},
        {"v=spf1 x=%{c}", "         ^^^^", "explanations only"},
        {"v=spf1 exp=a.com exp=b.com", "                 ^^^^^^^^^", "once"},
        {"v=spf1 redirect=a.com redirect=b.com", "                      ^^^^^^^^^^^^^^", "once"}}));

INSTANTIATE_TEST_SUITE_P(Bytes, SpfFaultTest,
                         ::testing::ValuesIn(std::vector<Faulty>{
                             {"v=spf1 a\tmx", "        ^", "control character"},
                             {std::string("v=spf1 a:b.com\0", 15), "              ^",
                              "control character"},
                             {"v=spf1 a:b\xc3\xbc.com", "          ^", "not ASCII"},
                             {"v=spf1 -all\r\n", "           ^", "control character"},
                             {"v=spf1 \x7f", "       ^", "control character"}}));

TEST(SpfRecord, KeepsWhatIsRightBesideAFault) {
  const SpfRecord record = ParseSpf("v=spf1 mx moo ip4:1.2.3 include:_spf.example.com -all");
  EXPECT_THAT(record.faults, SizeIs(2));
  EXPECT_THAT(record.mechanisms, SizeIs(3));
}

TEST(SpfRecord, Holds16FaultsAtMost) {
  std::string record = "v=spf1";
  for (int i = 0; i < 20000; ++i) record += " x";
  EXPECT_THAT(ParseSpf(record).faults, SizeIs(16));
}

TEST(SpfRecord, LongOnesAreCutAroundTheFault) {
  const std::string record = "v=spf1 " + std::string(100, ' ') + "moo" + std::string(200, ' ');
  const std::string shown = PointAt(record, ParseSpf(record).faults.front(), 20);
  EXPECT_EQ(shown, std::string(10, ' ') + "moo" + std::string(7, ' ') + "\n" +
                       std::string(10, ' ') + "^^^");
}

TEST(SpfRecord, AFaultIsShownWithoutControlCharacters) {
  const std::string record = "v=spf1 \x1b[31m";
  EXPECT_EQ(PointAt(record, ParseSpf(record).faults.front()), "v=spf1 ?[31m\n       ^");
}

TEST(SpfQuoted, IsVisibleAsciiAndCut) {
  EXPECT_EQ(Quoted("a\n\xff b"), "\"a\\x0a\\xff b\"");
  EXPECT_EQ(Quoted("a \"b\" \\"), "\"a \\\"b\\\" \\\\\"");
  EXPECT_EQ(Quoted(std::string(100, 'x')), "\"" + std::string(80, 'x') + "…\"");
}

}  // namespace
}  // namespace sendstep::mailauth
