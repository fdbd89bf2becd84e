// Authentication exchanges (RFC 4954) as values, for the mechanisms of SaslMechanism. No I/O.
#ifndef SENDSTEP_TRANSPORT_SMTP_SASL_H_
#define SENDSTEP_TRANSPORT_SMTP_SASL_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/result.h"
#include "transport/base/secret.h"
#include "transport/smtp/capabilities.h"
#include "transport/smtp/scram.h"
#include "transport/smtp/settings.h"

namespace sendstep::smtp {

// RFC 4954 4: long enough for every deployed mechanism.
inline constexpr size_t kMaxAuthLineBytes = 12288;

base::Secret EncodeBase64(std::string_view bytes);

// What the mechanism sends, before base64. Not for LOGIN, which sends username and password apart.
base::Secret PlainMessage(const Credentials& credentials);
base::Secret OAuthBearerMessage(const Credentials& credentials);
base::Secret XOAuth2Message(const Credentials& credentials);

// Of `preferred`, in its order, the mechanisms that take what the credentials have: a token or a
// password.
std::vector<SaslMechanism> FittingMechanisms(const Credentials& credentials,
                                             const std::vector<SaslMechanism>& preferred);

// Cause::kInvalid where a control byte in username, password or token would change the exchange's
// meaning.
base::Result<void> CheckCredentials(const Credentials& credentials);

// One exchange with one mechanism. `credentials` and `channel` must outlive it.
class SaslExchange {
 public:
  // `channel`: of the TLS connection. `plus_offered`: the server offers SCRAM-SHA-256-PLUS.
  SaslExchange(SaslMechanism mechanism, const Credentials& credentials,
               const ChannelBinding& channel = NoBinding(), bool plus_offered = false);

  // The AUTH command with its CRLF, with an initial response where the mechanism has one and it
  // fits.
  base::Secret Command() const;

  // The line, without CRLF, that answers a 334 with `challenge` (base64). Unset: the exchange
  // cannot go on, cancel it with "*".
  std::optional<base::Secret> Answer(std::string_view challenge);

  // After the server's last word: whether it has proved what the mechanism has it prove. Those
  // without such a proof always have.
  bool ServerProved() const { return !scram_ || scram_->verified(); }

  // The server's part is none of the mechanism, or asks for what must not be given: no answer was
  // made, and what the server says to that is no verdict on the credentials.
  bool ServerFailed() const { return scram_ && !scram_->answered() && !failure().empty(); }

  // What the mechanism itself says about a failure: the status of OAuth's JSON, or what is wrong
  // with the server's part of SCRAM. May be empty.
  const std::string& failure() const { return scram_ ? scram_->failure() : failure_; }

 private:
  static const ChannelBinding& NoBinding();
  bool HasInitialResponse() const;
  base::Secret InitialResponse() const;
  std::optional<base::Secret> AnswerScram(const std::string& challenge);
  std::optional<base::Secret> AnswerOAuth(const std::string& challenge);

  const SaslMechanism mechanism_;
  const Credentials& credentials_;
  std::optional<ScramClient> scram_;
  int answers_ = 0;
  std::string failure_;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_SASL_H_
