#include "transport/mailauth/spf_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/transport/mailauth/spf_zone.h"

namespace sendstep::mailauth {
namespace {

using testing::AddZone;
using ::testing::AllOf;
using testing::AskZone;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeLookup;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

SpfWalk Walk(FakeLookup& zone, const std::string& domain = "example.com", size_t queries = 200) {
  return AskZone<SpfWalk>(
      zone, [&](dns::Inquiry& inquiry) { return WalkSpf(inquiry, domain); }, queries);
}

SpfWalk Walk(const std::string& text, const std::string& domain = "example.com") {
  FakeLookup zone;
  AddZone(text, zone);
  return Walk(zone, domain);
}

std::vector<std::string> Ids(const SpfWalk& walk) {
  std::vector<std::string> ids;
  for (const Problem& problem : walk.problems) ids.push_back(problem.id);
  return ids;
}

auto Says(const std::string& id, const std::string& name, const std::string& message) {
  return Contains(AllOf(Field(&Problem::id, id), Field(&Problem::name, name),
                        Field(&Problem::message, HasSubstr(message))));
}

// The tree as lines: indented, "domain lookups".
std::string Tree(const SpfNode& node, const std::string& indent = "") {
  std::string tree = indent + node.domain + " " + std::to_string(node.lookups);
  if (node.dead) tree += " dead";
  if (node.broken) tree += " broken";
  tree += "\n";
  for (const SpfNode& child : node.children) tree += Tree(child, indent + "  ");
  return tree;
}

constexpr char kProviders[] = R"(
    example.com TXT v=spf1 a mx include:_spf.big.example include:mail.small.example ~all
    example.com A 192.0.2.1
    example.com MX 10 mail.example.com
    mail.example.com A 192.0.2.2
    _spf.big.example TXT v=spf1 include:_n1.big.example include:_n2.big.example ~all
    _n1.big.example TXT v=spf1 ip4:198.51.100.0/24 ~all
    _n2.big.example TXT v=spf1 ip4:203.0.113.0/24 ~all
    mail.small.example TXT v=spf1 a:out.small.example -all
    out.small.example A 198.51.100.9)";

TEST(SpfWalk, CountsLookupsOfEachBranch) {
  const SpfWalk walk = Walk(kProviders);
  EXPECT_EQ(Tree(walk.root),
            "example.com 7\n"
            "  _spf.big.example 2\n"
            "    _n1.big.example 0\n"
            "    _n2.big.example 0\n"
            "  mail.small.example 1\n");
  EXPECT_EQ(walk.lookups, 7u);
  EXPECT_EQ(walk.void_lookups, 0u);
  EXPECT_TRUE(walk.found);
  EXPECT_TRUE(walk.determined);
  EXPECT_THAT(Ids(walk), IsEmpty());
}

TEST(SpfWalk, KnowsWhatHasBeenSpentBeforeEachBranch) {
  const SpfWalk walk = Walk(kProviders);
  EXPECT_EQ(walk.root.children[0].spent, 3u);
  EXPECT_EQ(walk.root.children[0].children[1].spent, 5u);
  EXPECT_EQ(walk.root.children[1].spent, 6u);
  EXPECT_EQ(walk.root.children[1].via, "include:mail.small.example");
  EXPECT_EQ(walk.root.children[1].record, "v=spf1 a:out.small.example -all");
}

TEST(SpfWalk, AsksForARecordOnce) {
  FakeLookup zone;
  AddZone(R"(
      example.com TXT v=spf1 include:a.example.com include:b.example.com -all
      a.example.com TXT v=spf1 include:c.example.com ?all
      b.example.com TXT v=spf1 include:c.example.com ?all
      c.example.com TXT v=spf1 ip4:192.0.2.1 ?all)",
          zone);
  EXPECT_EQ(Walk(zone).lookups, 4u);
  EXPECT_THAT(zone.asked(), SizeIs(4));
}

TEST(SpfWalk, FollowsMacrosOfTheDomain) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 include:_spf.%{d} -all
      _spf.example.com TXT v=spf1 include:%{d2}.%{o}.example.net ?all
      example.com.example.com.example.net TXT v=spf1 ip4:192.0.2.1 ?all)");
  EXPECT_EQ(Tree(walk.root),
            "example.com 2\n"
            "  _spf.example.com 1\n"
            "    example.com.example.com.example.net 0\n");
}

