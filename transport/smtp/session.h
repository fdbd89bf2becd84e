// One SMTP session on one Stream: greeting, EHLO, STARTTLS, EHLO, AUTH (RFC 5321, 3207, 4954), then
// any number of transactions, then QUIT. Straight-line coroutines, to be read beside the RFC.
//
// Lifetime: stream, settings and observer must outlive the session.
// Threads: not thread-safe; everything on one strand, one call at a time.
// After an Error the session is broken unless usable() says otherwise.
#ifndef SENDSTEP_TRANSPORT_SMTP_SESSION_H_
#define SENDSTEP_TRANSPORT_SMTP_SESSION_H_

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "transport/base/content.h"
#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/smtp/capabilities.h"
#include "transport/smtp/dialog.h"
#include "transport/smtp/envelope.h"
#include "transport/smtp/flights.h"
#include "transport/smtp/observer.h"
#include "transport/smtp/settings.h"
#include "transport/smtp/stream.h"

namespace sendstep::smtp {

class Session {
 public:
  Session(Stream& stream, const SmtpSettings& settings, Observer& observer);

  // Brings the session to where it takes mail. Nothing learned before TLS is kept, but for what the
  // greeting says of the server's software (flights.h).
  asio::awaitable<base::Result<void>> Open(base::Deadline deadline);

  // Sends one message (canonical CRLF, not dot-stuffed). See transaction.h. All that is passed by
  // reference must outlive the call, and so must the gate.
  asio::awaitable<base::Result<DeliveryReport>> Send(const Envelope& envelope,
                                                     const base::Content& message,
                                                     const SendOptions& options,
                                                     base::Deadline deadline);

  // MAIL and RCPT, then RSET: nothing is sent. Recipients refused are an Error, as in Send, when
  // all were; the report's final_reply is the reply to RSET.
  asio::awaitable<base::Result<DeliveryReport>> Probe(const Envelope& envelope,
                                                      base::Deadline deadline);

  // Tells another observer from now on, and of the TLS that there is.
  void Observe(Observer& observer);
  // Never to use what the server offers in vain. Before the next Send.
  void Avoid(const Distrust& distrust);
  // What the last Send found out in that way; see Transaction::distrust.
  const Distrust& distrust() const { return distrust_; }
  // Open and silent: as far as is known without waiting, another transaction can begin.
  bool IsQuiet() { return usable() && dialog_.IsQuiet(); }

  // QUIT and close, within timeouts.quit and `deadline`; once that has passed, only close. What the
  // server says changes nothing.
  asio::awaitable<void> Quit(base::Deadline deadline);

  const Capabilities& capabilities() const { return capabilities_; }
  const std::optional<TlsInfo>& tls() const { return tls_; }
  // Open, and the last call left it where another transaction can begin.
  bool usable() const { return opened_ && dialog_.InStep(); }

 private:
  asio::awaitable<base::Result<void>> Greet(base::Deadline deadline);
  asio::awaitable<base::Result<void>> Hello(base::Deadline deadline);
  asio::awaitable<base::Result<void>> StartTls(base::Deadline deadline);
  asio::awaitable<base::Result<void>> Handshake(base::Deadline deadline);
  asio::awaitable<base::Result<void>> Authenticate(base::Deadline deadline);
  asio::awaitable<base::Result<void>> AuthenticateWith(SaslMechanism mechanism,
                                                       base::Deadline deadline);
  base::Error PlaintextCredentials() const;

  Stream& stream_;
  const SmtpSettings& settings_;
  Dialog dialog_;
  Capabilities capabilities_;
  ServerTraits traits_;
  Distrust distrust_;
  std::optional<TlsInfo> tls_;  // once it is established
  bool opened_ = false;
  bool rset_first_ = false;  // before the next transaction
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_SESSION_H_
