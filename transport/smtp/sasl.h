// Authentication exchanges (RFC 4954) as values: PLAIN (RFC 4616), LOGIN
// (draft-murchison-sasl-login), XOAUTH2 (as Google and Microsoft document it). No I/O.
#ifndef SENDSTEP_TRANSPORT_SMTP_SASL_H_
#define SENDSTEP_TRANSPORT_SMTP_SASL_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/result.h"
#include "transport/base/secret.h"
#include "transport/smtp/capabilities.h"
#include "transport/smtp/settings.h"

namespace sendstep::smtp {

// RFC 4954 4: long enough for every deployed mechanism.
inline constexpr size_t kMaxAuthLineBytes = 12288;

base::Secret EncodeBase64(std::string_view bytes);
// Unset where `text` is not base64 with its padding.
std::optional<std::string> DecodeBase64(std::string_view text);

// What the mechanism sends, before base64. Not for LOGIN, which sends username and password apart.
base::Secret PlainMessage(const Credentials& credentials);
base::Secret XOAuth2Message(const Credentials& credentials);

// Mechanisms that fit the credentials: a token XOAUTH2 only, a password the others, in the order of
// `preferred`.
std::vector<SaslMechanism> FittingMechanisms(const Credentials& credentials,
                                             const std::vector<SaslMechanism>& preferred);

// Cause::kInvalid where a control byte in username, password or token would change the exchange's
// meaning.
base::Result<void> CheckCredentials(const Credentials& credentials);

// One exchange with one mechanism. `credentials` must outlive it.
class SaslExchange {
 public:
  SaslExchange(SaslMechanism mechanism, const Credentials& credentials)
      : mechanism_(mechanism), credentials_(credentials) {}

  // The AUTH command with its CRLF, with an initial response where the mechanism has one and it
  // fits.
  base::Secret Command() const;

  // The line, without CRLF, that answers a 334 with `challenge` (base64). Unset: the exchange
  // cannot go on, cancel it with "*".
  std::optional<base::Secret> Answer(std::string_view challenge);

  // What the mechanism itself said about a failure: the status of XOAUTH2's JSON. May be empty.
  const std::string& failure() const { return failure_; }

 private:
  base::Secret Message() const;

  SaslMechanism mechanism_;
  const Credentials& credentials_;
  int answers_ = 0;
  std::string failure_;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_SASL_H_