TEST(SpfWalk, CountsButDoesNotFollowMacrosOfTheSender) {
  FakeLookup zone;
  AddZone("example.com TXT v=spf1 include:%{i}.example.com exists:%{l}.example.com -all", zone);
  const SpfWalk walk = Walk(zone);
  EXPECT_EQ(Tree(walk.root), "example.com 2\n  %{i}.example.com 0\n");
  EXPECT_THAT(zone.asked(), SizeIs(1));
  EXPECT_TRUE(walk.determined);
  EXPECT_THAT(Ids(walk), IsEmpty());
}

TEST(SpfWalk, AnyCaseAndALastDotIsTheSameDomain) {
  EXPECT_TRUE(Walk("example.com TXT v=spf1 -all", "Example.COM.").found);
}

// ---- S1 to S3: the record itself

TEST(SpfWalk, ADomainWithoutRecordMissesOne) {
  const SpfWalk walk = Walk("example.com TXT something else");
  EXPECT_FALSE(walk.found);
  EXPECT_TRUE(walk.determined);
  EXPECT_THAT(walk.problems, ElementsAre(AllOf(Field(&Problem::id, "spf.missing"),
                                               Field(&Problem::severity, Severity::kError),
                                               Field(&Problem::what_to_do, HasSubstr("~all")))));
}

TEST(SpfWalk, ADomainThatDoesNotExistIsSaidNotTo) {
  EXPECT_THAT(Walk("").problems, Says("spf.missing", "example.com", "does not exist"));
}

TEST(SpfWalk, ANameThatCanHaveNoRecordIsSaidNotTo) {
  EXPECT_THAT(Walk("", "localhost").problems,
              Says("spf.missing", "localhost", "can have none: the domain has one label only"));
}

TEST(SpfWalk, ARecordBehindABlankIsShownToBeNone) {
  FakeLookup zone;
  zone.Txt("example.com", " v=spf1 -all");
  EXPECT_THAT(Walk(zone).problems, Says("spf.missing", "example.com", "\" v=spf1 -all\""));
}

TEST(SpfWalk, SenderIdIsNoSpf) {
  EXPECT_THAT(Ids(Walk("example.com TXT spf2.0/pra -all")),
              UnorderedElementsAre("spf.missing", "spf.sender_id"));
}

TEST(SpfWalk, SeveralRecordsAreNone) {
  const SpfWalk walk = Walk("example.com TXT v=spf1 -all\nexample.com TXT v=spf1 mx -all");
  EXPECT_FALSE(walk.found);
  EXPECT_THAT(walk.problems, Says("spf.several", "example.com", "2 SPF records"));
  EXPECT_TRUE(walk.root.broken);
}

TEST(SpfWalk, ASyntaxErrorIsShownAtItsPlaceAndTheRestIsFollowed) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 include:a.example.com ip4:192.0.2.7~all
      a.example.com TXT v=spf1 ip4:192.0.2.1 ?all)");
  EXPECT_FALSE(walk.found);
  EXPECT_EQ(Tree(walk.root), "example.com 1 broken\n  a.example.com 0\n");
  EXPECT_THAT(walk.problems,
              ElementsAre(AllOf(Field(&Problem::id, "spf.syntax"),
                                Field(&Problem::message,
                                      "At byte 43, \"~all\": a blank is missing in front of "
                                      "\"~all\"."))));
  ASSERT_THAT(walk.root.faults, SizeIs(1));
  EXPECT_EQ(walk.root.faults[0].offset, 42u);
}

TEST(SpfWalk, ASyntaxErrorOfAnIncludeHasItsName) {
  EXPECT_THAT(Walk(R"(
      example.com TXT v=spf1 include:a.example.com -all
      a.example.com TXT v=spf1 moo)")
                  .problems,
              Says("spf.syntax", "a.example.com", "\"moo\""));
}

