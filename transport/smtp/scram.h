// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) as a client: proves that it knows the
// password without showing it, and has the server prove the same. No I/O.
#ifndef SENDSTEP_TRANSPORT_SMTP_SCRAM_H_
#define SENDSTEP_TRANSPORT_SMTP_SCRAM_H_

#include <optional>
#include <string>
#include <string_view>

#include "transport/base/secret.h"
#include "transport/smtp/stream.h"

namespace sendstep::smtp {

// Of what a server may ask for: fewer give an eavesdropper's guesses away (RFC 7677 4), more are a
// way to keep clients busy.
inline constexpr int kMinScramIterations = 4096;
inline constexpr int kMaxScramIterations = 100'000;

// How the exchange is tied to the TLS connection it runs on (RFC 5802 6).
enum class ScramBinding {
  kBound,      // SCRAM-SHA-256-PLUS
  kPossible,   // the server does not offer that: it must not have been kept from offering it
  kImpossible  // no TLS, or none that can be bound to
};

// As the saslname of RFC 5802 7: without commas and equals signs.
std::string SaslName(std::string_view name);

// One exchange. Threads: none of its own; as the session.
class ScramClient {
 public:
  // `username` and `password` in UTF-8; they are prepared by SASLprep (RFC 4013) where they can be.
  // `nonce`: printable ASCII without commas, new for each exchange. `channel` outlives this.
  ScramClient(std::string_view username, const base::Secret& password, ScramBinding binding,
              const ChannelBinding& channel, std::string nonce);

  // The client-first-message.
  std::string First() const;
  // The client-final-message, given the server-first-message. Unset: that is none, or asks for what
  // must not be given; failure() says why.
  std::optional<std::string> Final(std::string_view server_first);
  // Takes the server-final-message: whether it proves that the server knows the password. Otherwise
  // failure() says why.
  bool Verify(std::string_view server_final);

  // Final() has succeeded.
  bool answered() const { return !server_signature_.empty(); }
  // Verify() has succeeded.
  bool verified() const { return verified_; }
  const std::string& failure() const { return failure_; }

 private:
  std::string Gs2Header() const;
  std::string FirstBare() const;
  std::optional<std::string> Fail(std::string why);

  const std::string username_;
  const base::Secret password_;
  const ScramBinding binding_;
  const ChannelBinding& channel_;
  const std::string nonce_;
  std::string server_signature_;  // expected
  bool verified_ = false;
  std::string failure_;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_SCRAM_H_
