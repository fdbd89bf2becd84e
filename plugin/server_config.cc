#include "plugin/server_config.h"

#include <sys/un.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "absl/status/status.h"
#include "plugin/units.h"
#include "providers/sending_limits.h"
#include "transport/base/address.h"
#include "transport/dns/cares_options.h"

namespace sendstep::plugin {
namespace {

namespace fs = std::filesystem;
using boost::asio::ip::make_address;
using std::chrono::milliseconds;

constexpr int kUsageError = 2;
constexpr milliseconds kMaxDrainTimeout = std::chrono::hours(1);
constexpr uint64_t kMinInFlightBytes = uint64_t{64} << 10;
constexpr uint64_t kMaxInFlightBytes = uint64_t{1024} << 30;
constexpr std::string_view kSqlite = "sqlite:";

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(absl::string_view(what.data(), what.size()));
}

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

absl::StatusOr<ListenAddress> ParseUnixPath(std::string_view path) {
  constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty()) return Invalid("\"unix:\" wants a path after it");
  if (path.size() > kMaxPath) {
    return Invalid("the path of a socket has at most " + std::to_string(kMaxPath) + " bytes");
  }
  return ListenAddress{"", 0, std::string(path)};
}

std::string EnvironmentName(std::string flag) {
  for (char& c : flag) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return "SENDSTEP_" + flag;
}

