#include "plugin/server_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace sendstep::plugin {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using Variables = std::map<std::string, std::string>;

CommandLine Parse(const std::vector<std::string>& arguments, Variables variables = {}) {
  variables.emplace("STATE_DIRECTORY", "/var/lib/sendstep");
  return ParseCommandLine(arguments, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

ServerConfig Good(const std::vector<std::string>& arguments, const Variables& variables = {}) {
  CommandLine parsed = Parse(arguments, variables);
  EXPECT_TRUE(parsed.config.has_value()) << parsed.output;
  return parsed.config.value_or(ServerConfig());
}

std::string Bad(const std::vector<std::string>& arguments, const Variables& variables = {}) {
  const CommandLine parsed = Parse(arguments, variables);
  EXPECT_FALSE(parsed.config.has_value());
  EXPECT_EQ(parsed.exit_code, 2);
  return parsed.output;
}

class ConfigFileTest : public testing::Test {
 protected:
  ConfigFileTest() {
    std::string name = (fs::temp_directory_path() / "server_config_test.XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~ConfigFileTest() override { fs::remove_all(folder_); }

  std::string File(const std::string& content) const {
    std::ofstream(folder_ / "sendstepd.toml") << content;
    return (folder_ / "sendstepd.toml").string();
  }

  fs::path folder_;
};

TEST(ServerConfigTest, NothingGivenMeansLoopbackAndNoSandbox) {
  const ServerConfig config = Good({});
  EXPECT_EQ(config.listen.ToString(), "127.0.0.1:7070");
  EXPECT_EQ(config.http_listen->ToString(), "127.0.0.1:7071");
  EXPECT_FALSE(config.sandbox);
  EXPECT_EQ(config.drain_timeout, milliseconds(25'000));
  EXPECT_GE(config.threads, 1);
  EXPECT_EQ(config.max_connections_per_account, 20);
  EXPECT_EQ(config.log_level, Level::kInfo);
  EXPECT_EQ(config.in_flight.calls, 10'000u);
  EXPECT_EQ(config.in_flight.bytes, size_t{1} << 30);
}

TEST(ServerConfigTest, FlagsSetEverything) {
  const std::string folder = fs::temp_directory_path().string();
  const ServerConfig config = Good({"--listen",
                                    "[::1]:0",
                                    "--http-listen=127.0.0.1:0",
                                    "--sandbox",
                                    "--sandbox-maildir",
                                    "/srv/mail",
                                    "--state-dir",
                                    "/srv/state",
                                    "--profiles-dir",
                                    folder,
                                    "--ehlo-name",
                                    "Mail.Example.com",
                                    "--dns-server",
                                    "192.0.2.53,[2001:db8::53]:5353",
                                    "--threads",
                                    "3",
                                    "--drain-timeout",
                                    "1500ms",
                                    "--log-level",
                                    "debug",
                                    "--max-concurrent-streams",
                                    "7",
                                    "--max-connections-per-account",
                                    "10000",
                                    "--max-in-flight",
                                    "50",
                                    "--max-in-flight-bytes",
                                    "256MiB"});
  EXPECT_EQ(config.listen.ToString(), "[::1]:0");
  EXPECT_EQ(config.http_listen->ToString(), "127.0.0.1:0");
  EXPECT_TRUE(config.sandbox);
  EXPECT_EQ(config.sandbox_maildir, "/srv/mail");
  EXPECT_EQ(config.state_dir, "/srv/state");
  EXPECT_EQ(config.profiles_dir, folder);
  EXPECT_EQ(config.ehlo_name, "mail.example.com");
  EXPECT_EQ(config.dns_servers, "192.0.2.53,[2001:db8::53]:5353");
  EXPECT_EQ(config.threads, 3);
  EXPECT_EQ(config.drain_timeout, milliseconds(1500));
  EXPECT_EQ(config.log_level, Level::kDebug);
  EXPECT_EQ(config.max_concurrent_streams, 7);
  EXPECT_EQ(config.max_connections_per_account, 10'000);
  EXPECT_EQ(config.in_flight.calls, 50u);
  EXPECT_EQ(config.in_flight.bytes, size_t{256} << 20);
}

TEST(ServerConfigTest, EnvironmentSetsWhatFlagsDoNot) {
  const Variables variables = {{"SENDSTEP_THREADS", "5"},
                               {"SENDSTEP_HTTP_LISTEN", "off"},
                               {"SENDSTEP_SANDBOX", "true"},
                               {"SENDSTEP_LOG_LEVEL", ""}};
  const ServerConfig config = Good({"--threads", "2"}, variables);
  EXPECT_EQ(config.threads, 2);
  EXPECT_FALSE(config.http_listen.has_value());
  EXPECT_TRUE(config.sandbox);
  EXPECT_EQ(config.log_level, Level::kInfo);
}

TEST(ServerConfigTest, FlagSwitchesOffWhatTheEnvironmentSwitchesOn) {
  EXPECT_FALSE(Good({"--sandbox=false"}, {{"SENDSTEP_SANDBOX", "1"}}).sandbox);
}

TEST_F(ConfigFileTest, FileSetsWhatFlagsAndEnvironmentDoNot) {
  const std::string file = File(
      "# of the operator\nthreads = 4\nsandbox = true\nlog-level = \"error\"\n"
      "drain-timeout = \"2m\"\n");
  const ServerConfig config =
      Good({"--config", file, "--log-level", "debug"}, {{"SENDSTEP_THREADS", "6"}});
  EXPECT_EQ(config.threads, 6);
  EXPECT_TRUE(config.sandbox);
  EXPECT_EQ(config.log_level, Level::kDebug);
  EXPECT_EQ(config.drain_timeout, milliseconds(120'000));
}

TEST_F(ConfigFileTest, FileMayBeNamedInTheEnvironment) {
  EXPECT_EQ(Good({}, {{"SENDSTEP_CONFIG", File("threads = 9\n")}}).threads, 9);
}

TEST_F(ConfigFileTest, UnknownSettingInTheFileIsNamed) {
  EXPECT_THAT(Bad({"--config", File("thraeds = 4\n")}), HasSubstr("thraeds"));
}

TEST_F(ConfigFileTest, BadValueInTheFileIsNamed) {
  EXPECT_THAT(Bad({"--config", File("threads = 0\n")}), HasSubstr("--threads"));
}

TEST_F(ConfigFileTest, MissingFileIsNamed) {
  EXPECT_THAT(Bad({"--config", (folder_ / "none.toml").string()}), HasSubstr("none.toml"));
}

TEST(ServerConfigTest, ListenBeyondLoopbackIsRefusedAndSaysWhy) {
  for (const char* address : {"0.0.0.0:7070", ":7070", "[::]:7070", "192.0.2.1:7070"}) {
    EXPECT_THAT(Bad({"--listen", address}),
                AllOf(HasSubstr("authenticates no caller"), HasSubstr("--allow-plaintext-listen")))
        << address;
  }
}

TEST(ServerConfigTest, ListenBeyondLoopbackIsTakenWhenMeant) {
  EXPECT_EQ(Good({"--listen", "0.0.0.0:7070", "--allow-plaintext-listen"}).listen.ToString(),
            "0.0.0.0:7070");
}

TEST(ServerConfigTest, LoopbackAndSocketFilesNeedNoLeave) {
  EXPECT_EQ(Good({"--listen", "localhost:0"}).listen.ToString(), "127.0.0.1:0");
  EXPECT_EQ(Good({"--listen", "127.8.8.8:1"}).listen.ToString(), "127.8.8.8:1");
  EXPECT_EQ(Good({"--listen", "unix:/run/s.sock"}).listen.ToString(), "unix:/run/s.sock");
}

TEST(ServerConfigTest, MalformedAddressesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"7070", "HOST:PORT"},
      {"127.0.0.1:", "port"},
      {"127.0.0.1:65536", "port"},
      {"127.0.0.1:-1", "port"},
      {"127.0.0.1:80x", "port"},
      {"::1:7070", "brackets"},
      {"[127.0.0.1]:7070", "brackets"},
      {"mail.example.com:7070", "IP address"},
      {"unix:", "path"},
      {"unix:/" + std::string(120, 'p'), "107 bytes"}};
  for (const auto& [address, words] : cases) {
    EXPECT_THAT(Bad({"--listen", address}), AllOf(HasSubstr("--listen"), HasSubstr(words)));
  }
}

TEST(ServerConfigTest, HttpIsNoSocketFile) {
  EXPECT_THAT(Bad({"--http-listen", "unix:/run/h.sock"}), HasSubstr("--http-listen"));
}

TEST(ServerConfigTest, ValuesOutOfRangeAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--threads", "0"},
      {"--threads", "257"},
      {"--threads", "two"},
      {"--drain-timeout", "2h"},
      {"--drain-timeout", "-1s"},
      {"--drain-timeout", "soon"},
      {"--log-level", "loud"},
      {"--max-concurrent-streams", "0"},
      {"--max-connections-per-account", "0"},
      {"--max-connections-per-account", "10001"},
      {"--max-in-flight", "0"},
      {"--max-in-flight-bytes", "63KiB"},
      {"--max-in-flight-bytes", "1025GiB"},
      {"--max-in-flight-bytes", "1GB"},
      {"--ehlo-name", "not a name"},
      {"--dns-server", "dns.example"},
      {"--relays-file", "/nonexistent/relays.yaml"},
      {"--profiles-dir", "/nonexistent"}};
  for (const auto& [flag, value] : cases) {
    EXPECT_THAT(Bad({flag, value}), HasSubstr(flag)) << value;
  }
}

TEST(ServerConfigTest, UnknownFlagIsRefused) {
  EXPECT_THAT(Bad({"--sandbx"}), HasSubstr("--sandbx"));
}

TEST(ServerConfigTest, MaildirWithoutSandboxIsRefused) {
  EXPECT_THAT(Bad({"--sandbox-maildir", "/srv/mail"}), HasSubstr("--sandbox is not"));
}

TEST(ServerConfigTest, SandboxKeepsMailInTheStateFolder) {
  EXPECT_EQ(Good({"--sandbox"}).sandbox_maildir, "/var/lib/sendstep/sandbox");
}

TEST(ServerConfigTest, StateFolderFollowsSystemdThenXdgThenHome) {
  const Variables home = {{"STATE_DIRECTORY", ""}, {"HOME", "/home/u"}};
  EXPECT_EQ(Good({}, home).state_dir, "/home/u/.local/state/sendstep");
  Variables xdg = home;
  xdg["XDG_STATE_HOME"] = "/home/u/state";
  EXPECT_EQ(Good({}, xdg).state_dir, "/home/u/state/sendstep");
  Variables systemd = xdg;
  systemd["STATE_DIRECTORY"] = "/var/lib/a:/var/lib/b";
  EXPECT_EQ(Good({}, systemd).state_dir, "/var/lib/a");
}

TEST(ServerConfigTest, NoPlaceForStateIsSaid) {
  EXPECT_THAT(Bad({}, {{"STATE_DIRECTORY", ""}}), HasSubstr("--state-dir"));
}

TEST(ServerConfigTest, RelativeFoldersBecomeAbsolute) {
  EXPECT_EQ(Good({"--state-dir", "state"}).state_dir, fs::current_path() / "state");
}

TEST_F(ConfigFileTest, PathThatCannotBeLookedAtIsSaid) {
  const fs::path loop = folder_ / "loop";
  fs::create_symlink(loop, loop);
  EXPECT_THAT(Bad({"--relays-file", loop / "relays.yaml"}),
              AllOf(HasSubstr("--relays-file"), HasSubstr("cannot look at"), HasSubstr("levels")));
  EXPECT_THAT(Bad({"--profiles-dir", loop / "profiles"}),
              AllOf(HasSubstr("--profiles-dir"), HasSubstr("cannot look at")));
}

TEST_F(ConfigFileTest, PathOfAnotherTypeIsSaid) {
  EXPECT_THAT(Bad({"--relays-file", folder_}), HasSubstr("there is no file"));
  EXPECT_THAT(Bad({"--profiles-dir", File("")}), HasSubstr("there is no folder"));
}

TEST_F(ConfigFileTest, RelativePathInAFolderThatIsGoneIsSaid) {
  const fs::path before = fs::current_path();
  fs::create_directory(folder_ / "gone");
  fs::current_path(folder_ / "gone");
  fs::remove(folder_ / "gone");
  EXPECT_THAT(Bad({"--state-dir", "state"}),
              AllOf(HasSubstr("--state-dir"), HasSubstr("working folder")));
  fs::current_path(before);
}

TEST(ServerConfigTest, LedgerIsAFileInTheStateFolderAndIdsAreRequired) {
  const ServerConfig config = Good({"--state-dir", "/srv/state"});
  EXPECT_EQ(config.ledger.file, "/srv/state/ledger.db");
  EXPECT_EQ(config.ledger.url, "");
  EXPECT_FALSE(config.ledger.off());
  EXPECT_EQ(config.ledger.retention, std::chrono::hours(7 * 24));
  EXPECT_EQ(config.ledger.lease, milliseconds(30'000));
  EXPECT_EQ(config.ledger.reply_wait, std::chrono::minutes(10));
  EXPECT_TRUE(config.request_id_required);
}

TEST(ServerConfigTest, LedgerMayBeElsewhereOrPostgresql) {
  EXPECT_EQ(Good({"--ledger", "sqlite:/srv/l.db"}).ledger.file, "/srv/l.db");
  EXPECT_EQ(Good({"--ledger", "sqlite:l.db"}).ledger.file, fs::current_path() / "l.db");
  for (const char* url : {"postgresql://u:p@db/ledger", "postgres://db/ledger"}) {
    const ServerConfig config = Good({}, {{"SENDSTEP_LEDGER", url}});
    EXPECT_EQ(config.ledger.url, url);
    EXPECT_TRUE(config.ledger.file.empty());
  }
  EXPECT_EQ(
      Good({"--ledger", "sqlite:/srv/l.db"}, {{"SENDSTEP_LEDGER", "postgres://db/l"}}).ledger.url,
      "")
      << "the flag wins";
}

TEST(ServerConfigTest, WithoutALedgerNoIdIsRequired) {
  const ServerConfig config = Good({"--ledger", "off", "--request-id", "required"});
  EXPECT_TRUE(config.ledger.off());
  EXPECT_FALSE(config.request_id_required);
  EXPECT_FALSE(Good({"--ledger", "sqlite:/l.db"}, {{"SENDSTEP_LEDGER", "off"}}).ledger.off());
}

TEST(ServerConfigTest, IdsMayBeOptional) {
  EXPECT_FALSE(Good({"--request-id", "optional"}).request_id_required);
}

TEST(ServerConfigTest, TimesOfTheLedgerAreTaken) {
  const ServerConfig config = Good({"--retention", "30d", "--lease=1s", "--reply-wait", "90s"});
  EXPECT_EQ(config.ledger.retention, std::chrono::hours(30 * 24));
  EXPECT_EQ(config.ledger.lease, milliseconds(1000));
  EXPECT_EQ(config.ledger.reply_wait, std::chrono::seconds(90));
}

TEST(ServerConfigTest, BadSettingsOfTheLedgerAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"--ledger", "/srv/l.db"}, {"--ledger", "sqlite:"}, {"--ledger", "mysql://db/l"},
      {"--request-id", "no"},    {"--retention", "59s"},  {"--retention", "4000d"},
      {"--lease", "999ms"},      {"--lease", "2h"},       {"--lease", "soon"},
      {"--reply-wait", "500ms"}, {"--reply-wait", "2h"}};
  for (const auto& [flag, value] : cases) {
    EXPECT_THAT(Bad({flag, value}), HasSubstr(flag)) << value;
  }
}

TEST(ServerConfigTest, PasswordOfTheLedgerIsNotRepeated) {
  EXPECT_THAT(Bad({"--ledger", "mysql://u:canary@db/l"}), testing::Not(HasSubstr("canary")));
}

TEST(ServerConfigTest, DeliverabilityIsAskedForUnlessTheOperatorSaysNo) {
  EXPECT_FALSE(Good({}).skip_deliverability);
  EXPECT_TRUE(Good({"--skip-deliverability"}).skip_deliverability);
}

TEST(ServerConfigTest, DnsServersAreTakenOrRefused) {
  EXPECT_EQ(Good({}).dns_servers, "");
  EXPECT_EQ(Good({"--dns-server", "192.0.2.53,[2001:db8::53]:5353"}).dns_servers,
            "192.0.2.53,[2001:db8::53]:5353");
  for (const char* text : {"ns.example.com", "192.0.2.53:", "192.0.2.53:99999", "192.0.2.53;"}) {
    EXPECT_THAT(Bad({"--dns-server", text}), HasSubstr("--dns-server")) << text;
  }
}

TEST(ServerConfigTest, VersionIsOneLine) {
  const CommandLine parsed = Parse({"--version"});
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.output, AllOf(StartsWith("sendstepd "), testing::EndsWith("\n")));
}

TEST(ServerConfigTest, HelpNamesFlagDefaultAndVariable) {
  const CommandLine parsed = Parse({"--help"});
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.output, AllOf(HasSubstr("--drain-timeout TIME"), HasSubstr("25s"),
                                   HasSubstr("SENDSTEP_DRAIN_TIMEOUT")));
}

TEST(ServerConfigTest, HelpSaysWhatASecondSignalDoes) {
  EXPECT_THAT(Parse({"--help"}).output, AllOf(HasSubstr("second signal"), HasSubstr("exits 1")));
}

}  // namespace
}  // namespace sendstep::plugin
