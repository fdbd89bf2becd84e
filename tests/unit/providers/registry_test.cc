#include "providers/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace sendstep::providers {
namespace {

using testing::HasSubstr;

const Registry& Embedded() {
  static const Registry& registry = *new Registry(Registry::Embedded());
  return registry;
}

std::string IdOf(const Profile* profile) { return profile == nullptr ? "" : profile->id(); }

// A folder of profiles, removed at the end.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "profilesXXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string ProfileText(const std::string& id, const std::string& more = "") {
  return "id: \"" + id +
         "\" title: \"Acme\" host: \"smtp.acme.example\" doc_url: \"https://acme.example/smtp\"\n"
         "ports { number: 587 tls: TLS_FORM_STARTTLS } default_port: 587 auth_mechanisms: "
         "\"PLAIN\"\n"
         "username { help: \"u\" } password { help: \"p\" }\n" +
         more;
}

TEST(RegistryTest, HoldsTheProfilesInOrder) {
  std::vector<std::string> ids;
  for (const auto& profile : Embedded().profiles()) ids.push_back(profile->id());
  EXPECT_THAT(ids,
              testing::ElementsAre("brevo", "custom", "elasticemail", "fastmail", "gmail",
                                   "gmail-relay", "icloud", "mailersend", "mailgun", "mailjet",
                                   "mandrill", "microsoft365", "postmark", "resend", "sandbox",
                                   "sendgrid", "ses", "smtp2go", "sparkpost", "yahoo", "zoho"));
}

TEST(RegistryTest, FindsByIdAndAliasInAnyCase) {
  EXPECT_EQ(IdOf(Embedded().FindByName("gmail")), "gmail");
  EXPECT_EQ(IdOf(Embedded().FindByName("MailChimp")), "mandrill");
  EXPECT_EQ(IdOf(Embedded().FindByName("twilio-sendgrid")), "sendgrid");
  EXPECT_EQ(IdOf(Embedded().FindByName("Office365")), "microsoft365");
  EXPECT_EQ(IdOf(Embedded().FindByName("outlook")), "microsoft365");
  EXPECT_EQ(IdOf(Embedded().FindByName("Sendinblue")), "brevo");
  EXPECT_EQ(IdOf(Embedded().FindByName("")), "");
  EXPECT_EQ(IdOf(Embedded().FindByName("gmai")), "");
}

TEST(RegistryTest, FindsByHostOfEveryKind) {
  EXPECT_EQ(IdOf(Embedded().FindByHost("SMTP.gmail.com.")), "gmail");
  EXPECT_EQ(IdOf(Embedded().FindByHost("smtp-relay.gmail.com")), "gmail-relay");
  EXPECT_EQ(IdOf(Embedded().FindByHost("smtp-broadcasts.postmarkapp.com")), "postmark");
  EXPECT_EQ(IdOf(Embedded().FindByHost("smtp.eu.mailgun.org")), "mailgun");
  EXPECT_EQ(IdOf(Embedded().FindByHost("email-smtp.eu-west-1.amazonaws.com")), "ses");
  EXPECT_EQ(IdOf(Embedded().FindByHost("smtppro.zoho.eu")), "zoho");
  EXPECT_EQ(IdOf(Embedded().FindByHost("mail-eu.smtp2go.com")), "smtp2go");
  EXPECT_EQ(IdOf(Embedded().FindByHost("email-smtp-fips.us-gov-west-1.amazonaws.com")), "ses");
  EXPECT_EQ(IdOf(Embedded().FindByHost("email-smtp.eu-west-1.amazonaws.com.evil.example")), "");
  EXPECT_EQ(IdOf(Embedded().FindByHost("smtp.example.com")), "");
  EXPECT_EQ(IdOf(Embedded().FindByHost("")), "");
}

TEST(RegistryTest, FindsByMailDomain) {
  EXPECT_EQ(IdOf(Embedded().FindByMailDomain("Gmail.com")), "gmail");
  EXPECT_EQ(IdOf(Embedded().FindByMailDomain("googlemail.com")), "gmail");
  EXPECT_EQ(IdOf(Embedded().FindByMailDomain("me.com")), "icloud");
  EXPECT_EQ(IdOf(Embedded().FindByMailDomain("yahoo.co.uk")), "yahoo");
  EXPECT_EQ(IdOf(Embedded().FindByMailDomain("example.com")), "");
}

