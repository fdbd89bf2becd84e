#include "transport/base/address.h"

#include <gtest/gtest.h>

#include <cctype>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sendstep::base {
namespace {

std::string Repeat(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

// The address as it comes out, or the error's words.
std::string Parsed(std::string_view text) {
  const auto address = ParseAddress(text);
  return address ? address->Spec() : address.error().detail;
}

std::string Domain(std::string_view name) {
  const auto domain = ToAsciiDomain(name);
  return domain ? *domain : domain.error().detail;
}

std::string Ehlo(std::string_view name) {
  const auto ehlo = ToEhloName(name);
  return ehlo ? *ehlo : ehlo.error().detail;
}

TEST(ParseAddress, TakesDotAtoms) {
  for (const char* text : {"a@b", "max.muster@example.com", "user+tag@example.co.uk",
                           "!#$%&'*+-/=?^_`{|}~@example.org", "1@2.example", "a@r3---sn.example"}) {
    EXPECT_EQ(Parsed(text), text);
  }
}

TEST(ParseAddress, KeepsCaseOfLocalPartAndLowersDomain) {
  EXPECT_EQ(Parsed("Max.Muster@EXAMPLE.Com"), "Max.Muster@example.com");
}

TEST(ParseAddress, KeepsQuotedLocalParts) {
  for (const char* text : {R"("a b"@example.com)", R"("a@b"@example.com)", R"("a\"b"@example.com)",
                           R"("a\\"@example.com)", R"("..a.."@example.com)"}) {
    const auto address = ParseAddress(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->Spec(), text);
    EXPECT_EQ(address->domain(), "example.com");
  }
}

TEST(ParseAddress, SplitsPartsAndTellsSmtpUtf8Need) {
  const auto ascii = ParseAddress("info@müller.example");
  ASSERT_TRUE(ascii);
  EXPECT_EQ(ascii->local_part(), "info");
  EXPECT_EQ(ascii->domain(), "xn--mller-kva.example");
  EXPECT_FALSE(ascii->NeedsSmtpUtf8());
  const auto utf8 = ParseAddress("jürgen@example.com");
  ASSERT_TRUE(utf8);
  EXPECT_EQ(utf8->local_part(), "jürgen");
  EXPECT_TRUE(utf8->NeedsSmtpUtf8());
}

TEST(ParseAddress, WritesAddressLiteralsInShortestForm) {
  EXPECT_EQ(Parsed("a@[192.0.2.1]"), "a@[192.0.2.1]");
  EXPECT_EQ(Parsed("a@[ipv6:2001:0DB8:0:0:0:0:0:1]"), "a@[IPv6:2001:db8::1]");
}

TEST(ParseAddress, NamesThePartThatIsWrong) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "the address is empty"},
      {"max", "there is no \"@\""},
      {"@example.com", "the local part is empty"},
      {"max@", "the domain is empty"},
      {"a@b@c", "there is more than one \"@\""},
      {"max muster@example.com", "the local part has a blank"},
      {" max@example.com", "the local part has a blank"},
      {"max@example.com ", "the domain has a blank"},
      {"Max <max@example.com>", "the local part has a blank"},
      {"<max@example.com>", "the local part has \"<\""},
      {"max(office)@example.com", "the local part has \"(\""},
      {"a\"b@example.com", "the local part has a quotation mark"},
      {".max@example.com", "the local part begins with a dot"},
      {"max.@example.com", "the local part ends with a dot"},
      {"max..m@example.com", "the local part has two dots in a row"},
      {"\"max@example.com", "the local part has no closing quotation mark"},
      {"\"max\\\"@example.com", "the local part has no closing quotation mark"},
      {"\"max\"m@example.com", "the local part goes on after its closing quotation mark"},
      {"\"max\"", "there is no \"@\""},
      {Repeat("a", 65) + "@example.com", "the local part is longer than 64 bytes"},
      {"a\xFF@example.com", "the local part is not valid UTF-8"},
      {"a\r\nRCPT TO:<b@c>@example.com", "the local part has a control character"},
      {std::string("a\0b@example.com", 15), "the local part has a control character"},
      {"\"a\tb\"@example.com", "the local part has a control character"},
      {"max\u200B@example.com", "the local part has an invisible character"},
      {"\u00A0max@example.com", "the local part has an invisible character"},
      {"max@example..com", "the domain has an empty label"},
      {"max@.example.com", "the domain has an empty label"},
      {"max@example.com.", "the domain ends with a dot"},
      {"max@exa mple.com", "the domain has a blank"},
      {"max@exam_ple.com", "the domain has \"_\""},
      {"max@example.com>", "the domain has \">\""},
      {"max@-example.com", "the domain has a label that begins with a hyphen"},
      {"max@example-.com", "the domain has a label that ends with a hyphen"},
      {"max@" + Repeat("a", 64) + ".com", "the domain has a label longer than 63 bytes"},
      {"max@" + Repeat("abcdefg.", 32) + "de", "the domain is longer than 253 bytes"},
      {Repeat("a", 64) + "@" + Repeat("abcdefg.", 24), "the domain ends with a dot"},
      {Repeat("a", 64) + "@" + Repeat("abcdefg.", 24) + "de",
       "the address is longer than 254 bytes"},
      {"max@example.com\r\nDATA", "the domain has a control character"},
      {"max@exam\u2028ple.com", "the domain has a control character"},
      {"max@ex\xC3.com", "the domain is not valid UTF-8"},
      {"max@192.0.2.1", "the domain is an IP address: write it as [192.0.2.1]"},
      {"max@[192.0.2.1", "the address literal has no closing \"]\""},
      {"max@[192.0.2]", "the address literal is not an IP address"},
      {"max@[IPv6:192.0.2.1]", "the address literal is not an IP address"},
      {"max@[example.com]", "the address literal is not an IP address"},
      {"max@[]", "the address literal is not an IP address"},
      {"max@[2001:db8::1]", "the address literal of an IPv6 address begins with \"[IPv6:\""},
  };
  for (const auto& [text, detail] : cases) EXPECT_EQ(Parsed(text), detail) << text;
}

