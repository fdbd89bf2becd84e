#include "transport/mailauth/spf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "tests/unit/transport/mailauth/spf_zone.h"

namespace sendstep::mailauth {
namespace {

using testing::AddZone;
using testing::AskZone;
using testing::FakeLookup;
using ::testing::HasSubstr;
using ::testing::SizeIs;

SpfVerdict Check(FakeLookup& zone, const std::string& ip, const std::string& sender,
                 const std::string& helo = "helo.example", size_t queries = 200) {
  SpfQuestion question;
  question.ip = boost::asio::ip::make_address(ip);
  question.sender = sender;
  question.helo = helo;
  return AskZone<SpfVerdict>(
      zone, [&](dns::Inquiry& inquiry) { return CheckHost(inquiry, question); }, queries);
}

// ---- spf_cases.txt

struct Case {
  std::string fact, ip, sender, helo = "helo.example", result;
  bool explained = false;
  std::string explanation;
  std::string zone;
};

void PrintTo(const Case& test, std::ostream* out) {
  *out << test.ip << ' ' << test.sender << " = " << test.result;
}

// "Fact: ADDRESS SENDER [HELO] = RESULT [\"…\"]"
Case ReadCase(const std::string& line, const std::string& zone) {
  Case test;
  test.zone = zone;
  const size_t colon = line.find(':');
  const size_t equals = line.find(" = ");
  test.fact = line.substr(0, colon);
  std::istringstream question(line.substr(colon + 1, equals - colon - 1));
  question >> test.ip >> test.sender;
  if (std::string helo; question >> helo) test.helo = helo;
  if (test.sender == "<>") test.sender.clear();
  test.result = line.substr(equals + 3);
  const size_t quote = test.result.find(" \"");
  if (quote == std::string::npos) return test;
  test.explained = true;
  test.explanation = test.result.substr(quote + 2, test.result.size() - quote - 3);
  test.result.resize(quote);
  return test;
}

std::vector<Case> ReadCases() {
  std::ifstream in(SENDSTEP_SOURCE_DIR "/tests/unit/transport/mailauth/spf_cases.txt");
  std::vector<Case> cases;
  std::string zone;
  size_t first = 0;  // of the scenario
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("== ")) {
      zone.clear();
      first = cases.size();
    } else if (line.starts_with("> ")) {
      cases.push_back(ReadCase(line.substr(2), {}));
    } else if (!line.starts_with('#')) {
      zone += line + "\n";
    }
    for (size_t i = first; i < cases.size(); ++i) cases[i].zone = zone;
  }
  return cases;
}

class SpfCaseTest : public ::testing::TestWithParam<Case> {};

TEST_P(SpfCaseTest, Holds) {
  FakeLookup zone;
  AddZone(GetParam().zone, zone);
  const SpfVerdict verdict = Check(zone, GetParam().ip, GetParam().sender, GetParam().helo);
  EXPECT_EQ(SpfResultName(verdict.result), GetParam().result) << verdict.reason;
  EXPECT_NE(verdict.reason, "");
  if (GetParam().explained) {
    EXPECT_EQ(verdict.explanation, GetParam().explanation);
  }
}

INSTANTIATE_TEST_SUITE_P(Text, SpfCaseTest, ::testing::ValuesIn(ReadCases()),
                         [](const auto& info) { return info.param.fact; });

TEST(SpfCases, AreRead) { EXPECT_THAT(ReadCases(), SizeIs(::testing::Ge(100u))); }

// ---- What a verdict says

TEST(SpfVerdict, NamesTheTermThatMatchedAndTheIncludesOnTheWay) {
  FakeLookup zone;
  AddZone(R"(
      example.com TXT v=spf1 include:_spf.example.net -all
      _spf.example.net TXT v=spf1 ip4:192.0.2.0/24 -all)",
          zone);
  EXPECT_EQ(Check(zone, "192.0.2.1", "user@example.com").reason,
            "\"include:_spf.example.net\" in the record of example.com, by \"ip4:192.0.2.0/24\" in "
            "the record of _spf.example.net");
}

TEST(SpfVerdict, NamesTheFaultAndWhereItIs) {
  FakeLookup zone;
  AddZone("example.com TXT v=spf1 ip4:192.0.2.7~all", zone);
  EXPECT_EQ(Check(zone, "192.0.2.1", "user@example.com").reason,
            "the record of example.com is wrong at byte 21, \"~all\": a blank is missing in front "
            "of \"~all\"");
}