TEST(SpfWalk, MechanismsWrittenAsModifiersMeanNothing) {
  const SpfWalk walk =
      Walk("example.com TXT v=spf1 include=a.example.com ip4=192.0.2.1 v=spf1 ra=x -all");
  EXPECT_THAT(Ids(walk),
              ElementsAre("spf.ignored_modifier", "spf.ignored_modifier", "spf.ignored_modifier"));
  EXPECT_TRUE(walk.found);
}

// ---- S4, S5: limits

TEST(SpfWalk, MoreThanTenLookupsAreShownByBranch) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 mx include:a.example.com include:b.example.com -all
      example.com MX 10 example.com
      example.com A 192.0.2.1
      a.example.com TXT v=spf1 a a a a a ?all
      a.example.com A 192.0.2.1
      b.example.com TXT v=spf1 a a a ?all
      b.example.com A 192.0.2.1)");
  EXPECT_EQ(walk.lookups, 11u);
  EXPECT_THAT(walk.problems,
              Says("spf.too_many_lookups", "example.com",
                   "11 DNS lookups; receivers stop at 10 and treat it as broken: mx 1, "
                   "include:a.example.com 6, include:b.example.com 4."));
}

TEST(SpfWalk, TenLookupsAreAllowed) {
  const SpfWalk walk =
      Walk("example.com TXT v=spf1 a a a a a a a a a a -all\nexample.com A 192.0.2.1");
  EXPECT_EQ(walk.lookups, 10u);
  EXPECT_THAT(Ids(walk), IsEmpty());
}

TEST(SpfWalk, ExplanationsCostNoLookup) {
  EXPECT_EQ(Walk("example.com TXT v=spf1 -all exp=why.example.com").lookups, 0u);
}

TEST(SpfWalk, MoreThanTwoVoidLookupsAreTooMany) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 a:no1.example.com mx:no2.example.com mx -all
      example.com MX 10 no3.example.com)");
  EXPECT_EQ(walk.void_lookups, 3u);
  EXPECT_THAT(walk.problems,
              Says("spf.too_many_voids", "example.com",
                   "3 lookups of the record find nothing; receivers stop at 2 and treat it as "
                   "broken: no1.example.com, no2.example.com, no3.example.com."));
}

TEST(SpfWalk, ANameWithOneKindOfAddressIsNotVoid) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 a a:six.example.com mx -all
      example.com A 192.0.2.1
      example.com MX 10 six.example.com
      six.example.com AAAA 2001:db8::1)");
  EXPECT_EQ(walk.void_lookups, 0u);
}

TEST(SpfWalk, ExistsAsksForIPv4Only) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 exists:six.example.com -all
      six.example.com AAAA 2001:db8::1)");
  EXPECT_EQ(walk.void_lookups, 1u);
}

TEST(SpfWalk, ANullMxIsNoVoidLookup) {
  EXPECT_EQ(Walk("example.com TXT v=spf1 mx -all\nexample.com MX 0 .").void_lookups, 0u);
}

TEST(SpfWalk, ElevenMxHostsAreTooMany) {
  FakeLookup zone;
  AddZone("example.com TXT v=spf1 mx -all", zone);
  for (uint16_t i = 0; i < 11; ++i) zone.Mx("example.com", i, "mail.example.com");
  EXPECT_THAT(Walk(zone).problems, Says("spf.too_many_mx", "example.com", "11 MX records"));
}

TEST(SpfWalk, VoidLookupsBehindTheTenthLookupDoNotCount) {
  const SpfWalk walk = Walk(
      "example.com TXT v=spf1 a a a a a a a a a a a:no1.example.com a:no2.example.com "
      "a:no3.example.com -all\nexample.com A 192.0.2.1");
  EXPECT_EQ(walk.void_lookups, 0u);
}

// ---- S6: includes and redirects

TEST(SpfWalk, ALoopIsCutWhereItCloses) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 include:a.example.com -all
      a.example.com TXT v=spf1 redirect=Example.com)");
  EXPECT_EQ(Tree(walk.root),
            "example.com 2\n"
            "  a.example.com 1\n"
            "    example.com 0 broken\n");
  EXPECT_THAT(walk.problems, Says("spf.loop", "a.example.com", "\"redirect=Example.com\""));
}