TEST(ParseAddress, ErrorsAreInvalidConfig) {
  const auto address = ParseAddress("max");
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().stage, Stage::kConfig);
  EXPECT_EQ(address.error().cause, Cause::kInvalid);
  EXPECT_EQ(address.error().error_class, ErrorClass::kPermanent);
}

TEST(ParseAddress, LimitsAreInclusive) {
  EXPECT_TRUE(ParseAddress(Repeat("a", 64) + "@example.com"));
  EXPECT_TRUE(ParseAddress("a@" + Repeat("a", 63) + ".com"));
  EXPECT_TRUE(ParseAddress("a@" + Repeat("abcdefg.", 31) + "abcd"));  // 254 bytes in all
}

TEST(ParseAddress, RefusesLocalPartsThatNarrowToLineBreaks) {
  for (const char* text : {"a\u760Ab@example.com", "a\u760Db@example.com", "a\u0100@example.com",
                           "\"a\u010A\"@example.com"}) {
    EXPECT_EQ(Parsed(text),
              "the local part has a character that some mail programs turn into a line break");
  }
}

TEST(ParseAddress, NoControlCharacterPassesAnywhere) {
  const std::string base = "\"ab\"@example.com";
  for (int c = 0; c < 0x20; ++c) {
    for (size_t at = 0; at <= base.size(); ++at) {
      std::string text = base;
      text.insert(at, 1, static_cast<char>(c));
      EXPECT_FALSE(ParseAddress(text)) << c << " at " << at;
    }
  }
}

TEST(ToAsciiDomain, MapsToLowerCaseALabels) {
  EXPECT_EQ(Domain("Example.COM"), "example.com");
  EXPECT_EQ(Domain("example.com."), "example.com");
  EXPECT_EQ(Domain("MÜNCHEN.example"), "xn--mnchen-3ya.example");
  EXPECT_EQ(Domain("faß.example"), "xn--fa-hia.example");  // non-transitional
  EXPECT_EQ(Domain("例え。テスト"), "xn--r8jz45g.xn--zckzah");
  EXPECT_EQ(Domain("XN--MNCHEN-3YA.example"), "xn--mnchen-3ya.example");
  EXPECT_EQ(Domain("localhost"), "localhost");
}