// The settings, each described once.
class Parser {
 public:
  Parser() {
    app_.set_version_flag("--version", "sendstepd " SENDSTEP_VERSION, "Print the version.");
    app_.get_option("--help")->description("Print this help.");
    app_.allow_config_extras(CLI::config_extras_mode::error);
    app_.set_config("--config", "", "Read settings from a file, one \"name = value\" a line.")
        ->type_name("FILE");
    names_.push_back("config");

    Value("listen", "ADDRESS",
          "Where to serve gRPC: HOST:PORT (port 0: any free one) or unix:PATH (the umask decides "
          "who may connect).",
          "127.0.0.1:7070", [this](const std::string& text) {
            return Take(ParseListenAddress(text), config_.listen);
          });
    Switch("allow-plaintext-listen", config_.allow_plaintext_listen,
           "Serve beyond this machine in plaintext, to callers whom nobody authenticates.");
    Value("http-listen", "ADDRESS",
          "Where to serve /healthz, /readyz and /metrics over HTTP: HOST:PORT, or off.",
          "127.0.0.1:7071", [this](const std::string& text) { return TakeHttpListen(text); });
    Value("max-concurrent-streams", "N", "Calls at once on one connection.", "1000",
          [this](const std::string& text) {
            return TakeNumber(text, 1, 1'000'000, config_.max_concurrent_streams);
          });
    Value("max-connections-per-account", "N",
          "SMTP connections at once for one account, where neither its relay nor its provider's "
          "profile says how many.",
          "20", [this](const std::string& text) {
            return TakeNumber(text, 1, providers::kMaxConnections,
                              config_.max_connections_per_account);
          });
    Value("max-in-flight", "N",
          "Calls of Execute, TestSend and ValidateConfig that are worked on at once; more are "
          "refused.",
          "10000", [this](const std::string& text) {
            return TakeNumber(text, 1, 1'000'000, config_.in_flight.calls);
          });
    Value("max-in-flight-bytes", "SIZE",
          "Bytes of the requests that are worked on at once, e.g. 512MiB, 4GiB; more are refused.",
          "1GiB", [this](const std::string& text) { return TakeInFlightBytes(text); });
    Value("state-dir", "DIR", "Where the server keeps its own files; made where it is missing.",
          "$STATE_DIRECTORY, else $XDG_STATE_HOME/sendstep, else ~/.local/state/sendstep",
          [this](const std::string& text) { return TakePath(text, config_.state_dir); });
    Value("relays-file", "FILE", "The operator's SMTP accounts, YAML or JSON.", "",
          [this](const std::string& text) {
            return TakeExisting(text, fs::file_type::regular, config_.relays_file);
          });
    Value("profiles-dir", "DIR", "Further provider profiles, *.textproto.", "",
          [this](const std::string& text) {
            return TakeExisting(text, fs::file_type::directory, config_.profiles_dir);
          });
    Value("ehlo-name", "NAME", "This host's name or IP address for EHLO, where a step sets none.",
          "", [this](const std::string& text) { return TakeEhloName(text); });
    Value("dns-server", "ADDR:PORT",
          "DNS server to ask: ADDR, ADDR:PORT or [IPV6]:PORT, several by comma.",
          "those of resolv.conf", [this](const std::string& text) { return TakeDnsServers(text); });
    Switch(
        "skip-deliverability", config_.skip_deliverability,
        "Do not ask DNS, in TestSend and ValidateConfig, whether mail of the sender can arrive.");
    Value("ledger", "WHERE",
          "Where to remember what became of each request_id, so that no email is sent twice: "
          "sqlite:PATH, for one server; postgresql://USER:PASSWORD@HOST/DATABASE, for several, "
          "which all have the same message-id.key in their state folders (give it as the "
          "environment variable, which others cannot see); or off.",
          "sqlite:ledger.db in the state folder",
          [this](const std::string& text) { return TakeLedger(text); });
    Value("request-id", "HOW", "Whether Execute wants a request_id: required or optional.",
          "required, unless the ledger is off",
          [this](const std::string& text) { return TakeRequestId(text); });
    Value("retention", "TIME", "How long a request_id is remembered after its last change.", "7d",
          [this](const std::string& text) {
            return TakeDuration(text, std::chrono::minutes(1), std::chrono::hours(24 * 3650),
                                config_.ledger.retention);
          });
    Value("lease", "TIME",
          "After how much silence of a server another one takes its unfinished sends over.", "30s",
          [this](const std::string& text) {
            return TakeDuration(text, std::chrono::seconds(1), std::chrono::hours(1),
                                config_.ledger.lease);
          });
    Value("reply-wait", "TIME",
          "How long a provider may take to answer the end of a message (RFC 5321 wants 10 "
          "minutes); then its delivery is uncertain.",
          "10m", [this](const std::string& text) {
            return TakeDuration(text, std::chrono::seconds(1), std::chrono::hours(1),
                                config_.ledger.reply_wait);
          });
    Switch("sandbox", config_.sandbox, "Run the sandbox: an SMTP server that keeps what it gets.");
    Value("sandbox-maildir", "DIR", "Where the sandbox keeps mail.", "sandbox in the state folder",
          [this](const std::string& text) { return TakePath(text, config_.sandbox_maildir); });
    Value("threads", "N", "Threads that send.", "one for each processor",
          [this](const std::string& text) { return TakeNumber(text, 1, 256, config_.threads); });
    Value("drain-timeout", "TIME",
          "How long calls may go on after SIGTERM or SIGINT, e.g. 25s, 2m; then they are broken "
          "off and "
          "answered. A second signal exits 1 at once.",
          "25s", [this](const std::string& text) {
            return TakeDuration(text, milliseconds(0), kMaxDrainTimeout, config_.drain_timeout);
          });
    Value("log-level", "LEVEL", "debug, info, warning or error.", "info",
          [this](const std::string& text) {
            const auto level = ParseLevel(text);
            if (!level) return std::string("must be debug, info, warning or error");
            config_.log_level = *level;
            return std::string();
          });
  }

