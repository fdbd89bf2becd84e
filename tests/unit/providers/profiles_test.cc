// Every embedded profile: consistent, whole, and as documented.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "providers/embedded_profiles.h"
#include "providers/explain.h"
#include "providers/registry.h"
#include "providers/resolve.h"

namespace sendstep::providers {
namespace {

using testing::HasSubstr;

const Registry& Embedded() {
  static const Registry& registry = *new Registry(Registry::Embedded());
  return registry;
}

// "535 5.7.8 Text" as a reply.
base::Reply ReplyOf(const std::string& text) {
  base::Reply reply;
  reply.code = std::stoi(text.substr(0, 3));
  std::string rest = text.substr(4);
  const auto blank = rest.find(' ');
  const std::string first = rest.substr(0, blank);
  if (first.size() >= 5 && first[1] == '.' && first[0] == text[0]) {
    reply.enhanced_code = first;
    rest = blank == std::string::npos ? "" : rest.substr(blank + 1);
  }
  reply.lines = {rest};
  return reply;
}

base::Stage StageNamed(const std::string& name) {
  for (int stage = 0; stage <= static_cast<int>(base::Stage::kData); ++stage) {
    if (base::StageName(static_cast<base::Stage>(stage)) == name)
      return static_cast<base::Stage>(stage);
  }
  ADD_FAILURE() << "no stage " << name;
  return base::Stage::kConfig;
}

TEST(ProfilesTest, EmbeddedBytesAreThoseOfTheFiles) {
  const std::filesystem::path folder =
      std::filesystem::path(SENDSTEP_SOURCE_DIR) / "providers/profiles";
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files += entry.path().extension() == ".textproto";
  }
  EXPECT_EQ(EmbeddedProfiles().size(), files);
  for (const EmbeddedProfile& embedded : EmbeddedProfiles()) {
    std::ifstream file(folder / embedded.file_name, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_EQ(embedded.text, text.str()) << embedded.file_name;
  }
}

TEST(ProfilesTest, FileIsNamedForItsId) {
  for (const EmbeddedProfile& embedded : EmbeddedProfiles()) {
    const std::string name(embedded.file_name.substr(0, embedded.file_name.find('.')));
    ASSERT_NE(Embedded().FindByName(name), nullptr) << name;
    EXPECT_EQ(Embedded().FindByName(name)->id(), name);
  }
}

TEST(ProfilesTest, EachIsConsistent) {
  for (const auto& profile : Embedded().profiles()) {
    EXPECT_TRUE(CheckProfile(*profile).ok()) << profile->id() << "\n" << CheckProfile(*profile);
  }
}

TEST(ProfilesTest, EachSaysWhatToDoAfterATestAndHowToLogIn) {
  for (const auto& profile : Embedded().profiles()) {
    EXPECT_FALSE(profile->after_accepted().empty()) << profile->id();
    EXPECT_FALSE(profile->username().help().empty()) << profile->id();
    EXPECT_FALSE(profile->password().help().empty()) << profile->id();
    EXPECT_FALSE(profile->domain_help().empty()) << profile->id();
  }
}

TEST(ProfilesTest, EveryFileNamesItsSources) {
  for (const EmbeddedProfile& embedded : EmbeddedProfiles()) {
    if (embedded.file_name == "custom.textproto" || embedded.file_name == "sandbox.textproto")
      continue;
    EXPECT_THAT(std::string(embedded.text), HasSubstr("# source: https://")) << embedded.file_name;
  }
}

// " (`--region us`, `eu`)", at most three of them.
std::string RegionsCell(const Profile& profile) {
  const auto& known = profile.regions().known();
  std::string cell;
  for (int i = 0; i < std::min(known.size(), 3); ++i) {
    cell += i == 0 ? " (`--region " + known[i] + "`" : ", `" + known[i] + "`";
  }
  if (known.size() > 3) cell += ", …";
  return cell.empty() ? cell : cell + ")";
}

std::string ReadmeRow(const Profile& profile) {
  std::string row = "| " + profile.title() + RegionsCell(profile) + " | `" + profile.id() + "`";
  if (profile.aliases_size() > 0) row += ", `" + profile.aliases(0) + "`";
  return row + " | " + profile.username().summary() + " | " + profile.password().summary() + " |\n";
}

TEST(ProfilesTest, TableInTheReadmeIsMadeOfThem) {
  std::string table = "| provider | `--provider` | username | password |\n|---|---|---|---|\n";
  for (const auto& profile : Embedded().profiles()) {
    if (profile->id() != "sandbox" && profile->id() != "custom") table += ReadmeRow(*profile);
  }
  table += ReadmeRow(Embedded().Custom());
  std::ifstream file(std::filesystem::path(SENDSTEP_SOURCE_DIR) / "README.md");
  std::ostringstream readme;
  readme << file.rdbuf();
  EXPECT_NE(readme.str().find(table), std::string::npos) << "Put it into README.md:\n" << table;
}

TEST(ProfilesTest, ExampleOfEveryExplanationExplainsToItsReason) {
  int examples = 0;
  for (const auto& profile : Embedded().profiles()) {
    Resolved resolved;
    resolved.profile = profile.get();
    for (const auto& explanation : profile->explanations()) {
      std::vector<std::string> stages(explanation.stages().begin(), explanation.stages().end());
      if (stages.empty()) stages = {"auth", "mail_from", "rcpt_to", "data"};
      for (const std::string& stage : stages) {
        const base::Error error = base::Refused(StageNamed(stage), ReplyOf(explanation.example()));
        const Explained explained = Explain(error, resolved);
        EXPECT_EQ(explained.reason, explanation.reason())
            << profile->id() << ": " << explanation.example();
        EXPECT_EQ(explained.message, explanation.meaning()) << profile->id();
        EXPECT_EQ(explained.what_to_do, explanation.what_to_do()) << profile->id();
        EXPECT_FALSE(explained.doc_url.empty()) << profile->id();
        EXPECT_EQ(explained.retryable == Retryable::kTrue, explained.retry_after.count() > 0);
        ++examples;
      }
    }
  }
  EXPECT_GT(examples, 40);
}

TEST(ProfilesTest, ExampleOfEveryMessageIdYieldsAnId) {
  for (const auto& profile : Embedded().profiles()) {
    for (const auto& id : profile->message_ids()) {
      const base::Reply reply{250, "", {id.example()}};
      EXPECT_NE(ProviderMessageId(*profile, reply), "") << profile->id() << ": " << id.example();
    }
  }
}

TEST(ProfilesTest, WordsEndAsSentencesDo) {
  const auto is_sentence = [](const std::string& text) {
    return !text.empty() && text.back() == '.' &&
           (std::isupper(text[0]) != 0 || std::isdigit(text[0]) != 0);
  };
  for (const auto& profile : Embedded().profiles()) {
    std::vector<std::string> texts = {profile->username().help(), profile->password().help(),
                                      profile->domain_help()};
    for (const auto& text : profile->limits()) texts.push_back(text);
    for (const auto& text : profile->after_accepted()) texts.push_back(text);
    for (const auto& explanation : profile->explanations()) {
      texts.push_back(explanation.meaning());
      texts.push_back(explanation.what_to_do());
    }
    for (const std::string& text : texts)
      EXPECT_TRUE(is_sentence(text)) << profile->id() << ": " << text;
  }
}

TEST(ProfilesTest, LimitsAreThoseTheProvidersDocument) {
  const auto limits = [](const char* name) {
    return Embedded().FindByName(name)->sending_limits();
  };
  EXPECT_EQ(limits("microsoft365").max_connections(), 3u);
  EXPECT_EQ(limits("microsoft365").max_mails_per_second(), 0.5) << "30 a minute";
  EXPECT_EQ(limits("postmark").max_connections(), 10u);
  EXPECT_EQ(limits("sendgrid").max_mails_per_connection(), 5000u);
  EXPECT_EQ(limits("sparkpost").max_connections(), 10u);
  EXPECT_EQ(limits("sparkpost").max_mails_per_connection(), 100u);
  EXPECT_LT(limits("sparkpost").max_idle_seconds(), 60u) << "it closes after a minute";
  EXPECT_LE(limits("smtp2go").max_mails_per_second() * 3600, 200000);
}

TEST(ProfilesTest, OnlyTheSandboxIsKnownToSwallowARefusedChunk) {
  for (const auto& profile : Embedded().profiles()) {
    EXPECT_EQ(profile->swallows_refused_chunk(), profile->id() == "sandbox") << profile->id();
  }
}

// The settings users are told today: provider, server, port, TLS, username, password, domain.
struct Row {
  const char* provider;
  const char* server;
  const char* region;
  const char* username;
  const char* profile;
  const char* host;
};

class DocumentedRowTest : public testing::TestWithParam<Row> {
 protected:
  SmtpConfig Config() const {
    SmtpConfig config;
    config.provider = GetParam().provider;
    config.host = GetParam().server;
    config.region = GetParam().region;
    config.port = 587;
    config.tls = TlsChoice::kOn;
    config.username = GetParam().username;
    config.password = base::Secret("a password");
    config.domain = "yourdomain.com";
    return config;
  }
};

TEST_P(DocumentedRowTest, ComesOutWithStartTlsRequired) {
  const Resolved resolved = Resolve(Config(), Embedded(), {});
  for (const Finding& finding : resolved.findings) {
    EXPECT_NE(finding.severity, Severity::kError) << finding.field << ": " << finding.message;
  }
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.profile->id(), GetParam().profile);
  EXPECT_EQ(resolved.settings.host, GetParam().host);
  EXPECT_EQ(resolved.settings.port, 587);
  EXPECT_EQ(resolved.settings.tls.policy, smtp::TlsPolicy::kStartTls);
  EXPECT_TRUE(resolved.settings.tls.verify);
  EXPECT_EQ(resolved.settings.credentials->username, GetParam().username);
  EXPECT_EQ(resolved.settings.ehlo_name, "yourdomain.com");
}

TEST_P(DocumentedRowTest, PortAndTlsAreTheDefaultsToo) {
  SmtpConfig config = Config();
  config.port.reset();
  config.tls = TlsChoice::kUnset;
  const Resolved resolved = Resolve(config, Embedded(), {});
  EXPECT_TRUE(resolved.ok());
  EXPECT_EQ(resolved.settings.port, 587);
  EXPECT_EQ(resolved.settings.tls.policy, smtp::TlsPolicy::kStartTls);
}

TEST_P(DocumentedRowTest, UsernameFormIsKnown) {
  const Resolved resolved = Resolve(Config(), Embedded(), {});
  for (const Finding& finding : resolved.findings)
    EXPECT_NE(finding.field, "username") << finding.message;
}

constexpr char kSesUser[] = "AKIAEXAMPLE000000000";

INSTANTIATE_TEST_SUITE_P(
    Profiles, DocumentedRowTest,
    testing::Values(
        Row{"gmail", "smtp.gmail.com", "", "user@yourdomain.com", "gmail", "smtp.gmail.com"},
        Row{"gmail", "http://smtp.gmail.com/", "", "user@yourdomain.com", "gmail",
            "smtp.gmail.com"},
        Row{"Gmail", "smtp-relay.gmail.com", "", "user@yourdomain.com", "gmail-relay",
            "smtp-relay.gmail.com"},
        Row{"gmail-relay", "", "", "user@yourdomain.com", "gmail-relay", "smtp-relay.gmail.com"},
        Row{"", "smtp.gmail.com", "", "user@yourdomain.com", "gmail", "smtp.gmail.com"},
        Row{"Mailchimp", "smtp.mandrillapp.com", "", "you@yourdomain.com", "mandrill",
            "smtp.mandrillapp.com"},
        Row{"mandrill", "", "", "you@yourdomain.com", "mandrill", "smtp.mandrillapp.com"},
        Row{"mailgun", "smtp.mailgun.org", "", "smtpuser@yourdomain.com", "mailgun",
            "smtp.mailgun.org"},
        Row{"mailgun", "", "eu", "smtpuser@yourdomain.com", "mailgun", "smtp.eu.mailgun.org"},
        Row{"twilio-sendgrid", "smtp.sendgrid.net", "", "apikey", "sendgrid", "smtp.sendgrid.net"},
        Row{"sendgrid", "", "", "apikey", "sendgrid", "smtp.sendgrid.net"},
        Row{"ses", "", "eu-west-1", kSesUser, "ses", "email-smtp.eu-west-1.amazonaws.com"},
        Row{"ses", "email-smtp.us-east-1.amazonaws.com", "", kSesUser, "ses",
            "email-smtp.us-east-1.amazonaws.com"},
        Row{"postmark", "smtp.postmarkapp.com", "", "token", "postmark", "smtp.postmarkapp.com"},
        Row{"brevo", "", "", "000000001@smtp-brevo.com", "brevo", "smtp-relay.brevo.com"},
        Row{"sendinblue", "smtp-relay.sendinblue.com", "", "you@yourdomain.com", "brevo",
            "smtp-relay.sendinblue.com"},
        Row{"mailjet", "", "", "0123456789abcdef0123456789abcdef", "mailjet", "in-v3.mailjet.com"},
        Row{"sparkpost", "", "", "SMTP_Injection", "sparkpost", "smtp.sparkpostmail.com"},
        Row{"sparkpost", "", "eu", "SMTP_Injection:X-MSYS-SUBACCOUNT=123", "sparkpost",
            "smtp.eu.sparkpostmail.com"},
        Row{"zoho", "", "eu", "user@yourdomain.com", "zoho", "smtp.zoho.eu"},
        Row{"zoho", "", "com.au-pro", "user@yourdomain.com", "zoho", "smtppro.zoho.com.au"},
        Row{"zoho", "smtppro.zoho.in", "", "user@yourdomain.com", "zoho", "smtppro.zoho.in"},
        Row{"icloud", "", "", "user@icloud.com", "icloud", "smtp.mail.me.com"},
        Row{"mailersend", "", "", "MS_user@yourdomain.com", "mailersend", "smtp.mailersend.net"},
        Row{"smtp2go", "", "", "user", "smtp2go", "mail.smtp2go.com"},
        Row{"smtp2go", "", "eu", "user", "smtp2go", "mail-eu.smtp2go.com"},
        Row{"elasticemail", "", "", "user@yourdomain.com", "elasticemail",
            "smtp.elasticemail.com"}));

// Providers whose own pages put 465 first.
TEST(DocumentedPortsTest, ImplicitTlsIsTheDefaultWhereTheProviderPutsItFirst) {
  for (const auto& [provider, username] : std::map<std::string, std::string>{
           {"fastmail", "user@fastmail.com"}, {"resend", "resend"}, {"yahoo", "user@yahoo.com"}}) {
    SmtpConfig config;
    config.provider = provider;
    config.username = username;
    config.password = base::Secret("a password");
    config.domain = "yourdomain.com";
    const Resolved resolved = Resolve(config, Embedded(), {});
    EXPECT_TRUE(resolved.ok()) << provider;
    EXPECT_EQ(resolved.settings.port, 465) << provider;
    EXPECT_EQ(resolved.settings.tls.policy, smtp::TlsPolicy::kImplicit) << provider;
  }
}

// Ports the help page lists, on a server nobody knows.
TEST(DocumentedPortsTest, AllAreAcceptedForAnyServer) {
  const std::pair<uint16_t, smtp::TlsPolicy> ports[] = {{25, smtp::TlsPolicy::kStartTls},
                                                        {587, smtp::TlsPolicy::kStartTls},
                                                        {110, smtp::TlsPolicy::kStartTls},
                                                        {465, smtp::TlsPolicy::kImplicit},
                                                        {2525, smtp::TlsPolicy::kStartTls}};
  for (const auto& [port, policy] : ports) {
    SmtpConfig config;
    config.host = "smtp.example.com";
    config.port = port;
    config.tls = TlsChoice::kOn;
    const Resolved resolved = Resolve(config, Embedded(), {});
    EXPECT_TRUE(resolved.ok()) << port;
    EXPECT_EQ(resolved.settings.port, port);
    EXPECT_EQ(resolved.settings.tls.policy, policy) << port;
  }
}

TEST(DocumentedPortsTest, Default25ForAServerNobodyKnows) {
  SmtpConfig config;
  config.host = "smtp.example.com";
  EXPECT_EQ(Resolve(config, Embedded(), {}).settings.port, 25);
}

}  // namespace
}  // namespace sendstep::providers
