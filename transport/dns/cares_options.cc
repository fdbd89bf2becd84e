#include "transport/dns/cares_options.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace sendstep::dns {
namespace {

std::optional<boost::asio::ip::address> ParseAddress(std::string_view text) {
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(std::string(text), failed);
  // A zone ("%eth0") is nothing that c-ares could use.
  if (failed || text.find('%') != text.npos) return std::nullopt;
  return address;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::optional<DnsServer> ParseServer(std::string_view text) {
  std::string_view address = text, port = "53";
  const bool bracketed = text.starts_with('[');
  const size_t bracket = text.find(']');
  const bool one_colon = std::count(text.begin(), text.end(), ':') == 1;
  if (bracketed) {
    if (bracket == text.npos) return std::nullopt;
    address = text.substr(1, bracket - 1);
    const std::string_view rest = text.substr(bracket + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    if (!rest.empty()) port = rest.substr(1);
  } else if (one_colon) {
    address = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  const auto parsed = ParseAddress(address);
  const auto number = ParsePort(port);
  if (!parsed || !number || (bracketed && !parsed->is_v6())) return std::nullopt;
  return DnsServer{*parsed, *number};
}

}  // namespace

DnsServers ParseServers(const std::string& text) {
  DnsServers parsed;
  for (size_t at = 0; !text.empty() && at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string one = text.substr(at, end - at);
    const std::optional<DnsServer> server = ParseServer(one);
    if (!server) {
      return {{},
              "\"" + one.substr(0, 100) +
                  "\" is not a DNS server: write ADDRESS, ADDRESS:PORT or [IPV6]:PORT, several "
                  "with commas between and no blanks"};
    }
    parsed.servers.push_back(*server);
    at = end + 1;
  }
  return parsed;
}

}  // namespace sendstep::dns
