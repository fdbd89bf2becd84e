// Command lines (RFC 5321 4.1.1), each with its CRLF. No I/O.
#ifndef SENDSTEP_TRANSPORT_SMTP_COMMAND_H_
#define SENDSTEP_TRANSPORT_SMTP_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "transport/base/address.h"
#include "transport/smtp/envelope.h"

namespace sendstep::smtp {

struct MailParameters {
  std::optional<uint64_t> size;  // SIZE= (RFC 1870)
  bool eight_bit_mime = false;   // BODY=8BITMIME (RFC 6152)
  bool smtputf8 = false;         // SMTPUTF8 (RFC 6531)
  std::optional<Dsn> dsn;        // RET= and ENVID= (RFC 3461)
  bool require_tls = false;      // REQUIRETLS (RFC 8689)
};

std::string EhloCommand(std::string_view name);
std::string HeloCommand(std::string_view name);
// Without a sender the null reverse-path "<>".
std::string MailCommand(const std::optional<base::Address>& sender,
                        const MailParameters& parameters);
// NOTIFY= where `dsn` says when.
std::string RcptCommand(const base::Address& recipient, const std::optional<Dsn>& dsn = {});

// RFC 3461 4: "+XX" for what is not printable ASCII, and for "+" and "=".
std::string Xtext(std::string_view text);

// The whole message as one chunk (RFC 3030 2).
std::string LastChunkCommand(size_t bytes);

inline constexpr std::string_view kStartTlsCommand = "STARTTLS\r\n";
inline constexpr std::string_view kDataCommand = "DATA\r\n";
inline constexpr std::string_view kRsetCommand = "RSET\r\n";
inline constexpr std::string_view kQuitCommand = "QUIT\r\n";

// One line: it ends in its only CRLF and holds no other control byte. Asked of every line before it
// is written, so that no argument can smuggle in a second command.
bool IsCommandLine(std::string_view line);

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_COMMAND_H_