TEST(SpfWalk, AnIncludeWithoutRecordBreaksTheRecord) {
  const SpfWalk walk = Walk("example.com TXT v=spf1 include:gone.example.net -all");
  EXPECT_THAT(walk.problems, Says("spf.include_without_record", "example.com",
                                  "\"include:gone.example.net\": gone.example.net does not exist"));
  EXPECT_TRUE(walk.root.children[0].broken);
  EXPECT_TRUE(walk.found);
}

TEST(SpfWalk, TwoIncludesInOneTermAreToldApart) {
  const SpfWalk walk =
      Walk("example.com TXT v=spf1 include:a.example.cominclude:b.example.com -all");
  EXPECT_THAT(walk.problems,
              Contains(AllOf(Field(&Problem::id, "spf.include_without_record"),
                             Field(&Problem::what_to_do,
                                   "Put a blank in front of \"include:b.example.com\"."))));
}

TEST(SpfWalk, TermsBehindAllAreDeadAndNotFollowed) {
  FakeLookup zone;
  AddZone(R"(
      example.com TXT v=spf1 mx ~all include:a.example.com a
      example.com MX 10 mail.example.com
      mail.example.com A 192.0.2.1
      a.example.com TXT v=spf1 -all)",
          zone);
  const SpfWalk walk = Walk(zone);
  EXPECT_EQ(Tree(walk.root), "example.com 1\n  a.example.com 0 dead\n");
  EXPECT_THAT(walk.problems,
              Says("spf.dead_terms", "example.com", "\"include:a.example.com\" first"));
  EXPECT_THAT(zone.asked(),
              Not(Contains(std::pair(std::string("a.example.com"), dns::RecordType::kTxt))));
}

TEST(SpfWalk, ARedirectBesideAllIsIgnored) {
  const SpfWalk walk = Walk("example.com TXT v=spf1 redirect=_spf.example.com -all");
  EXPECT_EQ(Tree(walk.root), "example.com 0\n  _spf.example.com 0 dead\n");
  EXPECT_THAT(Ids(walk), ElementsAre("spf.redirect_ignored"));
}

TEST(SpfWalk, Follows100RecordsAtMost) {
  FakeLookup zone;
  for (int level = 0; level < 5; ++level) {
    std::string record = "v=spf1";
    for (int i = 0; i < 10; ++i)
      record += " include:l" + std::to_string(level + 1) + ".example.com";
    zone.Txt("l" + std::to_string(level) + ".example.com", record + " -all");
  }
  zone.Txt("l5.example.com", "v=spf1 -all");
  const SpfWalk walk = Walk(zone, "l0.example.com");
  EXPECT_THAT(walk.problems, Says("spf.too_many_lookups", "l0.example.com", "at least"));
}

// ---- S7: what becomes of all other hosts, and form

TEST(SpfWalk, AllThatPassesIsShown) {
  for (const std::string end : {"all", "+all", "ip4:192.0.2.1/0 -all", "ip6:::/0 -all"}) {
    EXPECT_THAT(Ids(Walk("example.com TXT v=spf1 " + end)), ElementsAre("spf.all_pass")) << end;
  }
}

TEST(SpfWalk, AnIncludedAllThatPassesIsShownUnlessItIsNegated) {
  const std::string zone = "\na.example.com TXT v=spf1 -ip4:192.0.2.1 +all";
  EXPECT_THAT(Walk("example.com TXT v=spf1 include:a.example.com -all" + zone).problems,
              Says("spf.all_pass", "a.example.com", "send for example.com"));
  EXPECT_THAT(Ids(Walk("example.com TXT v=spf1 -include:a.example.com ~all" + zone)), IsEmpty());
}

TEST(SpfWalk, ARecordWithoutAllIsShownUnlessItIsOnlyIncluded) {
  EXPECT_THAT(Ids(Walk("example.com TXT v=spf1 ip4:192.0.2.1")), ElementsAre("spf.no_all"));
  EXPECT_THAT(Ids(Walk("example.com TXT v=spf1 include:a.example.com -all\n"
                       "a.example.com TXT v=spf1 ip4:192.0.2.1")),
              IsEmpty());
  EXPECT_THAT(Walk("example.com TXT v=spf1 redirect=a.example.com\n"
                   "a.example.com TXT v=spf1 ip4:192.0.2.1")
                  .problems,
              Says("spf.no_all", "a.example.com", "without all"));
}

