#include "providers/host_input.h"

#include <arpa/inet.h>

#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "transport/base/address.h"

namespace sendstep::providers {
namespace {

constexpr size_t kMaxInput = 1024;

HostInput Refuse(std::string reason, std::string message, std::string hint = {}) {
  HostInput refused;
  refused.reason = std::move(reason);
  refused.message = std::move(message);
  refused.hint = std::move(hint);
  return refused;
}

HostInput Invalid(std::string message) {
  return Refuse("HOST_INVALID", std::move(message),
                "Give the server's name alone, such as smtp.example.com, or smtp.example.com:587.");
}

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool IsIpAddress(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

// Splits "host", "host:port", "[v6]" and "[v6]:port"; a bare IPv6 address is a host.
bool SplitPort(std::string_view authority, std::string_view& host, std::string_view& port) {
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return false;
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (host.starts_with("IPv6:") || host.starts_with("ipv6:")) host.remove_prefix(5);
    return port.empty() || port.starts_with(':');
  }
  const auto colon = authority.find(':');
  const bool bare_v6 = colon != authority.rfind(':');
  host = bare_v6 ? authority : authority.substr(0, colon);
  port = bare_v6 || colon == std::string_view::npos ? "" : authority.substr(colon);
  return true;
}

// ":587" -> 587.
std::optional<uint16_t> ParsePort(std::string_view text) {
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (port < 1 || port > 65535) return std::nullopt;
  return static_cast<uint16_t>(port);
}

HostInput ParseAuthority(std::string_view authority) {
  std::string_view host;
  std::string_view port;
  if (!SplitPort(authority, host, port))
    return Invalid("The server's address has unbalanced brackets.");
  if (host.empty()) return Invalid("The server URL names no host.");
  HostInput parsed;
  if (!port.empty()) {
    parsed.port = ParsePort(port);
    if (!parsed.port) return Invalid("The server URL's port is not a number from 1 to 65535.");
  }
  if (IsIpAddress(std::string(host))) {
    parsed.host = absl::AsciiStrToLower(std::string(host));
    return parsed;
  }
  if (authority.starts_with('[')) return Invalid("What stands in brackets is not an IP address.");
  const auto ascii = base::ToAsciiDomain(host);
  if (!ascii)
    return Invalid(absl::StrCat("The server's name is malformed: ", ascii.error().detail, "."));
  parsed.host = *ascii;
  return parsed;
}

// What of a URL has no business in a server name; empty: nothing.
std::string_view Excess(std::string_view rest) {
  const auto end = rest.find_first_of("/\\?#");
  if (rest.substr(0, end).find('@') != std::string_view::npos)
    return "credentials, or is a mail address";
  if (end == std::string_view::npos || rest.substr(end) == "/") return "";
  switch (rest[end]) {
    case '?':
      return "a query";
    case '#':
      return "a fragment";
    default:
      break;
  }
  if (rest.substr(end).starts_with("/?")) return "a query";
  if (rest.substr(end).starts_with("/#")) return "a fragment";
  return "a path";
}

}  // namespace

HostInput ParseHostInput(std::string_view text) {
  text = Trim(text);
  if (text.size() > kMaxInput) {
    return Refuse("LIMIT_EXCEEDED", "The server's name is longer than 1024 bytes.");
  }
  if (base::HasControlCharacter(text)) {
    return Refuse("CONTROL_CHARACTER",
                  "The server's name holds a line break or another control character.",
                  "Type the name anew instead of pasting it.");
  }
  bool implicit_tls = false;
  if (const auto colon = text.find("://"); colon != std::string_view::npos) {
    const std::string scheme = absl::AsciiStrToLower(std::string(text.substr(0, colon)));
    if (scheme != "smtp" && scheme != "smtps" && scheme != "http" && scheme != "https") {
      return Invalid("The server URL's scheme is none of smtp, smtps, http and https.");
    }
    implicit_tls = scheme == "smtps";
    text.remove_prefix(colon + 3);
  }
  if (const std::string_view excess = Excess(text); !excess.empty()) {
    return Invalid(absl::StrCat("The server URL holds ", std::string(excess), "."));
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find_first_of(" \t") != std::string_view::npos) {
    return Invalid("The server's name holds a blank.");
  }
  HostInput parsed = ParseAuthority(text);
  parsed.implicit_tls = implicit_tls;
  return parsed;
}

}  // namespace sendstep::providers
