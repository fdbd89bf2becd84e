// What a server offers in its reply to EHLO (RFC 5321 4.1.1.1).
#ifndef SENDSTEP_TRANSPORT_SMTP_CAPABILITIES_H_
#define SENDSTEP_TRANSPORT_SMTP_CAPABILITIES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transport/base/reply.h"
#include "transport/smtp/settings.h"

namespace sendstep::smtp {

struct Capabilities {
  bool pipelining = false;             // RFC 2920
  bool chunking = false;               // RFC 3030
  bool eight_bit_mime = false;         // RFC 6152
  bool smtputf8 = false;               // RFC 6531
  bool starttls = false;               // RFC 3207
  bool dsn = false;                    // RFC 3461
  bool require_tls = false;            // RFC 8689
  bool enhanced_status_codes = false;  // RFC 2034
  bool size = false;                   // RFC 1870
  uint64_t max_message_bytes = 0;      // of SIZE; 0: none named
  std::vector<std::string> auth;       // upper case, none twice; also from the old "AUTH=" form
  // LIMITS (RFC 9422).
  std::optional<uint64_t> max_mails;       // per session
  std::optional<uint64_t> max_recipients;  // per mail
  std::optional<uint64_t> max_domains;     // per mail

  bool Offers(SaslMechanism mechanism) const;
};

// Lines after the 64th are not looked at. Keywords are compared without regard to case.
Capabilities ParseCapabilities(const base::Reply& ehlo_reply);

// "SIZE 35882577, PIPELINING, AUTH PLAIN LOGIN": the server's own words, at most 512 bytes.
std::string DescribeCapabilities(const base::Reply& ehlo_reply);

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_CAPABILITIES_H_
