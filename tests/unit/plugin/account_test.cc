#include "plugin/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "plugin/logging.h"
#include "tests/unit/transport/mime/dkim_keys.h"

namespace sendstep::plugin {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Relays as an operator writes them, loaded from a file.
class AccountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "account_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    catalog_.registry = &registry_;
    catalog_.relays = &relays_;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::filesystem::path Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  absl::Status Load(const std::string& yaml) {
    absl::StatusOr<Relays> relays = Relays::Load(Write("relays.yaml", yaml));
    if (relays.ok()) relays_ = *std::move(relays);
    return relays.status();
  }

  // Reason of the first error; empty: none.
  template <class T>
  static std::string Error(const Checked<T>& checked) {
    return checked.ok() ? "" : checked.findings.front().reason;
  }

  std::filesystem::path folder_;
  providers::Registry registry_ = providers::Registry::Embedded();
  Relays relays_;
  AccountCatalog catalog_;
};

constexpr char kCompany[] = R"(
default_relay: company
relays:
  company:
    smtp:
      host: mail.example.com
      username: user
      password: {env: ACCOUNT_TEST_PASSWORD}
      default_from: {email: no-reply@example.com, name: Example}
    allowed_from_domains: [example.com, "bücher.example"]
)";

TEST_F(AccountTest, NoSettingsMeanTheDefaultRelayAndItsDefaultSender) {
  ASSERT_TRUE(Load(kCompany).ok());
  ASSERT_EQ(setenv("ACCOUNT_TEST_PASSWORD", "pw", 1), 0);
  const auto source = FindAccount({}, catalog_);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source.value.config.password.Reveal(), "pw");
  const auto sender = ChooseSender({}, source.value);
  ASSERT_TRUE(sender.ok());
  EXPECT_EQ(sender.value.address.Spec(), "no-reply@example.com");
  EXPECT_EQ(sender.value.name, "Example");
}

TEST_F(AccountTest, AnotherSenderNeedsItsDomainAllowed) {
  ASSERT_TRUE(Load(kCompany).ok());
  ASSERT_EQ(setenv("ACCOUNT_TEST_PASSWORD", "pw", 1), 0);
  const auto source = FindAccount({}, catalog_);
  v1::Email email;
  email.mutable_from()->set_email("ceo@example.com");
  EXPECT_TRUE(ChooseSender(email, source.value).ok());
  email.mutable_from()->set_email("x@b\u00FCcher.example");
  EXPECT_TRUE(ChooseSender(email, source.value).ok());
  email.mutable_from()->set_email("ceo@other.example");
  EXPECT_EQ(Error(ChooseSender(email, source.value)), "SENDER_NOT_ALLOWED");
  email.mutable_from()->set_email("no-reply@example.com");
  email.set_envelope_sender("bounce@other.example");
  EXPECT_EQ(Error(ChooseSender(email, source.value)), "SENDER_NOT_ALLOWED");
  email.clear_envelope_sender();
  email.mutable_sender()->set_email("assistant@example.com");
  EXPECT_TRUE(ChooseSender(email, source.value).ok());
  email.mutable_sender()->set_email("assistant@other.example");
  EXPECT_EQ(Error(ChooseSender(email, source.value)), "SENDER_NOT_ALLOWED");
}

TEST_F(AccountTest, ASecretIsReadAtEachUse) {
  const auto file = Write("password", "first\n");
  ASSERT_TRUE(Load("relays: {r: {smtp: {host: h.example, username: u, password: {file: \"" +
                   file.string() + "\"}}}}")
                  .ok());
  v1::Config config;
  config.set_relay("r");
  EXPECT_EQ(FindAccount(config, catalog_).value.config.password.Reveal(), "first");
  Write("password", "second\n");
  EXPECT_EQ(FindAccount(config, catalog_).value.config.password.Reveal(), "second");
  std::filesystem::remove(file);
  EXPECT_EQ(Error(FindAccount(config, catalog_)), "SECRET_UNAVAILABLE");
}

