#include "transport/mime/compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "tests/unit/transport/mime/decoders.h"

namespace sendstep::mime {
namespace {

using testing::HasSubstr;
using testing::Not;

Mailbox Box(std::string_view address, std::string name = "") {
  return {base::ParseAddress(address).value(), std::move(name)};
}

Message Simple() {
  Message message;
  message.from = Box("from@example.com");
  message.to = {Box("to@example.com")};
  message.subject = "Hello";
  message.text = "Hi";
  return message;
}

ComposeOptions Options() {
  using std::chrono::system_clock;
  return {system_clock::time_point(std::chrono::seconds(1795428305)), "<id@example.com>",
          "0123456789abcdef"};
}

std::string Bytes(const Message& message) {
  const auto composed = Compose(message, Options());
  EXPECT_TRUE(composed) << composed.error().detail;
  return composed ? Flat(composed->content) : "";
}

std::string Problem(const Message& message) {
  const auto composed = Compose(message, Options());
  if (composed) return "none";
  EXPECT_EQ(composed.error().stage, base::Stage::kConfig);
  EXPECT_EQ(composed.error().cause, base::Cause::kInvalid);
  EXPECT_EQ(composed.error().error_class, base::ErrorClass::kPermanent);
  return composed.error().detail;
}

std::string Body(const std::string& bytes) { return bytes.substr(bytes.find("\r\n\r\n") + 4); }

// The structure as nested media types: "multipart/mixed(text/plain,image/png)".
std::string Tree(const std::string& part) {
  const std::string type = Unfolded(Field(part, "Content-Type"));
  const std::string name = type.substr(0, type.find(';'));
  if (!name.starts_with("multipart/")) return name;
  const size_t begin = type.find("boundary=\"") + 10;
  const std::string delimiter = "\r\n--" + type.substr(begin, type.find('"', begin) - begin);
  std::string tree = name + "(";
  size_t at = part.find(delimiter);
  while (part.compare(at + delimiter.size(), 2, "--") != 0) {
    const size_t start = at + delimiter.size() + 2;
    at = part.find(delimiter, start);
    if (at == std::string::npos) return tree + " unclosed";
    tree += (tree.ends_with('(') ? "" : ",") + Tree(part.substr(start, at - start));
  }
  return tree + ")";
}

Attachment File(std::string filename, std::string type, std::string content, std::string id = "") {
  return {std::move(filename), std::move(type), std::move(content), std::move(id)};
}

TEST(Compose, WritesAPlainMessage) {
  EXPECT_EQ(Bytes(Simple()),
            "Date: Mon, 23 Nov 2026 10:05:05 +0000\r\n"
            "From: from@example.com\r\n"
            "To: to@example.com\r\n"
            "Subject: Hello\r\n"
            "Message-ID: <id@example.com>\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 7bit\r\n"
            "\r\n"
            "Hi\r\n");
}

TEST(Compose, SameInputGivesSameBytes) { EXPECT_EQ(Bytes(Simple()), Bytes(Simple())); }

TEST(Compose, DateIsWrittenInUtcWithTwoDigits) {
  const Message message = Simple();
  ComposeOptions options = Options();
  options.date = std::chrono::system_clock::time_point(std::chrono::seconds(951782399));
  EXPECT_EQ(Field(Flat(Compose(message, options)->content), "Date"),
            "Mon, 28 Feb 2000 23:59:59 +0000");
  options.date += std::chrono::milliseconds(1999);
  EXPECT_EQ(Field(Flat(Compose(message, options)->content), "Date"),
            "Tue, 29 Feb 2000 00:00:00 +0000");
  options.date = std::chrono::system_clock::time_point(std::chrono::milliseconds(-1));
  EXPECT_EQ(Field(Flat(Compose(message, options)->content), "Date"),
            "Wed, 31 Dec 1969 23:59:59 +0000");
}

TEST(Compose, StructureHasOnlyWhatIsNeeded) {
  const Attachment pdf = File("a.pdf", "application/pdf", "x");
  const Attachment png = File("a.png", "image/png", "x", "logo");
  const struct {
    bool text, html;
    std::vector<Attachment> attachments;
    const char* tree;
  } cases[] = {
      {true, false, {}, "text/plain"},
      {false, true, {}, "multipart/alternative(text/plain,text/html)"},
      {false, false, {}, "text/plain"},
      {true, true, {}, "multipart/alternative(text/plain,text/html)"},
      {true, false, {pdf}, "multipart/mixed(text/plain,application/pdf)"},
      {false,
       true,
       {pdf},
       "multipart/mixed(multipart/alternative(text/plain,text/html),application/pdf)"},
      {false, false, {pdf}, "multipart/mixed(application/pdf)"},
      {false,
       true,
       {png},
       "multipart/alternative(text/plain,multipart/related(text/html,image/png))"},
      {true, false, {png}, "multipart/mixed(text/plain,image/png)"},
      {true,
       true,
       {pdf},
       "multipart/mixed(multipart/alternative(text/plain,text/html),application/pdf)"},
      {true,
       true,
       {png},
       "multipart/alternative(text/plain,multipart/related(text/html,image/png))"},
      {true,
       true,
       {pdf, png, pdf},
       "multipart/mixed(multipart/alternative(text/plain,multipart/related(text/html,image/png)),"
       "application/pdf,application/pdf)"},
  };
  for (const auto& c : cases) {
    Message message = Simple();
    message.text = c.text ? "text" : "";
    message.html = c.html ? "<p>html</p>" : "";
    message.attachments = c.attachments;
    EXPECT_EQ(Tree(Bytes(message)), c.tree);
  }
}

TEST(Compose, TextIsMadeOfTheHtmlWhereThereIsNone) {
  Message message = Simple();
  message.text = "";
  message.html = "<p>Hello</p><a href=\"https://example.com\">here</a>";
  EXPECT_THAT(Bytes(message), HasSubstr("\r\n\r\nHello\r\n\r\nhere <https://example.com>\r\n"));
  message.html = "<img src=\"https://example.com/x.png\">";
  EXPECT_EQ(Tree(Bytes(message)), "text/html") << "nothing to say";
}

TEST(Compose, RelatedNamesTheTypeOfItsRoot) {
  Message message = Simple();
  message.html = "<img src=\"cid:logo\">";
  message.attachments = {File("a.png", "image/png", "x", "logo")};
  const std::string bytes = Bytes(message);
  EXPECT_THAT(bytes, HasSubstr("multipart/related; type=\"text/html\""));
  EXPECT_THAT(bytes, HasSubstr("Content-Disposition: inline; filename=\"a.png\""));
  EXPECT_THAT(bytes, HasSubstr("Content-ID: <logo>\r\n"));
}

TEST(Compose, InlinePartWithoutHtmlIsAnAttachmentWithContentId) {
  Message message = Simple();
  message.attachments = {File("a.png", "image/png", "x", "logo")};
  const std::string bytes = Bytes(message);
  EXPECT_THAT(bytes, HasSubstr("Content-Disposition: attachment; filename=\"a.png\""));
  EXPECT_THAT(bytes, HasSubstr("Content-ID: <logo>\r\n"));
}

TEST(Compose, EveryMixOfLineBreaksComesOutCanonical) {
  const char letters[] = {'\r', '\n', '.'};
  Message message = Simple();
  for (int length = 1; length <= 6; ++length) {
    int count = 1;
    for (int i = 0; i < length; ++i) count *= 3;
    for (int n = 0; n < count; ++n) {
      message.text.clear();
      size_t breaks = 0;
      for (int i = 0, rest = n; i < length; ++i, rest /= 3) {
        const char c = letters[rest % 3];
        breaks += c == '\r' || (c == '\n' && !message.text.ends_with('\r'));
        message.text += c;
      }
      const std::string body = Body(Bytes(message));
      const bool open = message.text.ends_with('.');  // gets the message's last line break
      EXPECT_EQ(Lines(body).size(), breaks + (open ? 1 : 0));
    }
  }
}

TEST(Compose, NoLineOfAnyFormIsBrokenOrTooLong) {
  Message message = Simple();
  message.subject = std::string(3000, 'x') + "\t" + "ü";
  message.text = std::string(5000, 'x') + "\r\r\n\n" + std::string("\0", 1) + "\nFrom me\n.\n";
  message.html = "<p>" + std::string(2000, 'y') + "</p>\rüü\n";
  message.headers = {{"X-Long", std::string(2000, 'z')}, {"X-Empty", ""}};
  message.references.assign(50, "<" + std::string(900, 'r') + "@example.com>");
  message.attachments = {File(std::string(500, 'f') + "🐊", "", std::string(1000, '\0')),
                         File("a.eml", "message/rfc822", "Subject: x\r\n\r\nbody")};
  for (const std::string& line : Lines(Bytes(message))) {
    EXPECT_LE(line.size(), 998u);
    for (char c : line) EXPECT_GE(c, ' ');  // 7-bit, and no control character
  }
}

TEST(Compose, AttachmentsAreBase64WithNameInBothPlaces) {
  Message message = Simple();
  message.attachments = {File("a.txt", "Text/Plain; charset=utf-8; name=old.txt", "abc\n")};
  EXPECT_THAT(Bytes(message),
              HasSubstr("Content-Type: text/plain; charset=utf-8; name=\"a.txt\"\r\n"
                        "Content-Transfer-Encoding: base64\r\n"
                        "Content-Disposition: attachment; filename=\"a.txt\"\r\n"
                        "\r\n"
                        "YWJjCg==\r\n--"));
}

TEST(Compose, TypesThatCannotBeLeavesBecomeOctetStream) {
  for (const char* type : {"", "multipart/mixed; boundary=x", "Multipart/Related"}) {
    Message message = Simple();
    message.attachments = {File("a", type, "--x\r\n\r\n--x--")};
    EXPECT_EQ(Tree(Bytes(message)), "multipart/mixed(text/plain,application/octet-stream)");
  }
}

TEST(Compose, AttachedMessagesAreNeverEncoded) {
  Message message = Simple();
  const std::string inner = "Subject: x\r\n\r\nbody\r\n";
  message.attachments = {File("a.eml", "message/rfc822", inner)};
  std::string bytes = Bytes(message);
  EXPECT_EQ(Tree(bytes), "multipart/mixed(text/plain,message/rfc822)");
  EXPECT_THAT(bytes, HasSubstr("Content-Transfer-Encoding: 7bit\r\n"
                               "Content-Disposition: attachment; filename=\"a.eml\"\r\n\r\n" +
                               inner + "\r\n--"));
  for (const std::string& not_7bit :
       {std::string("Subject: x\n\nbody\n"), std::string("Subject: ü\r\n\r\n"),
        std::string("a\0", 2), std::string(999, 'x')}) {
    message.attachments[0].content = not_7bit;
    bytes = Bytes(message);
    EXPECT_EQ(Tree(bytes), "multipart/mixed(text/plain,application/octet-stream)");
    EXPECT_THAT(bytes, Not(HasSubstr(not_7bit)));
  }
}

TEST(Compose, BoundaryIsNeverInAPart) {
  Message message = Simple();
  message.html = "<p>";
  const std::string type = Unfolded(Field(Bytes(message), "Content-Type"));
  const size_t begin = type.find("boundary=\"") + 10;
  const std::string boundary = type.substr(begin, type.find('"', begin) - begin);
  EXPECT_THAT(boundary, Not(HasSubstr(Options().boundary_seed)));
  message.text = "a\n--" + boundary + "--\nb";
  const std::string bytes = Bytes(message);
  EXPECT_THAT(Field(bytes, "Content-Type"), Not(HasSubstr(boundary)));
  EXPECT_EQ(Tree(bytes), "multipart/alternative(text/plain,text/html)");
  message.text = "a";
  message.attachments = {File("", "message/rfc822", "Subject: x\r\n\r\n--" + boundary + "--\r\n")};
  EXPECT_THAT(Field(Bytes(message), "Content-Type"), Not(HasSubstr(boundary)));
}

TEST(Compose, OtherSeedGivesOtherBoundary) {
  Message message = Simple();
  message.html = "<p>";
  ComposeOptions other = Options();
  other.boundary_seed = "other";
  EXPECT_NE(Flat(Compose(message, other)->content), Bytes(message));
}

TEST(Compose, ThreadIsWrittenAndFolded) {
  Message message = Simple();
  message.in_reply_to = "<parent@example.com>";
  std::string joined;
  for (int i = 0; i < 100; ++i) {
    message.references.push_back("<" + std::to_string(i) + "." + std::string(20, 'x') + "@a.b>");
    joined += (i > 0 ? " " : "") + message.references.back();
  }
  const std::string bytes = Bytes(message);
  EXPECT_EQ(Field(bytes, "In-Reply-To"), message.in_reply_to);
  EXPECT_EQ(Unfolded(Field(bytes, "References")), joined);
  for (const std::string& line : Lines(bytes)) EXPECT_LE(line.size(), 78u);
}

TEST(Compose, SenderIsNamedWhereItIsNotTheAuthor) {
  Message message = Simple();
  message.sender = Box("assistant@example.com", "An Assistant");
  EXPECT_EQ(Field(Bytes(message), "Sender"), "An Assistant <assistant@example.com>");
  message.sender = message.from;
  EXPECT_EQ(Field(Bytes(message), "Sender"), "(none)");
}

TEST(Compose, UnsubscribeIsWrittenAsRfc2369AndRfc8058Say) {
  Message message = Simple();
  EXPECT_EQ(Field(Bytes(message), "List-Unsubscribe"), "(none)");
  message.unsubscribe = {"https://example.com/leave?u=1", {}, false};
  EXPECT_EQ(Field(Bytes(message), "List-Unsubscribe"), "<https://example.com/leave?u=1>");
  EXPECT_EQ(Field(Bytes(message), "List-Unsubscribe-Post"), "(none)");
  message.unsubscribe->one_click = true;
  EXPECT_EQ(Field(Bytes(message), "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
  message.unsubscribe->mailbox = Box("leave+a&b%@example.com").address;
  EXPECT_EQ(Unfolded(Field(Bytes(message), "List-Unsubscribe")),
            "<https://example.com/leave?u=1>, <mailto:leave+a%26b%25@example.com>");
  message.unsubscribe->url = "";
  message.unsubscribe->one_click = false;
  EXPECT_EQ(Field(Bytes(message), "List-Unsubscribe"), "<mailto:leave+a%26b%25@example.com>");
}

TEST(Compose, ALongUnsubscribeUrlIsNotBroken) {
  Message message = Simple();
  const std::string url = "https://example.com/" + std::string(880, 'u');
  message.unsubscribe = {url, {}, true};
  EXPECT_THAT(Field(Bytes(message), "List-Unsubscribe"), HasSubstr("<" + url + ">"));
}

TEST(Compose, PriorityIsSaidInBothWaysThatProgramsLookAt) {
  Message message = Simple();
  EXPECT_EQ(Field(Bytes(message), "Importance"), "(none)");
  message.priority = Priority::kHigh;
  EXPECT_EQ(Field(Bytes(message), "Importance"), "high");
  EXPECT_EQ(Field(Bytes(message), "X-Priority"), "1");
  message.priority = Priority::kLow;
  EXPECT_EQ(Field(Bytes(message), "Importance"), "low");
  EXPECT_EQ(Field(Bytes(message), "X-Priority"), "5");
}

TEST(Compose, CalendarIsTheLastAlternativeAndAFile) {
  Message message = Simple();
  message.html = "<p>Coffee?</p>";
  message.calendar =
      "BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1\nEND:VEVENT\n"
      "END:VCALENDAR\n";
  const std::string bytes = Bytes(message);
  const size_t html = bytes.find("Content-Type: text/html");
  const size_t body = bytes.find("Content-Type: text/calendar; charset=utf-8; method=REQUEST");
  const size_t file = bytes.find("Content-Type: application/ics; name=\"invite.ics\"");
  EXPECT_LT(html, body);
  EXPECT_LT(body, file);
  EXPECT_NE(file, bytes.npos) << bytes;
  EXPECT_THAT(bytes, HasSubstr("METHOD:REQUEST\r\nBEGIN:VEVENT\r\n"));
  EXPECT_THAT(bytes, HasSubstr("Content-Disposition: attachment; filename=\"invite.ics\""));
}

TEST(Compose, NamesARecipientFieldEvenWhenAllAreBlind) {
  Message message = Simple();
  message.to.clear();
  EXPECT_EQ(Field(Bytes(message), "To"), "undisclosed-recipients:;");
  message.cc = {Box("cc@example.com")};
  EXPECT_EQ(Field(Bytes(message), "To"), "(none)");
}

TEST(Compose, Utf8LocalPartInAnyFieldNeedsSmtpUtf8) {
  const Message plain = Simple();
  EXPECT_FALSE(Compose(plain, Options())->needs_smtputf8);
  Message umlauts = Simple();
  umlauts.from.name = "Jürgen";
  umlauts.to = {Box("info@müller.example", "Müller")};
  umlauts.subject = "Grüße";
  EXPECT_FALSE(Compose(umlauts, Options())->needs_smtputf8);
  const std::function<void(Message&)> places[] = {
      [](Message& m) { m.from = Box("jürgen@example.com"); },
      [](Message& m) { m.to.push_back(Box("jürgen@example.com")); },
      [](Message& m) { m.cc.push_back(Box("jürgen@example.com")); },
      [](Message& m) { m.reply_to.push_back(Box("jürgen@example.com")); },
      [](Message& m) { m.sender = Box("jürgen@example.com"); }};
  for (const auto& place : places) {
    Message message = Simple();
    place(message);
    const auto composed = Compose(message, Options());
    ASSERT_TRUE(composed);
    EXPECT_TRUE(composed->needs_smtputf8);
    EXPECT_THAT(Flat(composed->content), HasSubstr("jürgen@example.com"));
  }
}

TEST(Compose, RefusesControlCharactersInEveryField) {
  const std::function<void(Message&, const std::string&)> fields[] = {
      [](Message& m, const std::string& bad) { m.from.name = bad; },
      [](Message& m, const std::string& bad) { m.to[0].name = bad; },
      [](Message& m, const std::string& bad) { m.cc = {Box("a@b", bad)}; },
      [](Message& m, const std::string& bad) { m.reply_to = {Box("a@b", bad)}; },
      [](Message& m, const std::string& bad) { m.subject = bad; },
      [](Message& m, const std::string& bad) { m.attachments = {File(bad, "", "")}; },
      [](Message& m, const std::string& bad) { m.attachments = {File("", "a/" + bad, "")}; },
      [](Message& m, const std::string& bad) { m.attachments = {File("", "", "", bad)}; },
      [](Message& m, const std::string& bad) {
        m.headers = {{"X-" + bad, "x"}};
      },
      [](Message& m, const std::string& bad) {
        m.headers = {{"X-A", bad}};
      },
      [](Message& m, const std::string& bad) { m.in_reply_to = "<" + bad + ">"; },
      [](Message& m, const std::string& bad) { m.references = {"<" + bad + ">"}; },
  };
  for (const std::string& bad :
       {std::string("a\r\nBcc: x@y"), std::string("a\nb"), std::string("a\rb"),
        std::string("a\0b", 3), std::string("a\x7F"), std::string("a\u0085"),
        std::string("a\u2028"), std::string("a\xFF")}) {
    for (const auto& set : fields) {
      Message message = Simple();
      set(message, bad);
      EXPECT_NE(Problem(message), "none");
    }
  }
}

TEST(Compose, RefusesIdsTypesAndHeadersThatBreakTheFormat) {
  const std::pair<const char*, std::function<void(Message&)>> cases[] = {
      {"From has no address", [](Message& m) { m.from = {}; }},
      {"To has no address", [](Message& m) { m.to.emplace_back(); }},
      {"the name of from@example.com has a control character",
       [](Message& m) { m.from.name = "a\nb"; }},
      {"the subject is not valid UTF-8", [](Message& m) { m.subject = "\xFF"; }},
      {"the text is not valid UTF-8", [](Message& m) { m.text = "\xFF"; }},
      {"the HTML is not valid UTF-8", [](Message& m) { m.html = "\xFF"; }},
      {"the filename of attachment 1 has a control character",
       [](Message& m) { m.attachments = {File("a\n", "", "")}; }},
      {"the content type of attachment 1 is not a media type",
       [](Message& m) { m.attachments = {File("", "pdf", "")}; }},
      {"the content id of attachment 1 is not printable ASCII without blanks and brackets",
       [](Message& m) { m.attachments = {File("", "", "", "<logo>")}; }},
      {"the content id of attachment 1 is not printable ASCII without blanks and brackets",
       [](Message& m) { m.attachments = {File("", "", "", "löwe")}; }},
      {"the content id of attachment 2 is another attachment's, too",
       [](Message& m) {
         m.attachments = {File("", "", "", "a"), File("", "", "", "a")};
       }},
      {"a header has a name that is not allowed",
       [](Message& m) {
         m.headers = {{"X A", ""}};
       }},
      {"the header bcc is not for callers",
       [](Message& m) {
         m.headers = {{"bcc", "a@b"}};
       }},
      {"the header X-A has a control character",
       [](Message& m) {
         m.headers = {{"X-A", "\r"}};
       }},
      {"In-Reply-To is not a message id", [](Message& m) { m.in_reply_to = "a@b"; }},
      {"Sender has no address", [](Message& m) { m.sender.emplace(); }},
      {"List-Unsubscribe has no https URL", [](Message& m) { m.unsubscribe.emplace(); }},
      {"List-Unsubscribe has no https URL",
       [](Message& m) {
         m.unsubscribe = {"http://example.com", {}, false};
       }},
      {"List-Unsubscribe has no https URL",
       [](Message& m) {
         m.unsubscribe = {"https://a/>,<https://b", {}, false};
       }},
      {"List-Unsubscribe has no https URL",
       [](Message& m) {
         m.unsubscribe = {"", Box("a@b.example").address, true};
       }},
      {"the header X-PRIORITY would be there twice",
       [](Message& m) {
         m.priority = Priority::kLow;
         m.headers = {{"X-PRIORITY", "1"}};
       }},
      {"the header List-Unsubscribe would be there twice",
       [](Message& m) {
         m.unsubscribe = {"https://example.com", {}, false};
         m.headers = {{"List-Unsubscribe", "<https://other.example>"}};
       }},
      {"In-Reply-To is not a message id", [](Message& m) { m.in_reply_to = "<a@b> <c@d>"; }},
      {"the calendar object: it does not end with END:VCALENDAR",
       [](Message& m) { m.calendar = "BEGIN:VCALENDAR\n"; }},
      {"References has what is not a message id", [](Message& m) { m.references = {"<>"}; }},
      {"References has what is not a message id",
       [](Message& m) { m.references = {"<" + std::string(1000, 'x') + ">"}; }},
  };
  for (const auto& [detail, spoil] : cases) {
    Message message = Simple();
    spoil(message);
    EXPECT_EQ(Problem(message), detail);
  }
  const Message message = Simple();
  ComposeOptions options = Options();
  options.message_id = "id@example.com";
  EXPECT_FALSE(Compose(message, options));
}

TEST(IsReservedHeader, KnowsOwnAndTransportHeadersInAnyCase) {
  for (const char* name : {"From",         "FROM",         "to",
                           "Cc",           "bCC",          "Reply-To",
                           "Sender",       "Subject",      "Date",
                           "Message-ID",   "In-Reply-To",  "References",
                           "MIME-Version", "Content-Type", "content-anything",
                           "Received",     "Return-Path",  "DKIM-Signature",
                           "ARC-Seal",     "Resent-Bcc",   "Authentication-Results"}) {
    EXPECT_TRUE(IsReservedHeader(name)) << name;
  }
  for (const char* name : {"X-Mailer", "List-Unsubscribe", "Auto-Submitted", "X-MC-Tags",
                           "X-SMTPAPI", "Importance", "Fromage", "Archive", "Contents"}) {
    EXPECT_FALSE(IsReservedHeader(name)) << name;
  }
}

TEST(IsHeaderName, TakesVisibleAsciiButColon) {
  for (const char* name : {"X", "X-A_b.1", "List-Unsubscribe"}) EXPECT_TRUE(IsHeaderName(name));
  EXPECT_TRUE(IsHeaderName(std::string(76, 'x')));
  EXPECT_FALSE(IsHeaderName(std::string(77, 'x')));
  for (const char* name : {"", "a b", "a:", "ü", "a\r\nb", "a\t", "X-\u760A", "\x7F"}) {
    EXPECT_FALSE(IsHeaderName(name)) << name;
  }
}

TEST(Compose, MessageWithoutLargeAttachmentsIsOneTextReservedAtOnce) {
  Message message = Simple();
  message.text = std::string(300'000, 'x') + "ü";
  message.html = "<p>";
  std::string letter;
  while (letter.size() < 50'000) letter += "line\r\n";
  message.attachments = {File("a.png", "image/png", std::string(10'000, 'x'), "logo"),
                         File("a.eml", "message/rfc822", letter)};
  const auto composed = Compose(message, Options());
  ASSERT_TRUE(composed);
  ASSERT_EQ(composed->content.pieces().size(), 1u);
  const std::string& text = composed->content.pieces()[0].text;
  EXPECT_LT(text.capacity(), text.size() + (64 << 10));
}

TEST(Compose, LargeAttachmentIsReadWhereItIs) {
  Message message = Simple();
  message.html = "<img src=\"cid:logo\">";
  message.attachments = {File("a.bin", "", std::string(30 << 20, '\x5A')),
                         File("a.png", "image/png", std::string(100'000, 'x'), "logo"),
                         File("a.txt", "text/plain", "small"),
                         File("b.bin", "", std::string(17 << 10, '\x5B'))};
  const auto composed = Compose(message, Options());
  ASSERT_TRUE(composed);
  std::vector<const char*> files;
  for (const base::Content::Piece& piece : composed->content.pieces()) {
    // Texts and files take turns; text is short and begins and ends with a whole line.
    EXPECT_EQ(piece.file.empty(), &piece == &composed->content.pieces()[2 * files.size()]);
    EXPECT_LT(piece.text.capacity(), 16u << 10);
    if (piece.file.empty()) {
      EXPECT_TRUE(piece.text.ends_with("\r\n"));
      EXPECT_TRUE(files.empty() || piece.text.starts_with("\r\n--"));
    } else {
      files.push_back(piece.file.data());
    }
  }
  const std::vector<Attachment>& attached = message.attachments;
  EXPECT_THAT(files, testing::ElementsAre(attached[1].content.data(), attached[0].content.data(),
                                          attached[3].content.data()));
}

TEST(Compose, LargeAttachmentIsBase64AsASmallOne) {
  Message message = Simple();
  std::string file;
  for (unsigned i = 0; i < 100'000; ++i) file += static_cast<char>(i * i >> 3);
  message.attachments = {File("a.bin", "", file)};
  const std::string bytes = Bytes(message);
  const size_t begin = bytes.find("\r\n\r\n", bytes.find("filename=\"a.bin\"")) + 4;
  const std::string encoded = bytes.substr(begin, bytes.find("\r\n--", begin) - begin);
  EXPECT_EQ(DecodeBase64(encoded), file);
  for (const std::string& line : Lines(encoded + "\r\n")) EXPECT_LE(line.size(), 76u);
}

}  // namespace
}  // namespace sendstep::mime