TEST(ToAsciiDomain, RefusesWhatIsNoName) {
  EXPECT_EQ(Domain(""), "the domain is empty");
  EXPECT_EQ(Domain("."), "the domain has an empty label");
  EXPECT_EQ(Domain("a..b"), "the domain has an empty label");
  EXPECT_EQ(Domain("mail_host.example"), "the domain has \"_\"");
  EXPECT_EQ(Domain("a\tb"), "the domain has a control character");
  EXPECT_EQ(Domain(Repeat("ü", 100) + ".example"), "the domain has a label longer than 63 bytes");
  EXPECT_EQ(Domain(Repeat("ü.", 1000)), "the domain is longer than 253 bytes");
  EXPECT_EQ(Domain("a\u2100b.example"), "the domain has \"/\"");  // U+2100 maps to "a/c"
  EXPECT_FALSE(ToAsciiDomain("☃.example"));                       // a symbol, IDNA 2008 has none
  EXPECT_FALSE(ToAsciiDomain("ü..example"));
}

TEST(ToAsciiDomain, DropsNothingThatWouldLeaveAnotherName) {
  for (char c = ' '; c <= '~'; ++c) {
    if (c == '.' || std::isalnum(static_cast<unsigned char>(c)) || c == '-') continue;
    const std::string name = std::string("ü") + c + "b.example";
    const auto domain = ToAsciiDomain(name);
    EXPECT_FALSE(domain) << name << " became " << *domain;
  }
}

TEST(ToEhloName, MakesAddressLiterals) {
  EXPECT_EQ(Ehlo("192.0.2.1"), "[192.0.2.1]");
  EXPECT_EQ(Ehlo("[192.0.2.1]"), "[192.0.2.1]");
  EXPECT_EQ(Ehlo("2001:DB8::1"), "[IPv6:2001:db8::1]");
  EXPECT_EQ(Ehlo("[2001:db8::1]"), "[IPv6:2001:db8::1]");
  EXPECT_EQ(Ehlo("[IPv6:2001:db8::1]"), "[IPv6:2001:db8::1]");
  EXPECT_EQ(Ehlo("::1"), "[IPv6:::1]");
  EXPECT_EQ(Ehlo("Mail.Müller.example"), "mail.xn--mller-kva.example");
  EXPECT_EQ(Ehlo("[mail]"), "the address literal is not an IP address");
  EXPECT_EQ(Ehlo("[IPv6:192.0.2.1]"), "the address literal is not an IP address");
  EXPECT_EQ(Ehlo("mail example"), "the domain has a blank");
  EXPECT_EQ(Ehlo("a\r\nMAIL FROM:<x@y>"), "the domain has a control character");
  EXPECT_EQ(Ehlo(std::string("127.0.0.1\0x", 11)), "the domain has a control character");
}

TEST(IsUtf8, FollowsRfc3629) {
  for (const char* text : {"", "a", "ü", "€", "🐊", "\u0080", "\uD7FF", "\uE000", "\U0010FFFF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* text : {"\x80", "\xC0\xAF", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\xAF",
                           "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\xAF", "\xF4\x90\x80\x80",
                           "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xF0\x9F\x90"}) {
    EXPECT_FALSE(IsUtf8(text));
  }
}

TEST(HasControlCharacter, FindsWhatEndsALineOrString) {
  for (const char* text : {"a\nb", "a\rb", "\x1B", "\x7F", "\u0085", "\u0080", "\u009F", "\u2028",
                           "\u2029", "a\xFF", "\xC2"}) {
    EXPECT_TRUE(HasControlCharacter(text));
  }
  EXPECT_TRUE(HasControlCharacter(std::string_view("a\0", 2)));
  for (const char* text : {"", "a b", "a\tb", "ü\u00A0", "\u2027\u202A", "\u760A"}) {
    EXPECT_FALSE(HasControlCharacter(text));
  }
}

TEST(NarrowsToLineBreak, LooksAtTheLowByteOfEveryCodeUnit) {
  for (const char* text : {"\u010A", "\u010D", "\u0100", "\u760A", "\u760D", "x\U0001F40A",
                           "\U0001F40D", "\U00012800", "\U00010041", "\n", "\r", "\xFF\u010A"}) {
    EXPECT_TRUE(NarrowsToLineBreak(text));
  }
  for (const char* text : {"", "abc", "jürgen", "\u010B", "日本", "\U0001F603", "\xFF"}) {
    EXPECT_FALSE(NarrowsToLineBreak(text)) << text;
  }
}

TEST(Result, ValueOfAnErrorIsALogicError) {
  const auto address = ParseAddress("max");
  EXPECT_THROW(address.value(), std::logic_error);
}

}  // namespace
}  // namespace sendstep::base