// A relay with these keys.
std::string WithDkim(const std::string& keys) {
  return "relays: {r: {smtp: {host: h.example}, dkim: [" + keys + "]}}";
}

TEST_F(AccountTest, DkimKeysSignAsTheirDomainAndThoseBelow) {
  const std::string file = Write("key", mime::kRfc8463Ed25519).string();
  const auto key = [&file](const std::string& domain, const std::string& selector) {
    return "{domain: \"" + domain + "\", selector: " + selector + ", private_key: {file: \"" +
           file + "\"}}";
  };
  ASSERT_TRUE(Load(WithDkim(key("Example.com", "a") + ", " + key("mail.example.com", "b") + ", " +
                            key("b\u00FCcher.example", "c")))
                  .ok());
  v1::Config config;
  config.set_relay("r");
  const auto source = FindAccount(config, catalog_);
  const auto signs = [&](const std::string& from_domain) {
    const auto account = ResolveAccount(source.value, catalog_, from_domain);
    EXPECT_TRUE(account.ok());
    EXPECT_EQ(account.value.no_dkim_key_fits, account.value.dkim.empty());
    std::string selectors;
    for (const mime::DkimKey& dkim : account.value.dkim) selectors += dkim.selector();
    return selectors;
  };
  EXPECT_EQ(signs("example.com"), "a");
  EXPECT_EQ(signs("mail.example.com"), "ab");
  EXPECT_EQ(signs("xn--bcher-kva.example"), "c");
  EXPECT_EQ(signs("otherexample.com"), "");
}

TEST_F(AccountTest, DkimKeysAreReadAtEachUse) {
  const auto file = Write("key", mime::kRfc8463Ed25519);
  ASSERT_TRUE(Load(WithDkim("{domain: e.example, selector: s, private_key: {file: \"" +
                            file.string() + "\"}}"))
                  .ok());
  v1::Config config;
  config.set_relay("r");
  const auto source = FindAccount(config, catalog_);
  EXPECT_EQ(ResolveAccount(source.value, catalog_, "e.example").value.dkim.size(), 1u);
  std::vector<std::string> log;
  InstallLogSinkForTest([&log](std::string_view line) { log.emplace_back(line); });
  Write("key", "not a key");
  EXPECT_EQ(Error(ResolveAccount(source.value, catalog_, "e.example")), "SECRET_UNAVAILABLE");
  EXPECT_THAT(log.back(), AllOf(HasSubstr(R"("secret_unavailable")"), HasSubstr(R"("relay":"r")"),
                                HasSubstr("dkim[0].private_key: the private key is not one in")));
  std::filesystem::remove(file);
  EXPECT_EQ(Error(ResolveAccount(source.value, catalog_, "e.example")), "SECRET_UNAVAILABLE");
  EXPECT_THAT(log.back(),
              AllOf(HasSubstr(R"("field":"dkim[0].private_key")"), HasSubstr("not readable")));
  InstallLogSinkForTest({});
}

TEST_F(AccountTest, ADkimKeyThatCannotSignIsRefusedWhenRelaysAreLoaded) {
  const std::string file = Write("key", "not a key").string();
  ASSERT_TRUE(
      Load(WithDkim("{domain: e.example, selector: s, private_key: {file: \"" + file + "\"}}"))
          .ok());
  EXPECT_EQ(CheckRelays(catalog_).message(),
            "relay \"r\": dkim[0].private_key: the private key is not one in PEM");
  std::filesystem::remove(file);
  EXPECT_TRUE(CheckRelays(catalog_).ok());  // it may come later
}

