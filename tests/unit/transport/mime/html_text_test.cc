#include "transport/mime/html_text.h"

#include <gtest/gtest.h>

namespace sendstep::mime {
namespace {

struct Case {
  const char* name;
  const char* html;
  const char* text;
};

class HtmlTextTest : public ::testing::TestWithParam<Case> {};

TEST_P(HtmlTextTest, IsWhatAReaderSees) { EXPECT_EQ(TextOfHtml(GetParam().html), GetParam().text); }

constexpr Case kCases[] = {
    {"Words", "Hello <b>dear</b>  reader,\n how are you?", "Hello dear reader, how are you?\n"},
    {"Paragraphs", "<p>One</p><p>Two</p>Three", "One\n\nTwo\n\nThree\n"},
    {"Lines", "<div>One</div><div>Two<br>Three</div>", "One\nTwo\nThree\n"},
    {"EmptyLines", "One<br><br>Two", "One\n\nTwo\n"},
    {"NestedBlocks", "<div><div><p>One</p></div></div><div><p>Two</p></div>", "One\n\nTwo\n"},
    {"Headings", "<h1>Title</h1>Text", "Title\n\nText\n"},
    {"Document",
     "<!doctype html><html><head><title>T</title><style>p{}</style></head><body> <p>Text</p> "
     "</body></html>",
     "Text\n"},
    {"Scripts", "a<script>alert('x')</script><style>b{}</style>b", "ab\n"},
    {"Hidden",
     "<div style='display: none'>Preview</div><p hidden>no</p><span style='DISPLAY:NONE'>"
     "<img alt='no'><br>no</span>Text",
     "Text\n"},
    {"Preheader", "Hi\xE2\x80\x8C\xC2\xAD\xCD\x8F there", "Hi there\n"},
    {"Entities", "Fish &amp; chips &lt;b&gt; &#128512; &euro;5&nbsp;!",
     "Fish & chips <b> \xF0\x9F\x98\x80 \xE2\x82\xAC"
     "5 !\n"},
    {"Links", "Go <a href='https://example.com/x?a=1&amp;b=2'>there</a>!",
     "Go there <https://example.com/x?a=1&b=2>!\n"},
    {"LinksThatShowTheirAddress",
     "<a href='https://example.com'>https://example.com</a> <a href='mailto:a@b.c?subject=x'>a@b.c"
     "</a>",
     "https://example.com a@b.c\n"},
    {"LinksOfPictures", "<a href='https://example.com'><img src=x alt='Logo'></a>",
     "Logo <https://example.com>\n"},
    {"LinksOfNothing", "<a href='https://example.com'><img src=x></a>", "<https://example.com>\n"},
    {"LinksThatLeadNowhere", "<a href='#top'>up</a> <a href='javascript:x()'>run</a> <a>no</a>",
     "up run no\n"},
    {"MailAndTelephone", "<a href='mailto:a@b.c'>us</a> <a href='tel:+123'>call</a>",
     "us <a@b.c> call <tel:+123>\n"},
    {"Lists", "<ul><li>One<li>Two</ul>End", "- One\n- Two\n\nEnd\n"},
    {"NumberedLists", "<ol><li>One</li><li>Two</li></ol>", "1. One\n2. Two\n"},
    {"NestedLists", "<ul><li>One<ol><li>In</li><li>Side</li></ol></li><li>Two</li></ul>",
     "- One\n\n  1. In\n  2. Side\n- Two\n"},
    {"Tables", "<table><tr><td>Item</td><td>Price</td></tr><tr><td>Tea</td><td>3</td></tr></table>",
     "Item  Price\nTea  3\n"},
    {"Quotations", "<p>He said</p><blockquote>One<br>Two<p>Three</p></blockquote>I said",
     "He said\n\n> One\n> Two\n>\n> Three\n\nI said\n"},
    {"Rules", "One<hr>Two", "One\n\n----\n\nTwo\n"},
    {"Preformatted", "<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc\n"},
    {"NothingToSee", "<img src=x><style>x</style>  ", ""},
    {"Nothing", "", ""},
    {"Umlauts",
     "<p>Gr\xC3\xBC\xC3\x9F"
     "e</p>",
     "Gr\xC3\xBC\xC3\x9F"
     "e\n"},
    {"BrokenHtml", "<p>One<p>Two</b></i><div>Three <a href='https://a.b'>Four",
     "One\n\nTwo\n\nThree Four <https://a.b>\n"},
    {"AnglesInText", "1 < 2 and 3 > 2", "1 < 2 and 3 > 2\n"},
};

INSTANTIATE_TEST_SUITE_P(Html, HtmlTextTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HtmlText, AMultibyteCharacterMayLieAcrossChunks) {
  for (int before = 65530; before < 65540; ++before) {
    const std::string text = std::string(before, 'x') +
                             "\xF0\x9F\x98\x80"
                             "end";
    EXPECT_EQ(TextOfHtml(text), text + "\n") << before;
  }
}

std::string Repeated(std::string_view text, size_t bytes) {
  std::string repeated;
  while (repeated.size() < bytes) repeated += text;
  return repeated;
}

TEST(HtmlText, WhatIsTooDeepOrTooLargeIsNotRead) {
  EXPECT_EQ(TextOfHtml(Repeated("<b>", 3 * 200) + "x"), "x\n");
  EXPECT_EQ(TextOfHtml(Repeated("<b>", 3 * 300) + "x"), "");
  EXPECT_EQ(TextOfHtml(Repeated("<div><blockquote><a href='https://a.b/'>", 500'000)), "");
  const std::string largest(kMaxHtmlForText, 'x');
  EXPECT_EQ(TextOfHtml(largest), largest + "\n");
  EXPECT_EQ(TextOfHtml(largest + "x"), "");
}

TEST(HtmlText, EncodingThatTheHtmlNamesDoesNotCount) {
  for (const std::string_view meta :
       {"<meta charset='iso-8859-1'>",
        "<meta http-equiv='Content-Type' content='text/html; charset=windows-1252'>",
        "<?xml version='1.0' encoding='utf-16'?>"}) {
    EXPECT_EQ(TextOfHtml(std::string(meta) + "<p>Gr\u00fc\u00dfe \u20ac</p>"),
              "Gr\u00fc\u00dfe \u20ac\n")
        << meta;
  }
}

TEST(HtmlText, LinkThatIsTooLongIsLeftOut) {
  const std::string address = "https://a.example/" + std::string(2048, 'x');
  EXPECT_EQ(TextOfHtml("<a href='" + address + "'>there</a>"), "there\n");
}

TEST(HtmlText, TextStaysInProportionToTheHtml) {
  for (const std::string_view repeated :
       {"<li>", "<ul><li></ul>", "<br>", "<hr>", "<td>x", "<blockquote>x</blockquote>", "&amp;",
        "<a href='https://a.b/'></a>", "</b>", "<p></i>", "<!-- x -->", "<b", "&", "\"'<"}) {
    const std::string html = Repeated(repeated, kMaxHtmlForText - 100);
    EXPECT_LT(TextOfHtml(html).size(), 4 * html.size()) << repeated;
  }
}

}  // namespace
}  // namespace sendstep::mime
