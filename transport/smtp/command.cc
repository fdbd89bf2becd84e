#include "transport/smtp/command.h"

#include <algorithm>

namespace sendstep::smtp {

std::string EhloCommand(std::string_view name) { return "EHLO " + std::string(name) + "\r\n"; }

std::string HeloCommand(std::string_view name) { return "HELO " + std::string(name) + "\r\n"; }

std::string MailCommand(const std::optional<base::Address>& sender,
                        const MailParameters& parameters) {
  std::string line = "MAIL FROM:<" + (sender ? sender->Spec() : "") + ">";
  if (parameters.size) line += " SIZE=" + std::to_string(*parameters.size);
  if (parameters.eight_bit_mime) line += " BODY=8BITMIME";
  if (parameters.smtputf8) line += " SMTPUTF8";
  return line + "\r\n";
}

std::string RcptCommand(const base::Address& recipient) {
  return "RCPT TO:<" + recipient.Spec() + ">\r\n";
}

std::string LastChunkCommand(size_t bytes) { return "BDAT " + std::to_string(bytes) + " LAST\r\n"; }

bool IsCommandLine(std::string_view line) {
  if (!line.ends_with("\r\n")) return false;
  line.remove_suffix(2);
  return std::none_of(line.begin(), line.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace sendstep::smtp
