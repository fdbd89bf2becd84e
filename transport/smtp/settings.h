// Everything a session needs to know about where and as whom to send. Made by providers/resolve,
// which checks it; transport takes it as it is.
#ifndef SENDSTEP_TRANSPORT_SMTP_SETTINGS_H_
#define SENDSTEP_TRANSPORT_SMTP_SETTINGS_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/secret.h"

namespace sendstep::smtp {

enum class TlsPolicy {
  kNone,      // plaintext
  kStartTls,  // STARTTLS (RFC 3207), required
  kImplicit,  // TLS from the first byte (RFC 8314 3.3)
};

struct TlsSettings {
  TlsPolicy policy = TlsPolicy::kStartTls;
  // PEM certificates trusted instead of the system's. Empty: the system's.
  std::string ca_pem;
  // Check chain, validity and name. False only where the config says so.
  bool verify = true;
  // SHA-256 of the server's public key (SubjectPublicKeyInfo, RFC 5280 4.1): 32 bytes, checked
  // instead of all these. Empty: none is pinned.
  std::string pinned_key_sha256;
  bool tls13_only = false;  // else TLS 1.2, too
  // Whom the certificate has to name where that is not the host, and who is asked for in the
  // handshake (RFC 6066 3). Empty: the host.
  std::string server_name;
};

enum class SaslMechanism {
  kScramSha256Plus,  // RFC 7677, bound to the TLS connection
  kScramSha256,
  kPlain,        // RFC 4616
  kLogin,        // draft-murchison-sasl-login
  kCramMd5,      // RFC 2195; only where the config names it
  kOAuthBearer,  // RFC 7628
  kXOAuth2,      // as Google and Microsoft document it
};

inline constexpr std::array kSaslMechanisms = {
    SaslMechanism::kScramSha256Plus, SaslMechanism::kScramSha256, SaslMechanism::kPlain,
    SaslMechanism::kLogin,           SaslMechanism::kCramMd5,     SaslMechanism::kOAuthBearer,
    SaslMechanism::kXOAuth2};

// As in EHLO: "SCRAM-SHA-256-PLUS", "PLAIN", "OAUTHBEARER".
std::string_view MechanismName(SaslMechanism mechanism);
// Whether it takes an OAuth token; the others take a password.
bool TakesToken(SaslMechanism mechanism);

struct Credentials {
  std::string username;
  base::Secret password;
  base::Secret oauth2_token;  // exactly one of the two is set
  // Whose token that is, where the account gets another from time to time: connections and limits
  // are then of this account, whatever its token. Empty: the token is the account's own, as a
  // password.
  std::string token_of;
  // Some providers' username is a secret too: shown nowhere.
  bool username_is_secret = false;
};

// How long each stage may take (RFC 5321 4.5.3.2), inside the caller's deadline.
struct StageTimeouts {
  std::chrono::seconds dns{30};
  std::chrono::seconds connect{30};  // all addresses together
  std::chrono::seconds tls{60};
  std::chrono::seconds greeting{300};
  std::chrono::seconds ehlo{300};
  std::chrono::seconds auth{120};  // each exchange
  std::chrono::seconds mail{300};
  std::chrono::seconds rcpt{300};  // each reply
  std::chrono::seconds data_start{120};
  std::chrono::seconds data_block{180};
  std::chrono::seconds data_done{600};
  std::chrono::milliseconds quit{500};  // politeness only: nothing depends on it
};

// How much of a server is used at once, by all who send with the same settings.
struct SendingLimits {
  int max_connections = 20;
  int max_mails_per_connection = 100;
  // Of a connection: how long nothing was sent, and since it was opened.
  std::chrono::seconds max_idle{30};
  std::chrono::seconds max_age{300};
  double max_mails_per_second = 0;  // 0: no limit
};

// What stands on the way to the server.
struct ProxySettings {
  enum class Kind { kSocks5, kHttpConnect };
  Kind kind = Kind::kSocks5;
  std::string host;
  uint16_t port = 0;
  std::string username;  // empty: no login
  base::Secret password;
};

struct SmtpSettings {
  // Whose settings these are: nobody else uses their connections.
  std::string tenant;
  std::string host;  // A-labels or an IP address
  uint16_t port = 25;
  std::optional<ProxySettings> proxy;
  TlsSettings tls;
  std::optional<Credentials> credentials;
  // Mechanisms to try, in order, of those the server offers.
  std::vector<SaslMechanism> mechanisms = {SaslMechanism::kPlain, SaslMechanism::kLogin};
  // Send credentials over plaintext. False: refused before any packet.
  bool allow_plaintext_auth = false;
  // For EHLO and HELO: a domain or an address literal. Never the machine's own name.
  std::string ehlo_name;
  StageTimeouts timeouts;
  SendingLimits limits;
  // The server is known to swallow a chunk (RFC 3030) after it has refused the recipients, instead
  // of taking its lines for commands.
  bool swallows_refused_chunk = false;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_SETTINGS_H_