TEST(SpfWalk, ANeutralAllIsShown) {
  EXPECT_THAT(Ids(Walk("example.com TXT v=spf1 ?all")), ElementsAre("spf.neutral_all"));
}

TEST(SpfWalk, PtrIsShown) {
  EXPECT_THAT(Ids(Walk("example.com TXT v=spf1 ptr -all")), ElementsAre("spf.ptr"));
}

TEST(SpfWalk, LongAnswersAreShownInTwoSteps) {
  const auto severity = [](size_t bytes) {
    FakeLookup zone;
    zone.Txt("example.com", "v=spf1 -all");
    zone.Txt("example.com", std::string(bytes - 11 - 11, 'x'));
    const SpfWalk walk = Walk(zone);
    return walk.problems.empty() ? -1 : static_cast<int>(walk.problems.front().severity);
  };
  EXPECT_EQ(severity(450), -1);
  EXPECT_EQ(severity(451), static_cast<int>(Severity::kInfo));
  EXPECT_EQ(severity(513), static_cast<int>(Severity::kWarning));
}

TEST(SpfWalk, LongAnswersOfOthersAreTheirBusiness) {
  FakeLookup zone;
  zone.Txt("example.com", "v=spf1 include:example.net -all");
  zone.Txt("example.net", "v=spf1 -all");
  zone.Txt("example.net", std::string(600, 'x'));
  EXPECT_THAT(Ids(Walk(zone)), IsEmpty());
}

// ---- What DNS does not answer

TEST(SpfWalk, AnUnansweredQuestionLeavesItUndetermined) {
  const SpfWalk walk = Walk(R"(
      example.com TXT v=spf1 include:a.example.com include:b.example.com mx -all
      a.example.com SERVFAIL
      b.example.com TIMEOUT
      example.com MX 10 down.example.com
      down.example.com SERVFAIL)");
  EXPECT_TRUE(walk.found);
  EXPECT_FALSE(walk.determined);
  EXPECT_EQ(walk.void_lookups, 0u);
  EXPECT_THAT(walk.problems,
              ElementsAre(AllOf(Field(&Problem::id, "spf.undetermined"),
                                Field(&Problem::message, HasSubstr("first \"a.example.com\"")))));
}

TEST(SpfWalk, ASpentBudgetLeavesItUndetermined) {
  FakeLookup zone;
  AddZone(kProviders, zone);
  const SpfWalk walk = Walk(zone, "example.com", 3);
  EXPECT_FALSE(walk.determined);
  EXPECT_THAT(Ids(walk), ElementsAre("spf.undetermined"));
}

TEST(SpfWalk, ProblemsOfHostileRecordsAreLimited) {
  FakeLookup zone;
  std::string record = "v=spf1";
  for (int i = 0; i < 5000; ++i) record += " ip4=x mx";
  zone.Txt("example.com", record);
  const SpfWalk walk = Walk(zone);
  EXPECT_THAT(walk.problems, SizeIs(::testing::Le(53u)));
  EXPECT_THAT(Ids(walk), Contains("spf.too_many_lookups"));
}

// ---- S8

TEST(SpfReaches, WhatItIncludesAtAnyDepth) {
  const SpfWalk walk = Walk(kProviders);
  EXPECT_TRUE(ReachesSpf(walk, "_spf.big.example"));
  EXPECT_TRUE(ReachesSpf(walk, "_N2.big.example."));
  EXPECT_TRUE(ReachesSpf(walk, "mail.small.example"));
  EXPECT_TRUE(ReachesSpf(walk, "example.com"));
  EXPECT_FALSE(ReachesSpf(walk, "big.example"));
}

TEST(SpfReaches, WhatItRedirectsTo) {
  EXPECT_TRUE(ReachesSpf(Walk("example.com TXT v=spf1 redirect=_spf.example.net\n"
                              "_spf.example.net TXT v=spf1 -all"),
                         "_spf.example.net"));
}

