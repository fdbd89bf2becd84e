// sendstep inbox against a Maildir of the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/clients/cli/cli_test_support.h"

namespace sendstep::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class InboxTest : public ::testing::Test {
 protected:
  InboxTest() {
    std::filesystem::create_directories(folder_.path() / "new");
    std::filesystem::create_directories(folder_.path() / "cur");
  }

  // Stored `age` minutes ago.
  void Store(const std::string& name, const std::string& mail, int age) {
    const std::string file = folder_.Write(name, mail);
    std::filesystem::last_write_time(
        file, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(age));
  }

  int Inbox(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"inbox", "--maildir", folder_.path().string()});
    return process_.Run(arguments);
  }

  TempFolder folder_;
  FakeProcess process_;
};

const char kOld[] =
    "From: Ann <ann@example.com>\r\nTo: bob@example.com\r\n"
    "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n =?utf-8?q?_all?=\r\n\r\nold body\r\n";
const char kNew[] =
    "From: eve@example.com\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?=1B[2Jx?=\r\n"
    "\r\nnew \x1b[31mbody\r\n";

TEST_F(InboxTest, ListIsNewestLastAndDecoded) {
  Store("new/200.M1.host", kNew, 1);
  Store("cur/300.M2.host:2,S", kOld, 5);
  EXPECT_EQ(Inbox({"list"}), 0);
  const std::string text = process_.out.str();
  EXPECT_THAT(text, HasSubstr("Ann <ann@example.com>  bob@example.com  Grüße all\n"));
  EXPECT_THAT(text, HasSubstr("\\x1b[2Jx\n"));
  EXPECT_LT(text.find("300.M2.host  "), text.find("200.M1.host  "));
}

TEST_F(InboxTest, ManyRecipientsAreCountedAndLongTextIsCut) {
  std::string to = "\"Lee, Ann\" <a0@example.com>";
  for (int i = 1; i < 1000; ++i) to += ",\r\n b" + std::to_string(i) + "@x.org";
  Store("new/1.a.b",
        "From: " + std::string(500, 'f') + "\r\nTo: " + to +
            "\r\nSubject: " + std::string(900, 's') + "\r\n\r\n",
        1);
  EXPECT_EQ(Inbox({"list"}), 0);
  const std::string text = process_.out.str();
  EXPECT_THAT(text, HasSubstr("fff...  \"Lee, Ann\" <a0@example.com>, +999 more  sss"));
  EXPECT_THAT(text, HasSubstr("sss...\n"));
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    EXPECT_LT(text.find('\n', at) - at, 200u);
  }
}

TEST_F(InboxTest, AsManyRecipientsAreShownAsFit) {
  Store("new/1.a.b", "To: ann@x.org, bob@x.org, cy@x.org, dan@x.org, eve@x.org\r\n\r\n", 3);
  Store("new/2.a.b", "To: " + std::string(60, 'a') + "@x.org, bob@x.org\r\n\r\n", 2);
  Store("new/3.a.b", "To: ann@x.org, bob@x.org, cy@x.org\r\n\r\n", 1);
  EXPECT_EQ(Inbox({"list"}), 0);
  const std::string text = process_.out.str();
  EXPECT_THAT(text, HasSubstr("  ann@x.org, bob@x.org, cy@x.org, +2 more\n"));
  EXPECT_THAT(text, HasSubstr("  " + std::string(28, 'a') + "..., +1 more\n"));
  EXPECT_THAT(text, HasSubstr("  ann@x.org, bob@x.org, cy@x.org\n"));
}

TEST_F(InboxTest, AnEmptyInboxIsNoFailure) {
  EXPECT_EQ(Inbox({"list"}), 0);
  EXPECT_EQ(process_.out.str(), "");
  EXPECT_EQ(process_.err.str(), "no mail yet\n");
}

TEST_F(InboxTest, ShowIsTheLastUnlessNamed) {
  Store("new/100.M1.host", kOld, 5);
  Store("new/200.M2.host", kNew, 1);
  EXPECT_EQ(Inbox({"show"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr("\n\nnew \\x1b[31mbody\n"));
  process_.out.str("");
  EXPECT_EQ(Inbox({"show", "100"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr("\n\nold body\n"));
}

TEST_F(InboxTest, RawWritesTheBytes) {
  Store("new/1.a.b", kNew, 1);
  EXPECT_EQ(Inbox({"show", "last", "--raw"}), 0);
  EXPECT_EQ(process_.out.str(), kNew);
}

TEST_F(InboxTest, HeadersLeaveTheBodyOut) {
  Store("new/1.a.b", kOld, 1);
  EXPECT_EQ(Inbox({"show", "--headers"}), 0);
  EXPECT_THAT(process_.out.str(), HasSubstr("To: bob@example.com\n"));
  EXPECT_THAT(process_.out.str(), Not(HasSubstr("body")));
}

TEST_F(InboxTest, AmbiguousAndUnknownIdsAreRefused) {
  Store("new/100.M1.host", kOld, 5);
  Store("new/101.M1.host", kOld, 5);
  EXPECT_EQ(Inbox({"show", "10"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("several mails start with 10"));
  EXPECT_EQ(Inbox({"show", "9"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("no mail 9"));
}

TEST_F(InboxTest, LinksAreNotFollowed) {
  const std::string secret = folder_.Write("secret", "Subject: secret\r\n\r\n");
  std::filesystem::create_symlink(secret, folder_.path() / "new" / "1.x.y");
  EXPECT_EQ(Inbox({"list"}), 0);
  EXPECT_EQ(process_.out.str(), "");
}

TEST_F(InboxTest, JsonListsAndShows) {
  Store("new/100.M1.host", kOld, 5);
  EXPECT_EQ(Inbox({"list", "--json"}), 0);
  auto json = nlohmann::json::parse(process_.out.str());
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["id"], "100.M1.host");
  EXPECT_EQ(json[0]["subject"], "Grüße all");
  process_.out.str("");
  EXPECT_EQ(Inbox({"show", "--json"}), 0);
  json = nlohmann::json::parse(process_.out.str());
  EXPECT_EQ(json["source"], kOld);
  EXPECT_EQ(json["headers"][2]["value"], "Grüße all");
}

TEST_F(InboxTest, AFolderThatIsNoMaildirIsToldSo) {
  EXPECT_EQ(process_.Run({"inbox", "--maildir", "/not/there", "list"}), 2);
  EXPECT_THAT(process_.err.str(), HasSubstr("/not/there is no Maildir on this machine"));
}

}  // namespace
}  // namespace sendstep::cli