  CommandLine Parse(const std::vector<std::string>& arguments, const Environment& environment) {
    config_.threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 256);
    try {
      // Arguments in reverse order, as CLI11 wants them; the last of two wins, so the
      // environment's come first.
      std::vector<std::string> all;
      for (const std::string& name : names_) {
        const auto value = environment(EnvironmentName(name));
        if (value && !value->empty()) all.push_back("--" + name + "=" + *value);
      }
      all.insert(all.end(), arguments.begin(), arguments.end());
      std::reverse(all.begin(), all.end());
      app_.parse(std::move(all));
    } catch (const CLI::ParseError& error) {
      std::ostringstream out, err;
      const bool fine = app_.exit(error, out, err) == 0;
      return {std::nullopt, fine ? out.str() : err.str(), fine ? 0 : kUsageError};
    }
    const std::string fault = Complete(environment);
    if (!fault.empty()) return {std::nullopt, fault + "\n", kUsageError};
    return {std::move(config_), "", 0};
  }

 private:
  // Takes a setting's text: empty, or what is wrong with it.
  using Taker = std::function<std::string(const std::string&)>;

  void Value(const std::string& name, const std::string& type, const std::string& description,
             const std::string& default_text, Taker take) {
    auto* option = app_.add_option_function<std::string>(
        "--" + name,
        [name, take = std::move(take)](const std::string& text) {
          const std::string fault = take(text);
          if (!fault.empty()) throw CLI::ValidationError("--" + name, fault);
        },
        description + Defaults(name, default_text));
    option->type_name(type)->take_last();
    names_.push_back(name);
  }

  void Switch(const std::string& name, bool& value, const std::string& description) {
    app_.add_flag("--" + name, value, description + Defaults(name, ""))->take_last();
    names_.push_back(name);
  }

  static std::string Defaults(const std::string& name, const std::string& default_text) {
    const std::string environment = " [" + EnvironmentName(name) + "]";
    return default_text.empty() ? environment : " Default: " + default_text + "." + environment;
  }

  template <class T>
  static std::string Take(absl::StatusOr<T> parsed, T& value) {
    if (!parsed.ok()) return std::string(parsed.status().message());
    value = *std::move(parsed);
    return "";
  }

  template <class Number>
  static std::string TakeNumber(const std::string& text, int min, int max, Number& value) {
    const auto number = ParseNumber<int>(text);
    if (!number || *number < min || *number > max) {
      return "must be a number from " + std::to_string(min) + " to " + std::to_string(max);
    }
    value = static_cast<Number>(*number);
    return "";
  }

  std::string TakeInFlightBytes(const std::string& text) {
    const auto size = ParseSize(text);
    if (!size || *size < kMinInFlightBytes || *size > kMaxInFlightBytes) {
      return "must be a size from " + SizeText(kMinInFlightBytes) + " to " +
             SizeText(kMaxInFlightBytes) + ", such as 512MiB";
    }
    config_.in_flight.bytes = *size;
    return "";
  }

  static std::string TakePath(const std::string& text, fs::path& value) {
    if (text.empty()) return "must not be empty";
    std::error_code error;
    fs::path path = fs::absolute(text, error);
    if (error) {
      return "\"" + text +
             "\" is relative, and the working folder cannot be found: " + error.message();
    }
    value = std::move(path);
    return "";
  }

  // A path at which something of this type has to be.
  static std::string TakeExisting(const std::string& text, fs::file_type type, fs::path& value) {
    std::error_code error;
    const fs::file_type found = fs::status(text, error).type();
    if (found == fs::file_type::none) return "cannot look at \"" + text + "\": " + error.message();
    if (found != type) {
      return std::string("there is no ") + (type == fs::file_type::regular ? "file" : "folder") +
             " \"" + text + "\"";
    }
    return TakePath(text, value);
  }

  std::string TakeHttpListen(const std::string& text) {
    config_.http_listen.reset();
    if (text.empty() || text == "off") return "";
    auto parsed = ParseListenAddress(text);
    if (!parsed.ok()) return std::string(parsed.status().message());
    if (!parsed->unix_path.empty()) return "must be HOST:PORT or off";
    config_.http_listen = *std::move(parsed);
    return "";
  }

  std::string TakeEhloName(const std::string& text) {
    auto name = base::ToEhloName(text);
    if (!name) return "\"" + text + "\" is not a name for EHLO: " + name.error().detail;
    config_.ehlo_name = *std::move(name);
    return "";
  }

  std::string TakeDnsServers(const std::string& text) {
    config_.dns_servers = text;
    return dns::ParseServers(text).problem;
  }

  template <class Duration>
  static std::string TakeDuration(const std::string& text, milliseconds min, milliseconds max,
                                  Duration& value) {
    const auto duration = ParseDuration(text);
    if (!duration || *duration < min || *duration > max) {
      return "must be a time from " + DurationText(min) + " to " + DurationText(max) +
             ", such as 25s";
    }
    value = std::chrono::duration_cast<Duration>(*duration);
    return "";
  }

  std::string TakeLedger(const std::string& text) {
    config_.ledger.url.clear();
    config_.ledger.file.clear();
    ledger_off_ = text == "off";
    if (ledger_off_) return "";
    if (text.starts_with(kSqlite)) {
      return TakePath(text.substr(kSqlite.size()), config_.ledger.file);
    }
    if (text.starts_with("postgresql://") || text.starts_with("postgres://")) {
      config_.ledger.url = text;
      return "";
    }
    return "must be sqlite:PATH, postgresql://... or off";
  }

  std::string TakeRequestId(const std::string& text) {
    if (text != "required" && text != "optional") return "must be required or optional";
    config_.request_id_required = text == "required";
    return "";
  }

  // What depends on several settings. Empty, or what is wrong.
  std::string Complete(const Environment& environment) {
    if (!config_.listen.Local() && !config_.allow_plaintext_listen) {
      return "--listen " + config_.listen.ToString() +
             ": sendstepd authenticates no caller and does not encrypt, so whoever reaches this "
             "address can send email and read passwords on the way; listen on loopback or "
             "unix:PATH, or accept this with --allow-plaintext-listen.";
    }
    if (!config_.sandbox && !config_.sandbox_maildir.empty()) {
      return "--sandbox-maildir is given, but --sandbox is not.";
    }
    if (config_.state_dir.empty()) config_.state_dir = DefaultStateDir(environment);
    if (config_.state_dir.empty()) {
      return "No folder to keep state in: set --state-dir (neither STATE_DIRECTORY nor "
             "XDG_STATE_HOME nor HOME is an absolute path).";
    }
    if (config_.ledger.off() && !ledger_off_) config_.ledger.file = config_.state_dir / "ledger.db";
    if (ledger_off_) config_.request_id_required = false;
    if (config_.sandbox && config_.sandbox_maildir.empty()) {
      config_.sandbox_maildir = config_.state_dir / "sandbox";
    }
    return "";
  }

  static fs::path DefaultStateDir(const Environment& environment) {
    const auto absolute = [&](const char* name) {
      const std::string value = environment(name).value_or("");
      // systemd separates several folders by colons.
      const fs::path path = value.substr(0, value.find(':'));
      return path.is_absolute() ? path : fs::path();
    };
    if (auto path = absolute("STATE_DIRECTORY"); !path.empty()) return path;
    if (auto path = absolute("XDG_STATE_HOME"); !path.empty()) return path / "sendstep";
    if (auto path = absolute("HOME"); !path.empty()) return path / ".local/state/sendstep";
    return {};
  }

  CLI::App app_{"sendstepd sends email for workflow engines: a gRPC server.", "sendstepd"};
  ServerConfig config_;
  bool ledger_off_ = false;
  std::vector<std::string> names_;
};

}  // namespace

std::string ListenAddress::ToString() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool ListenAddress::Local() const {
  if (!unix_path.empty()) return true;
  boost::system::error_code error;
  const auto address = make_address(host, error);
  return !error && address.is_loopback();
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return ParseUnixPath(text.substr(kUnix.size()));
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return Invalid("must be HOST:PORT or unix:PATH");
  const auto port = ParseNumber<uint16_t>(text.substr(colon + 1));
  if (!port) return Invalid("the port must be a number from 0 to 65535");

  std::string host(text.substr(0, colon));
  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (host.empty() && !brackets) host = "::";
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto address = make_address(host, error);
  if (error || (address.is_v6() && !brackets && host != "::") || (address.is_v4() && brackets)) {
    return Invalid("the host must be an IP address (IPv6 in brackets) or localhost");
  }
  return ListenAddress{address.to_string(), *port, ""};
}

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

CommandLine ParseCommandLine(const std::vector<std::string>& arguments,
                             const Environment& environment) {
  return Parser().Parse(arguments, environment);
}

}  // namespace sendstep::plugin