TEST(SpfReaches, NothingBehindAll) {
  EXPECT_FALSE(ReachesSpf(Walk("example.com TXT v=spf1 ~all include:a.example.com\n"
                               "a.example.com TXT v=spf1 -all"),
                          "a.example.com"));
}

TEST(SpfReaches, NothingThatIsNegated) {
  const std::string zone = "\na.example.com TXT v=spf1 -all";
  for (const std::string sign : {"-", "~", "?"}) {
    EXPECT_FALSE(
        ReachesSpf(Walk("example.com TXT v=spf1 " + sign + "include:a.example.com -all" + zone),
                   "a.example.com"));
  }
  EXPECT_TRUE(ReachesSpf(Walk("example.com TXT v=spf1 +include:a.example.com -all" + zone),
                         "a.example.com"));
}

TEST(SpfReaches, NothingBehindTheTenthLookup) {
  const std::string zone = "\nexample.com A 192.0.2.1\na.example.com TXT v=spf1 -all";
  EXPECT_TRUE(
      ReachesSpf(Walk("example.com TXT v=spf1 a a a a a a a a a include:a.example.com -all" + zone),
                 "a.example.com"));
  EXPECT_FALSE(ReachesSpf(
      Walk("example.com TXT v=spf1 a a a a a a a a a a include:a.example.com -all" + zone),
      "a.example.com"));
}

TEST(SpfReaches, NothingBehindABrokenInclude) {
  const std::string zone = "\na.example.com TXT v=spf1 -all\nbad.example.com TXT v=spf1 moo";
  for (const std::string broken : {"bad.example.com", "gone.example.com", "example.com"}) {
    EXPECT_FALSE(ReachesSpf(
        Walk("example.com TXT v=spf1 include:" + broken + " include:a.example.com -all" + zone),
        "a.example.com"))
        << broken;
  }
}

TEST(SpfReaches, NothingByARecordWithAnError) {
  EXPECT_FALSE(ReachesSpf(Walk("example.com TXT v=spf1 include:a.example.com ip4:192.0.2.7~all\n"
                               "a.example.com TXT v=spf1 -all"),
                          "a.example.com"));
}

struct Addition {
  std::string record, result;
};

class WithIncludeTest : public ::testing::TestWithParam<Addition> {};

TEST_P(WithIncludeTest, IsOneRecordThatIncludesIt) {
  const std::string result = WithInclude(GetParam().record, "_spf.example.net");
  EXPECT_EQ(result, GetParam().result);
  EXPECT_EQ(WithInclude(result, "_spf.example.net"), result);
}

INSTANTIATE_TEST_SUITE_P(
    Text, WithIncludeTest,
    ::testing::ValuesIn(std::vector<Addition>{
        {"", "v=spf1 include:_spf.example.net ~all"},
        {"no SPF", "v=spf1 include:_spf.example.net ~all"},
        {"v=spf1", "v=spf1 include:_spf.example.net"},
        {"v=spf1 -all", "v=spf1 include:_spf.example.net -all"},
        {"v=spf1 mx ip4:192.0.2.1 ~ALL", "v=spf1 mx ip4:192.0.2.1 include:_spf.example.net ~ALL"},
        {"v=spf1 mx", "v=spf1 mx include:_spf.example.net"},
        {"v=spf1 mx redirect=example.org",
         "v=spf1 mx include:_spf.example.net redirect=example.org"},
        {"v=spf1 mx -all exp=e.example.com",
         "v=spf1 mx include:_spf.example.net -all exp=e.example.com"},
        {"v=spf1 include:_SPF.example.net. -all", "v=spf1 include:_SPF.example.net. -all"},
        {"v=spf1 -all include:_spf.example.net", "v=spf1 include:_spf.example.net -all"},
        {"v=spf1 ?include:_spf.example.net -all", "v=spf1 include:_spf.example.net -all"},
        {"v=spf1 ip4:192.0.2.7~all", "v=spf1 include:_spf.example.net ip4:192.0.2.7~all"}}),
    [](const auto& info) { return "Record" + std::to_string(info.index); });

}  // namespace
}  // namespace sendstep::mailauth
