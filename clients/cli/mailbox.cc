#include "clients/cli/mailbox.h"

#include <string>

namespace sendstep::cli {
namespace {

std::string_view Trim(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// The content of a quoted-string (RFC 5322 3.2.4); anything else as it is.
std::string Unquote(std::string_view name) {
  if (name.size() < 2 || name.front() != '"' || name.back() != '"') return std::string(name);
  std::string text;
  for (size_t i = 1; i + 1 < name.size(); ++i) {
    if (name[i] == '\\' && i + 2 < name.size()) ++i;
    text += name[i];
  }
  return text;
}

// Where the address starts: the last "<" outside quotes.
size_t FindAngle(std::string_view text) {
  size_t found = std::string_view::npos;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && quoted) {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '<' && !quoted) {
      found = i;
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<v1::Address> ParseMailbox(std::string_view text) {
  const std::string_view whole = Trim(text);
  const size_t angle = FindAngle(whole);
  v1::Address address;
  if (angle == std::string_view::npos) {
    address.set_email(std::string(whole));
  } else {
    if (whole.back() != '>') return absl::InvalidArgumentError("no \">\" at the end");
    address.set_email(std::string(Trim(whole.substr(angle + 1, whole.size() - angle - 2))));
    address.set_name(Unquote(Trim(whole.substr(0, angle))));
  }
  if (address.email().empty()) return absl::InvalidArgumentError("no address");
  return address;
}

}  // namespace sendstep::cli