TEST(SpfVerdict, CountsLookupsAndVoidLookups) {
  FakeLookup zone;
  AddZone(R"(
      example.com TXT v=spf1 a:no.example.com include:_spf.example.net mx -all
      example.com MX 10 mail.example.com
      mail.example.com A 198.51.100.1
      _spf.example.net TXT v=spf1 a:no.example.net ?all)",
          zone);
  const SpfVerdict verdict = Check(zone, "192.0.2.1", "user@example.com");
  EXPECT_EQ(SpfResultName(verdict.result), "fail");
  EXPECT_EQ(verdict.lookups, 4u);
  EXPECT_EQ(verdict.void_lookups, 2u);
}

TEST(SpfVerdict, SaysThatTheBudgetIsSpentAsATempError) {
  FakeLookup zone;
  AddZone(R"(
      example.com TXT v=spf1 include:_spf.example.net -all
      _spf.example.net TXT v=spf1 a:mail.example.net -all
      mail.example.net A 192.0.2.1)",
          zone);
  const SpfVerdict verdict = Check(zone, "192.0.2.1", "user@example.com", "helo.example", 2);
  EXPECT_EQ(SpfResultName(verdict.result), "temperror");
  EXPECT_THAT(verdict.reason, HasSubstr("mail.example.net"));
}

TEST(SpfVerdict, IsNoneForARecordBehindABlank) {
  FakeLookup zone;
  zone.Txt("example.com", " v=spf1 -all");
  EXPECT_EQ(SpfResultName(Check(zone, "192.0.2.1", "user@example.com").result), "none");
}

TEST(SpfVerdict, IsAPermErrorForControlCharactersAndBytesBeyondAscii) {
  for (const std::string text : {"v=spf1 a\r-all", "v=spf1 \xffmx -all", "v=spf1 a:\xc3\xa9.com"}) {
    FakeLookup zone;
    zone.Txt("example.com", text);
    EXPECT_EQ(SpfResultName(Check(zone, "192.0.2.1", "user@example.com").result), "permerror")
        << text;
  }
  FakeLookup zone;
  zone.Txt("example.com", std::string("v=spf1 a:example.com\0 -all", 26));
  EXPECT_EQ(SpfResultName(Check(zone, "192.0.2.1", "user@example.com").result), "permerror");
}

TEST(SpfVerdict, HoldsAnExplanationOf1000BytesAtMost) {
  FakeLookup zone;
  zone.Txt("example.com", "v=spf1 -all exp=why.example.com");
  zone.Txt("why.example.com", std::string(5000, 'x'));
  EXPECT_THAT(Check(zone, "192.0.2.1", "user@example.com").explanation, SizeIs(1000));
}

TEST(SpfVerdict, LeavesAnIPv6ZoneAside) {
  FakeLookup zone;
  zone.Txt("example.com", "v=spf1 ip6:fe80::1 -all exp=why.example.com");
  zone.Txt("why.example.com", "%{c}");
  EXPECT_EQ(SpfResultName(Check(zone, "fe80::1%1", "user@example.com").result), "pass");
  EXPECT_EQ(Check(zone, "fe80::2%1", "user@example.com").explanation, "fe80::2");
}

// "%_" is a blank, which no line of spf_cases.txt can have in a name.
TEST(SpfVerdict, AsksForNamesWithBlanksAndPercentSigns) {
  FakeLookup zone;
  zone.Txt("example.com", "v=spf1 a:a%%b%_c%-d.example.com -all");
  zone.Address("a%b c%20d.example.com", "192.0.2.1");
  EXPECT_EQ(SpfResultName(Check(zone, "192.0.2.1", "user@example.com").result), "pass");
}

TEST(SpfVerdict, OfARecordOf60000TermsComesWithoutMoreThanTheLookupsAllowed) {
  FakeLookup zone;
  std::string record = "v=spf1";
  for (int i = 0; i < 60000 / 2; ++i) record += " a";
  zone.Txt("example.com", record);
  zone.Address("example.com", "198.51.100.1");
  const SpfVerdict verdict = Check(zone, "192.0.2.1", "user@example.com");
  EXPECT_EQ(SpfResultName(verdict.result), "permerror");
  EXPECT_THAT(zone.asked(), SizeIs(2));
}

}  // namespace
}  // namespace sendstep::mailauth
