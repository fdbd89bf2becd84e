#include "transport/smtp/command.h"

#include <algorithm>
#include <utility>

namespace sendstep::smtp {

std::string EhloCommand(std::string_view name) { return "EHLO " + std::string(name) + "\r\n"; }

std::string HeloCommand(std::string_view name) { return "HELO " + std::string(name) + "\r\n"; }

std::string MailCommand(const std::optional<base::Address>& sender,
                        const MailParameters& parameters) {
  std::string line = "MAIL FROM:<" + (sender ? sender->Spec() : "") + ">";
  if (parameters.size) line += " SIZE=" + std::to_string(*parameters.size);
  if (parameters.eight_bit_mime) line += " BODY=8BITMIME";
  if (parameters.smtputf8) line += " SMTPUTF8";
  if (const auto& dsn = parameters.dsn) {
    if (dsn->content == Dsn::Return::kFull) line += " RET=FULL";
    if (dsn->content == Dsn::Return::kHeaders) line += " RET=HDRS";
    if (!dsn->envelope_id.empty()) line += " ENVID=" + Xtext(dsn->envelope_id);
  }
  if (parameters.require_tls) line += " REQUIRETLS";
  return line + "\r\n";
}

std::string RcptCommand(const base::Address& recipient, const std::optional<Dsn>& dsn) {
  static constexpr std::pair<Dsn::Notify, std::string_view> kWords[] = {{Dsn::kNever, "NEVER"},
                                                                        {Dsn::kSuccess, "SUCCESS"},
                                                                        {Dsn::kFailure, "FAILURE"},
                                                                        {Dsn::kDelay, "DELAY"}};
  std::string words;
  for (const auto& [when, word] : kWords) {
    if (!dsn || (dsn->notify & when) == 0) continue;
    words += words.empty() ? " NOTIFY=" : ",";
    words += word;
  }
  return "RCPT TO:<" + recipient.Spec() + ">" + words + "\r\n";
}

std::string Xtext(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (c > ' ' && c <= '~' && c != '+' && c != '=') {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'+', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

std::string LastChunkCommand(size_t bytes) { return "BDAT " + std::to_string(bytes) + " LAST\r\n"; }

bool IsCommandLine(std::string_view line) {
  if (!line.ends_with("\r\n")) return false;
  line.remove_suffix(2);
  return std::none_of(line.begin(), line.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace sendstep::smtp
