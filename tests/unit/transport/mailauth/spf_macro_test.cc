#include "transport/mailauth/spf_macro.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace sendstep::mailauth {
namespace {

using boost::asio::ip::make_address;

// Those of RFC 7208 7.4.
SpfMacroValues Values(const std::string& ip = "192.0.2.3") {
  SpfMacroValues values;
  values.local_part = "strong-bad";
  values.sender_domain = "email.example.com";
  values.domain = "email.example.com";
  values.ip = make_address(ip);
  values.helo = "mx.example.org";
  values.now = 1700000000;
  return values;
}

struct Expansion {
  std::string text, expanded;
};

void PrintTo(const Expansion& expansion, std::ostream* out) { *out << expansion.text; }

class SpfMacroTest : public ::testing::TestWithParam<Expansion> {};

TEST_P(SpfMacroTest, ExpandsAsTheRfcSays) {
  EXPECT_EQ(CheckSpfMacros(GetParam().text, SpfMacroUse::kExplanation), std::nullopt);
  EXPECT_EQ(ExpandSpfMacros(GetParam().text, Values()), GetParam().expanded);
}

INSTANTIATE_TEST_SUITE_P(
    Rfc7208Section74, SpfMacroTest,
    ::testing::ValuesIn(std::vector<Expansion>{
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"}}));

INSTANTIATE_TEST_SUITE_P(Rules, SpfMacroTest,
                         ::testing::ValuesIn(std::vector<Expansion>{
                             {"", ""},
                             {"plain", "plain"},
                             {"%%%_%-", "% %20"},
                             {"%{h} %{r} %{p} %{t}", "mx.example.org unknown unknown 1700000000"},
                             {"%{c} %{i}", "192.0.2.3 192.0.2.3"},
                             {"%{S}", "strong-bad%40email.example.com"},
                             {"%{LR-}", "bad.strong"},
                             {"%{d128}", "email.example.com"},
                             {"%{d99999999999999999999}", "email.example.com"},
                             {"%{d01}", "com"}}));

TEST(SpfMacro, SplitsAtEachOfItsDelimiters) {
  SpfMacroValues values = Values();
  values.local_part = "a.b-c+d,e/f_g=h";
  EXPECT_EQ(ExpandSpfMacros("%{lr.-+,/_=}", values), "h.g.f.e.d.c.b.a");
  EXPECT_EQ(ExpandSpfMacros("%{l2+=}", values), "d,e/f_g.h");
}

TEST(SpfMacro, WritesAnIPv6AddressInNibbles) {
  EXPECT_EQ(ExpandSpfMacros("%{ir}.%{v}._spf.%{d2}", Values("2001:db8::cb01")),
            "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com");
  EXPECT_EQ(ExpandSpfMacros("%{c}", Values("2001:db8::cb01")), "2001:db8::cb01");
}

TEST(SpfMacro, MakesReverseNames) {
  EXPECT_EQ(ReverseName(make_address("192.0.2.3")), "3.2.0.192.in-addr.arpa");
  EXPECT_EQ(ReverseName(make_address("2001:db8::1")),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa");
}

TEST(SpfMacro, EscapesAllButUnreservedCharacters) {
  SpfMacroValues values = Values();
  values.local_part = "~jack&jill=up-a_b3.c\xc3\xa9";
  EXPECT_EQ(ExpandSpfMacros("%{L}", values), "~jack%26jill%3Dup-a_b3.c%C3%A9");
}

TEST(SpfMacro, NamesLoseTheirLastDotAndLabelsPast253Bytes) {
  SpfMacroValues values = Values();
  EXPECT_EQ(ExpandSpfDomain("%{d}.", values), "email.example.com");
  values.local_part = std::string(200, 'a') + "." + std::string(100, 'b');
  EXPECT_EQ(ExpandSpfDomain("%{l}.example.com", values), std::string(100, 'b') + ".example.com");
  values.local_part = "x." + std::string(241, 'c');
  EXPECT_EQ(ExpandSpfDomain("%{l}.example.com", values), std::string(241, 'c') + ".example.com");
  values.local_part = std::string(300, 'd');
  EXPECT_EQ(ExpandSpfDomain("%{l}.example.com", values), "example.com");
}

TEST(SpfMacro, IsFoundByItsLetter) {
  EXPECT_TRUE(UsesSpfMacro("a.%{P}.example", "p"));
  EXPECT_FALSE(UsesSpfMacro("p.%%%{d}.example", "p"));
}

struct Wrong {
  std::string text;
  size_t offset, length;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.text; }

class SpfMacroFaultTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(SpfMacroFaultTest, IsFoundAtItsPlace) {
  const auto fault = CheckSpfMacros(GetParam().text, SpfMacroUse::kExplanation);
  ASSERT_NE(fault, std::nullopt);
  EXPECT_EQ(fault->offset, GetParam().offset);
  EXPECT_EQ(fault->length, GetParam().length);
  EXPECT_NE(fault->message, "");
}

INSTANTIATE_TEST_SUITE_P(Text, SpfMacroFaultTest,
                         ::testing::ValuesIn(std::vector<Wrong>{{"100%", 3, 1},
                                                                {"a%(ir).b", 1, 2},
                                                                {"a%{d", 1, 3},
                                                                {"a%{}", 1, 3},
                                                                {"%{x}", 0, 4},
                                                                {"%{d0}", 0, 5},
                                                                {"%{dr2}", 0, 6},
                                                                {"%{d!}", 0, 5},
                                                                {"%{drr}", 0, 6},
                                                                {"tab\there", 3, 1},
                                                                {"%{d} \xc3\xa9", 5, 1}}));

TEST(SpfMacro, LettersOfExplanationsStandNowhereElse) {
  for (const std::string text : {"%{c}", "%{R}", "%{t}.example.com"}) {
    EXPECT_NE(CheckSpfMacros(text, SpfMacroUse::kDomain), std::nullopt) << text;
    EXPECT_EQ(CheckSpfMacros(text, SpfMacroUse::kExplanation), std::nullopt) << text;
  }
}

TEST(SpfDomainSpec, EndsInATopLabelOrAMacro) {
  for (const std::string text :
       {"example.com", "example.com.", "%{d}", "a.%{d2}", "_spf.%{d}.example.com", "a:b/c.example",
        "x.xn--zckzah", "x.1-2", "a..b", ".com", "x%%", "%{d}.com"}) {
    EXPECT_EQ(CheckSpfDomainSpec(text), std::nullopt) << text;
  }
  for (const std::string text : {"", "com", "com.", "example.123", "192.0.2.1", "a.-com", "a.com-",
                                 "a.c_m", "a.com..", "%{d}com", "a.com/24", "a b.com"}) {
    EXPECT_NE(CheckSpfDomainSpec(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sendstep::mailauth