TEST_F(AccountTest, DkimKeysThatMakeNoSenseAreNamed) {
  const std::string good = "{domain: e.example, selector: s, private_key: {env: KEY}}";
  const struct {
    std::string keys, message;
  } cases[] = {
      {"{domain: \"e .example\", selector: s, private_key: {env: KEY}}", "relays.r.dkim[0].domain"},
      {good + ", {domain: e.example, selector: s_1, private_key: {env: KEY}}",
       "relays.r.dkim[1].selector"},
      {"{domain: e.example, selector: s}", "relays.r.dkim[0].private_key: it is missing"},
      {good + ", {domain: E.example, selector: s, private_key: {env: OTHER}}",
       "relays.r.dkim[1]: another key has this domain and selector"},
      {good + ", {}, {}, {}, {}", "relays.r.dkim: 5 keys; the limit is 4"},
  };
  for (const auto& [keys, message] : cases) {
    EXPECT_THAT(std::string(Load(WithDkim(keys)).message()), HasSubstr(message));
  }
  EXPECT_TRUE(Load(WithDkim(good)).ok());
}

TEST_F(AccountTest, EffectiveSettingsRepeatNothingHuge) {
  v1::Config config;
  config.mutable_smtp()->set_host("mail.example.com");
  config.mutable_smtp()->set_username(std::string(5 << 20, 'u'));
  config.mutable_smtp()->mutable_password()->set_value("secret");
  config.mutable_smtp()->mutable_default_from()->set_name(std::string(5 << 20, 'n'));
  config.mutable_smtp()->mutable_default_from()->set_email(std::string(5 << 20, 'e'));
  config.mutable_smtp()->set_ca_pem(std::string(5 << 20, 'p'));
  const auto source = FindAccount(config, catalog_);
  const auto account = ResolveAccount(source.value, catalog_, "example.com");
  EXPECT_FALSE(account.ok());
  EXPECT_LT(EffectiveConfig(source.value, account.value).ByteSizeLong(), size_t{128} << 10);
}

TEST_F(AccountTest, EachAuthMechanismOfTheContractIsOneOfSasl) {
  std::set<smtp::SaslMechanism> found;
  for (int number = v1::AuthMechanism_MIN + 1; number <= v1::AuthMechanism_MAX; ++number) {
    v1::Config config;
    config.mutable_smtp()->set_host("mail.example.com");
    config.mutable_smtp()->set_auth_mechanism(static_cast<v1::AuthMechanism>(number));
    const auto source = FindAccount(config, catalog_);
    ASSERT_TRUE(source.value.config.auth_mechanism) << number;
    found.insert(*source.value.config.auth_mechanism);
    const auto account = ResolveAccount(source.value, catalog_, "example.com");
    EXPECT_EQ(EffectiveConfig(source.value, account.value).auth_mechanism(), number);
  }
  EXPECT_EQ(found.size(), smtp::kSaslMechanisms.size());
}

TEST_F(AccountTest, DkimSelectorsAreNamesInDns) {
  v1::Config config;
  config.mutable_smtp()->set_host("mail.example.com");
  for (const char* good : {"s1", "a.b", "key_1", "20240101pm", "S-2"}) {
    config.mutable_smtp()->mutable_dkim_selectors()->Clear();
    config.mutable_smtp()->add_dkim_selectors(good);
    EXPECT_TRUE(FindAccount(config, catalog_).ok()) << good;
  }
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "a b", "*", "a\n", "\xC3\xBC"}) {
    config.mutable_smtp()->mutable_dkim_selectors()->Clear();
    config.mutable_smtp()->add_dkim_selectors(bad);
    const auto source = FindAccount(config, catalog_);
    ASSERT_EQ(source.findings.size(), 1u) << bad;
    EXPECT_EQ(source.findings.front().field, "config.smtp.dkim_selectors[0]");
  }
  config.mutable_smtp()->mutable_dkim_selectors()->Clear();
  for (int i = 0; i < 11; ++i) config.mutable_smtp()->add_dkim_selectors("s");
  EXPECT_EQ(Error(FindAccount(config, catalog_)), "LIMIT_EXCEEDED");
}

