// Composes messages of every form and has an independent, strict parser compare them field by
// field.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "tests/unit/transport/mime/decoders.h"
#include "transport/mime/compose.h"

namespace sendstep::mime {
namespace {

using nlohmann::json;

std::string ToBase64(const std::string& bytes) {
  std::string out(bytes.size() / 3 * 4 + 8, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string FromBase64(const std::string& text) {
  std::string out(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<size_t>(size) - padding);
  return out;
}

std::string RandomBytes(size_t size) {
  std::mt19937 random(7);
  std::string bytes = "%PDF-1.7\r\n";
  while (bytes.size() < size) bytes += static_cast<char>(random());
  return bytes;
}

json File(const char* filename, const char* type, const std::string& content, const char* id = "") {
  return {{"filename", filename},
          {"contentType", type},
          {"content", ToBase64(content)},
          {"contentId", id}};
}

Mailbox ToMailbox(const json& address) {
  return {base::ParseAddress(address.at("email").get<std::string>()).value(),
          address.value("name", "")};
}

std::vector<Mailbox> ToMailboxes(const json& email, const char* field) {
  std::vector<Mailbox> mailboxes;
  for (const json& address : email.value(field, json::array())) {
    mailboxes.push_back(ToMailbox(address));
  }
  return mailboxes;
}

// The JSON form of sendstep.v1.Email as a Message.
Message ToMessage(const json& email) {
  Message message;
  message.from = ToMailbox(email.at("from"));
  message.to = ToMailboxes(email, "to");
  message.cc = ToMailboxes(email, "cc");
  message.reply_to = ToMailboxes(email, "replyTo");
  message.subject = email.value("subject", "");
  message.text = email.value("text", "");
  message.html = email.value("html", "");
  for (const json& file : email.value("attachments", json::array())) {
    message.attachments.push_back({file.value("filename", ""), file.value("contentType", ""),
                                   FromBase64(file.value("content", "")),
                                   file.value("contentId", "")});
  }
  for (const json& header : email.value("headers", json::array())) {
    message.headers.push_back({header.at("name"), header.at("value")});
  }
  message.in_reply_to = email.value("inReplyTo", "");
  message.references = email.value("references", std::vector<std::string>());
  return message;
}

// A folder of messages with what each was made of.
class ParseBack : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "sendstep-mime-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  static json Email() {
    return {{"from", {{"email", "from@example.com"}, {"name", "Sender"}}},
            {"to", {{{"email", "to@example.com"}}}},
            {"subject", "Hello"}};
  }

  void Add(const std::string& name, const json& email) {
    const ComposeOptions options = {std::chrono::system_clock::now(),
                                    "<0123456789abcdef0123456789abcdef@example.com>", "seed"};
    const Message message = ToMessage(email);
    const auto composed = Compose(message, options);
    ASSERT_TRUE(composed) << name << ": " << composed.error().detail;
    Write(name, email, Flat(composed->content));
  }

  void Write(const std::string& name, const json& email, const std::string& bytes) {
    std::ofstream(folder_ / (name + ".json")) << email.dump();
    std::ofstream(folder_ / (name + ".eml"), std::ios::binary) << bytes;
  }

  // The exit code of parse_back.py.
  int Compare(const std::string& output = "") const {
    const std::string command = "/usr/bin/python3 -B " SENDSTEP_SOURCE_DIR
                                "/tests/integration/parse_back.py " +
                                folder_.string() + output;
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::filesystem::path folder_;
};

constexpr const char* kHtml =
    "<html><body>\n<p style=\"color: #333\">Grüße aus München 🐊</p>\n"
    "<img src=\"cid:logo@example.com\">\n</body></html>\n";
constexpr const char* kText = "Grüße aus München 🐊\n\n.\nFrom here on = \t\nlast line without end";

TEST_F(ParseBack, BodiesOfEveryForm) {
  json email = Email();
  email["text"] = "plain\r\nASCII\nlines\n";
  Add("text_ascii", email);
  email["text"] = kText;
  Add("text_umlauts", email);
  email["text"] = "日本語のメールです。\n改行もあります。\n";
  Add("text_base64", email);
  email["text"] = std::string(5000, 'x') + "\n" + std::string(500, ' ') + "\n";
  Add("text_long_lines", email);
  email["html"] = kHtml;
  Add("both", email);
  email.erase("text");
  Add("html", email);
  email.erase("html");
  Add("nothing", email);
  EXPECT_EQ(Compare(), 0);
}

TEST_F(ParseBack, AttachmentsAndInlineParts) {
  const json pdf = File("Angebot für Jürgen 🐊.pdf", "application/pdf", RandomBytes(3 << 20));
  const json small = File("Anhang ü.pdf", "application/pdf", RandomBytes(100));
  const json png = File("Löwe.png", "image/png", RandomBytes(1000), "logo@example.com");
  json email = Email();
  email["text"] = kText;
  email["attachments"] = json::array({small});
  Add("text_file", email);
  email["html"] = kHtml;
  Add("both_file", email);
  email["attachments"] = json::array({png});
  Add("both_inline", email);
  email["attachments"] = {pdf, png, File("second.png", "image/png", "x", "second")};
  Add("both_file_inline", email);
  email["attachments"] = {small, png};
  email.erase("text");
  Add("html_file_inline", email);
  email.erase("html");
  Add("files_only", email);
  EXPECT_EQ(Compare(), 0);
}

TEST_F(ParseBack, FilenamesAndTypesOfEveryForm) {
  json email = Email();
  email["text"] = "x";
  email["attachments"] = {
      File("", "", ""),
      File("plain.txt", "text/plain; charset=\"utf-8\"; name=\"old.txt\"", "Grüße\n"),
      File("a \"quoted\" name; with, (specials).pdf", "application/pdf", "x"),
      File("=?utf-8?q?looks_encoded?=.pdf", "application/pdf", "x"),
      File("日本語の長い名前のファイル、とても長いので一行には入りません、本当に長いです.docx",
           "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "x"),
      File("a very long name in plain ASCII that does not fit on a line, so it goes on and on.txt",
           "text/plain", "x"),
      File("100% 'sure' *.txt", "text/plain", "x"),
      File("invite.ics", "text/calendar; method=REQUEST; charset=utf-8", "BEGIN:VCALENDAR\r\n"),
      File("mail.eml", "message/rfc822", "From: a@b.c\r\nSubject: inner\r\n\r\nbody\r\n"),
      File("umlaut.eml", "message/rfc822", "Subject: ü\r\n\r\nbody\r\n"),
      File("x", "multipart/mixed; boundary=x", "--x\r\n\r\n--x--\r\n"),
      File("cid.png", "image/png", "x", "unused@example.com"),
  };
  Add("files", email);
  EXPECT_EQ(Compare(), 0);
}

TEST_F(ParseBack, AddressesAndNames) {
  json email = Email();
  email["text"] = "x";
  email["from"] = {{"email", "info@Müller.example"}, {"name", "Jürgen Müller 🐊, Büro \"Süd\""}};
  email["to"] = {{{"email", "a@faß.example"}, {"name", "Muster, Max (Einkauf)"}},
                 {{"email", "\"quoted local\"@example.com"}, {"name", "Dr. Max"}},
                 {{"email", "b@[192.0.2.1]"}, {"name", "=?utf-8?q?x?="}},
                 {{"email", "c@例え.テスト"}, {"name", "日本語の名前"}}};
  email["cc"] = {{{"email", "d@example.com"}, {"name", std::string(200, 'n')}}};
  email["replyTo"] = {{{"email", "e@example.com"}}, {{"email", "f@example.com"}, {"name", "F"}}};
  email["bcc"] = {{{"email", "hidden@example.com"}}};
  Add("names", email);
  email["to"] = json::array();
  email["cc"] = json::array();
  Add("blind_only", email);
  email["to"] = json::array();
  for (int i = 0; i < 60; ++i) {
    email["to"].push_back({{"email", "recipient" + std::to_string(i) + "@example.com"},
                           {"name", i % 2 == 0 ? "Empfänger Nummer " + std::to_string(i) : ""}});
  }
  Add("sixty", email);
  email["to"] = {{{"email", "jürgen@müller.example"}, {"name", "Jürgen"}}};
  email["from"] = {{"email", "用户@例子.example"}};
  Add("smtputf8", email);
  EXPECT_EQ(Compare(), 0);
}

TEST_F(ParseBack, SubjectsAndOtherFields) {
  const std::pair<const char*, std::string> subjects[] = {
      {"umlauts", "Grüße aus München 🐊"},
      {"long",
       "Ein sehr langer Betreff über Löwen, Bären und Übermut, der auf keine Zeile passt, "
       "mit 🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊🐊 und Ende"},
      {"ascii",
       "A long subject in plain ASCII that has to be folded since it does not fit on one "
       "line, with  two blanks and a last word"},
      {"blanks", "  blanks at both ends  "},
      {"looks_encoded", "=?utf-8?q?x?= and =?iso-8859-1?b?eA==?="},
      {"unbroken", std::string(3000, 'x')},
      {"chinese", "这是一个很长的主题，用来测试编码字的折叠，不能在字符中间断开，否则就会乱码"},
      {"empty", ""},
  };
  json email = Email();
  email["text"] = "x";
  for (const auto& [name, subject] : subjects) {
    email["subject"] = subject;
    Add(std::string("subject_") + name, email);
  }
  email["subject"] = "Re: thread";
  email["inReplyTo"] = "<parent@example.com>";
  for (int i = 0; i < 120; ++i) {
    email["references"].push_back("<" + std::to_string(i) + std::string(30, 'r') + "@example.com>");
  }
  email["headers"] = {{{"name", "X-Campaign"}, {"value", "Frühling 🐊"}},
                      {{"name", "X-Campaign"}, {"value", "second"}},
                      {{"name", "X-Empty"}, {"value", ""}},
                      {{"name", "Auto-Submitted"}, {"value", "auto-generated"}},
                      {{"name", "List-Unsubscribe"},
                       {"value", "<https://example.com/unsubscribe?user=" + std::string(60, 'u') +
                                     ">, <mailto:unsubscribe@example.com?subject=unsubscribe>"}}};
  Add("thread_and_headers", email);
  EXPECT_EQ(Compare(), 0);
}

TEST_F(ParseBack, EveryDifferenceIsSeen) {
  json email = Email();
  email["text"] = kText;
  email["html"] = kHtml;
  email["cc"] = {{{"email", "cc@example.com"}, {"name", "Löwe"}}};
  email["attachments"] = {File("a.png", "image/png", "inline", "logo@example.com"),
                          File("a.pdf", "application/pdf", "file")};
  email["headers"] = {{{"name", "X-A"}, {"value", "a"}}};
  email["references"] = {"<a@b>"};
  const Message message = ToMessage(email);
  const auto composed =
      Compose(message, {std::chrono::system_clock::now(), "<id@example.com>", "seed"});
  ASSERT_TRUE(composed);
  const std::pair<const char*, json> changes[] = {
      {"/subject", "Hallo"},
      {"/from/name", "Other"},
      {"/to/0/email", "other@example.com"},
      {"/cc/0/name", "Bär"},
      {"/replyTo", json::array({{{"email", "x@example.com"}}})},
      {"/text", "other"},
      {"/html", "other"},
      {"/attachments/0/contentId", "other"},
      {"/attachments/0/content", "AAAA"},
      {"/attachments/1/filename", "b.pdf"},
      {"/attachments/1/contentType", "image/gif"},
      {"/attachments/1/content", "AAAA"},
      {"/headers/0/value", "b"},
      {"/references/0", "<b@b>"},
      {"/inReplyTo", "<a@b>"},
  };
  size_t changed = 0;
  for (const auto& [path, value] : changes) {
    json other = email;
    other[json::json_pointer(path)] = value;
    Write("changed" + std::to_string(changed++), other, Flat(composed->content));
  }
  Write("bare_line_feed", email, Flat(composed->content) + "bare\n");
  Write("same", email, Flat(composed->content));
  const std::filesystem::path output = folder_ / "output";
  EXPECT_EQ(Compare(" >" + output.string()), 1);
  std::ifstream lines(output);
  size_t different = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(": equal") != std::string::npos) EXPECT_EQ(line, "same: equal");
    if (line.find(": DIFFERENT") != std::string::npos) ++different;
  }
  EXPECT_EQ(different, std::size(changes) + 1);
}

TEST_F(ParseBack, NothingToCompareIsAnError) { EXPECT_EQ(Compare(" >/dev/null"), 2); }

}  // namespace
}  // namespace sendstep::mime