TEST(RegistryTest, NearestForgivesTwoSlips) {
  EXPECT_EQ(Embedded().Nearest("gmial"), "gmail");
  EXPECT_EQ(Embedded().Nearest("SendGird"), "sendgrid");
  EXPECT_EQ(Embedded().Nearest("mailgum"), "mailgun");
  EXPECT_EQ(Embedded().Nearest("mailch"), "mailchimp");
  EXPECT_EQ(Embedded().Nearest("postmarkk"), "postmark");
  EXPECT_EQ(Embedded().Nearest("zzzzzz"), "");
  EXPECT_EQ(Embedded().Nearest("x"), "");
  EXPECT_EQ(Embedded().Nearest(std::string(100000, 'a')), "");
}

TEST(RegistryTest, ReadsRegionBackFromHost) {
  EXPECT_EQ(RegionOfHost(*Embedded().FindByName("mailgun"), "SMTP.EU.mailgun.org"), "eu");
  EXPECT_EQ(RegionOfHost(*Embedded().FindByName("mailgun"), "smtp.mailgun.org"), "us");
  EXPECT_EQ(RegionOfHost(*Embedded().FindByName("ses"), "email-smtp.ap-south-1.amazonaws.com"),
            "ap-south-1");
  EXPECT_EQ(RegionOfHost(*Embedded().FindByName("zoho"), "smtp.zoho.com.au"), "com.au");
  EXPECT_EQ(RegionOfHost(*Embedded().FindByName("zoho"), "smtppro.zohocloud.ca"), "ca-pro");
  EXPECT_EQ(RegionOfHost(*Embedded().FindByName("gmail"), "smtp.gmail.com"), "");
}

TEST(RegistryTest, FolderAddsProfiles) {
  Folder folder;
  folder.Write("acme.textproto", ProfileText("acme"));
  folder.Write("README.md", "not a profile");
  const auto registry = Registry::WithFolder(folder.path());
  ASSERT_TRUE(registry.ok()) << registry.status();
  EXPECT_EQ(IdOf(registry->FindByHost("smtp.acme.example")), "acme");
  EXPECT_EQ(IdOf(registry->FindByName("gmail")), "gmail");
  EXPECT_EQ(registry->profiles().size(), Embedded().profiles().size() + 1);
}

TEST(RegistryTest, FolderTakesTheEmbeddedProfilesPlace) {
  Folder folder;
  folder.Write("own.textproto", ProfileText("gmail"));
  const auto registry = Registry::WithFolder(folder.path());
  ASSERT_TRUE(registry.ok()) << registry.status();
  EXPECT_EQ(registry->FindByName("gmail")->host(), "smtp.acme.example");
  EXPECT_EQ(registry->FindByHost("smtp.gmail.com"), nullptr);
}

TEST(RegistryTest, SyntaxErrorNamesFileAndLine) {
  Folder folder;
  folder.Write("broken.textproto", "id: \"acme\"\ntitle: \n}");
  const auto registry = Registry::WithFolder(folder.path());
  EXPECT_EQ(registry.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(registry.status().message()),
              HasSubstr((folder.path() / "broken.textproto").string() + ":3:1: "));
}

TEST(RegistryTest, FaultNamesFile) {
  Folder folder;
  folder.Write("acme.textproto", ProfileText("acme", "mail_domains: \"Acme Example\""));
  const auto registry = Registry::WithFolder(folder.path());
  EXPECT_THAT(std::string(registry.status().message()), HasSubstr("acme.textproto: mail_domains"));
}

TEST(RegistryTest, NamesAndHostsBelongToOneProfileOnly) {
  for (const char* claim : {"aliases: \"mailchimp\"", "other_hosts: \"smtp.gmail.com\"",
                            "mail_domains: \"gmail.com\"", "aliases: \"ses\""}) {
    Folder folder;
    folder.Write("acme.textproto", ProfileText("acme", claim));
    const auto registry = Registry::WithFolder(folder.path());
    EXPECT_THAT(std::string(registry.status().message()), HasSubstr("belongs to two profiles"))
        << claim;
  }
}

TEST(RegistryTest, TwoFilesMayNotShareAnId) {
  Folder folder;
  folder.Write("a.textproto", ProfileText("acme"));
  folder.Write("b.textproto", ProfileText("acme"));
  EXPECT_THAT(std::string(Registry::WithFolder(folder.path()).status().message()),
              HasSubstr("b.textproto: its id is that of"));
}

TEST(RegistryTest, MissingFolderIsAnError) {
  EXPECT_EQ(Registry::WithFolder("/nonexistent/profiles").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RegistryTest, EmptyFileIsAnErrorNotAProfile) {
  Folder folder;
  folder.Write("empty.textproto", "");
  EXPECT_THAT(std::string(Registry::WithFolder(folder.path()).status().message()),
              HasSubstr("id is malformed"));
}

}  // namespace
}  // namespace sendstep::providers
