// What the operator sets. Every setting is described once (server_config.cc) and may be given as a
// flag, as an environment variable and in a configuration file; the first of these that has it
// wins:
//   --http-listen off   SENDSTEP_HTTP_LISTEN=off   http-listen = "off"   (in the file of --config)
#ifndef SENDSTEP_PLUGIN_SERVER_CONFIG_H_
#define SENDSTEP_PLUGIN_SERVER_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "plugin/in_flight.h"
#include "plugin/logging.h"
#include "transport/smtp/settings.h"

namespace sendstep::plugin {

// An address to listen on.
struct ListenAddress {
  std::string host;       // an IP address without brackets; empty for a socket file
  uint16_t port = 0;      // 0: any free one
  std::string unix_path;  // a socket file; empty for TCP

  // "127.0.0.1:7070", "[::1]:7070", "unix:/run/sendstep.sock".
  std::string ToString() const;
  // Only this machine reaches it.
  bool Local() const;
};

// "host:port" (an IPv4 address, an IPv6 address in brackets, "localhost"; no host: every interface)
// or "unix:path". InvalidArgument says what is wrong. Names are not looked up.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

// Where it is remembered what became of each request_id.
struct LedgerConfig {
  std::filesystem::path file;  // of SQLite
  std::string url;             // of PostgreSQL; holds a password. With neither: no ledger
  std::chrono::milliseconds retention = std::chrono::hours(7 * 24);
  std::chrono::milliseconds lease{30'000};
  std::chrono::seconds reply_wait{600};

  bool off() const { return file.empty() && url.empty(); }
};

struct ServerConfig {
  ListenAddress listen{"127.0.0.1", 7070, ""};
  std::optional<ListenAddress> http_listen = ListenAddress{"127.0.0.1", 7071, ""};
  bool allow_plaintext_listen = false;
  std::filesystem::path state_dir;
  std::filesystem::path relays_file;   // empty: none
  std::filesystem::path profiles_dir;  // empty: the embedded profiles alone
  std::string ehlo_name;               // for EHLO, checked (base::ToEhloName); empty: none
  std::string dns_servers;             // checked (dns::ParseServers); empty: those of resolv.conf
  bool skip_deliverability = false;    // DNS is not asked about senders' domains
  LedgerConfig ledger;
  bool request_id_required = true;  // never where there is no ledger
  bool sandbox = false;
  std::filesystem::path sandbox_maildir;  // never empty when `sandbox`
  int threads = 1;
  int max_concurrent_streams = 1000;  // of one connection
  // To an SMTP account whose relay and profile say nothing of it.
  int max_connections_per_account = smtp::SendingLimits().max_connections;
  InFlightLimits in_flight;
  std::chrono::milliseconds drain_timeout{25'000};
  Level log_level = Level::kInfo;
};

// nullopt: not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

struct CommandLine {
  // Unset: print `output` (to stdout when exit_code is 0, to stderr otherwise) and exit.
  std::optional<ServerConfig> config;
  std::string output;
  int exit_code = 0;
};

// `arguments`: without the program's name. Checks ranges, paths and that a TCP listener beyond
// loopback is meant (allow_plaintext_listen). Exit code 2: something is wrong, and `output` says
// what.
CommandLine ParseCommandLine(const std::vector<std::string>& arguments,
                             const Environment& environment);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_SERVER_CONFIG_H_
