// What went wrong on the way to the provider, as a value. Says where (stage), what (cause), whether
// another try can help (class) and what the server said; whose fault it is and what to do about it
// is decided in one place, providers/explain.h.
#ifndef SENDSTEP_TRANSPORT_BASE_ERROR_H_
#define SENDSTEP_TRANSPORT_BASE_ERROR_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/reply.h"

namespace sendstep::base {

// A stage of the way to the provider, in order.
enum class Stage { kConfig, kDns, kTcp, kTls, kEhlo, kAuth, kMailFrom, kRcptTo, kData };

// "config", "dns", "tcp", "tls", "ehlo", "auth", "mail_from", "rcpt_to", "data".
std::string_view StageName(Stage stage);

enum class ErrorClass {
  kPermanent,  // the same try fails again
  kTransient,  // nothing was sent; a later try may succeed
  kUncertain,  // the end of the message was sent, its reply never came (RFC 1047)
};

enum class Cause {
  kInvalid,               // a value that cannot be sent as it is; `detail` says which
  kHostNotFound,          // NXDOMAIN, or no address
  kDnsFailed,             // SERVFAIL, timeout, no server
  kConnectionRefused,     // every address refused
  kProxy,                 // the proxy on the way refused or answered nonsense
  kUnreachable,           // no route
  kTimeout,               // the stage's time or the deadline ran out
  kCancelled,             // the caller cancelled
  kConnectionLost,        // closed or reset by the server
  kProtocol,              // not SMTP, a reply class this state does not know, or too long
  kTlsOnPlaintextPort,    // the handshake met a plaintext SMTP greeting
  kPlaintextOnTlsPort,    // the server sent a TLS record, or waited silently for one
  kTlsFailed,             // the handshake failed
  kClientCertificate,     // the server takes only clients that show a certificate
  kCertificate,           // chain, validity or name; `detail` says which
  kStartTlsNotOffered,    // EHLO did not list STARTTLS
  kStartTlsInjection,     // bytes were buffered between 220 and the handshake
  kAuthNotOffered,        // no AUTH, or no mechanism that fits the credentials
  kPlaintextCredentials,  // credentials would cross the network readable
  kMessageTooLarge,       // larger than SIZE (RFC 1870)
  kSmtpUtf8NotOffered,    // an address needs SMTPUTF8 (RFC 6531)
  kExtensionNotOffered,   // the envelope asks for another extension; `detail` names it
  kGreetingRefused,       // the server's first reply refused; `reply` is set
  kRefused,               // the server's reply refused; `reply` is set
  kGateClosed,            // the caller's gate did not open; nothing was sent
  kStopped,               // this program broke it off, to stop
  kTokenNotFetched,       // the account's OAuth token cannot be had; `detail` says why
  kHeldBack,              // this program's own limit; nothing was sent, `retry_after` is set
};

// What the server said of one recipient.
struct RecipientOutcome {
  size_t index = 0;  // into Envelope::recipients
  bool accepted = false;
  Reply reply;
};

struct Error {
  Stage stage = Stage::kConfig;
  Cause cause = Cause::kInvalid;
  ErrorClass error_class = ErrorClass::kPermanent;
  // The reply that refused, where the server gave one.
  std::optional<Reply> reply;
  // One phrase for people, in English, never holding a secret, e.g. "certificate has expired".
  std::string detail;
  // With kHeldBack: when the limit is expected to allow it.
  std::chrono::milliseconds retry_after{0};
  // Set when recipients were answered before the failure.
  std::vector<RecipientOutcome> recipients;
};

// kPermanent for 5xx, kTransient for the rest.
ErrorClass ClassOf(const Reply& reply);

// The server refused: class by reply code, cause kRefused.
Error Refused(Stage stage, Reply reply, std::string detail = {});

// No reply was involved.
Error Failed(Stage stage, Cause cause, ErrorClass error_class, std::string detail = {});

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_ERROR_H_