TEST_F(AccountTest, EffectiveSettingsOfARelayHideItsUsername) {
  ASSERT_TRUE(Load(kCompany).ok());
  ASSERT_EQ(setenv("ACCOUNT_TEST_PASSWORD", "pw", 1), 0);
  const auto source = FindAccount({}, catalog_);
  const auto account = ResolveAccount(source.value, catalog_, "example.com");
  ASSERT_TRUE(account.ok());
  const v1::SmtpConfig effective = EffectiveConfig(source.value, account.value);
  EXPECT_EQ(effective.host(), "mail.example.com");
  EXPECT_EQ(effective.username(), "");
  EXPECT_EQ(effective.password().value(), "");
}

TEST_F(AccountTest, ARelayThatCannotWorkIsFoundBeforeItIsUsed) {
  ASSERT_TRUE(Load("relays: {r: {smtp: {provider: gmial}}}").ok());
  EXPECT_EQ(CheckRelays(catalog_).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Load("relays: {r: {smtp: {host: h.example}}}").ok());
  EXPECT_TRUE(CheckRelays(catalog_).ok());
}

TEST_F(AccountTest, AFaultInTheRelaysFileIsNamed) {
  EXPECT_FALSE(Load("default_relay: nobody").ok());
  EXPECT_FALSE(Load("relays: {Bad Name: {smtp: {host: h.example}}}").ok());
  EXPECT_FALSE(Load("relays: {r: {smtp: {hots: h.example}}}").ok());
  EXPECT_FALSE(Load("relays: {r: {smtp: {default_from: {email: nonsense}}}}").ok());
  EXPECT_FALSE(Load("relays: {r: {allowed_from_domains: [\"a b\"]}}").ok());
  EXPECT_FALSE(Relays::Load(folder_ / "missing").ok());
}

TEST_F(AccountTest, ALimitOutOfBoundsNamesRelayAndField) {
  const std::pair<std::string, std::string> cases[] = {
      {"max_connections: 10001", "relays.r.max_connections is not from 1 to 10000"},
      {"max_mails_per_connection: 1000001", "relays.r.max_mails_per_connection is not"},
      {"max_mails_per_second: -1", "relays.r.max_mails_per_second is not from 0.0001 to 100000"},
      {"max_mails_per_second: NaN", "relays.r.max_mails_per_second is not"},
      {"max_connections: -1", "max_connections"},
      {"max_connections: many", "max_connections"}};
  for (const auto& [limit, words] : cases) {
    EXPECT_THAT(
        std::string(Load("relays: {r: {smtp: {host: h.example}, " + limit + "}}").message()),
        testing::HasSubstr(words));
  }
}

TEST_F(AccountTest, LimitsAreTheRelaysElseTheProfilesElseTheServers) {
  ASSERT_TRUE(Load(R"(
relays:
  plain: {smtp: {provider: microsoft365, username: u@example.com, password: {value: p}}}
  own:
    smtp: {provider: microsoft365, username: u@example.com, password: {value: p}}
    max_connections: 2
    max_mails_per_connection: 50
    max_mails_per_second: 0.25
  unknown: {smtp: {host: h.example}})")
                  .ok());
  catalog_.limits.max_connections = 33;
  const auto limits = [this](const std::string& relay) {
    v1::Config config;
    config.set_relay(relay);
    return ResolveAccount(FindAccount(config, catalog_).value, catalog_, "")
        .value.resolved.settings.limits;
  };
  EXPECT_EQ(limits("plain").max_connections, 3);
  EXPECT_EQ(limits("plain").max_mails_per_second, 0.5);
  EXPECT_EQ(limits("own").max_connections, 2);
  EXPECT_EQ(limits("own").max_mails_per_connection, 50);
  EXPECT_EQ(limits("own").max_mails_per_second, 0.25);
  EXPECT_EQ(limits("unknown").max_connections, 33);
  EXPECT_EQ(limits("unknown").max_mails_per_second, 0);
}

TEST_F(AccountTest, EveryAccountHasItsTenant) {
  v1::Config config;
  config.mutable_smtp()->set_host("mail.example.com");
  const auto account = ResolveAccount(FindAccount(config, catalog_).value, catalog_, "example.com");
  EXPECT_EQ(account.value.resolved.settings.tenant, kTenant);
}

}  // namespace
}  // namespace sendstep::plugin
