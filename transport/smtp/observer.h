// What a session tells whoever watches it: the stages with their outcome and the dialog, for the
// timeline, the transcript and the metrics. Nothing it is told holds a secret.
// Threads: called on the session's strand, between its awaits; must not block.
#ifndef SENDSTEP_TRANSPORT_SMTP_OBSERVER_H_
#define SENDSTEP_TRANSPORT_SMTP_OBSERVER_H_

#include <string_view>

#include "transport/base/error.h"
#include "transport/smtp/stream.h"

namespace sendstep::smtp {

class Observer {
 public:
  virtual ~Observer() = default;

  // A stage begins; the one before it has ended well. With STARTTLS the order is ehlo, tls, ehlo:
  // a stage may begin twice.
  virtual void StageStarted(base::Stage /*stage*/) {}
  // What the current stage found out, for people: "192.0.2.1:587", "PLAIN", "SIZE 35882577, ...".
  virtual void StageDetail(std::string_view /*detail*/) {}
  // The last stage ended well.
  virtual void Finished() {}
  // `error.stage` failed.
  virtual void Failed(const base::Error& /*error*/) {}

  // One line each way, without its line break, credentials replaced by "[redacted]". Message bytes
  // are not told; one line such as "[message, 4711 bytes]" stands for them.
  virtual void LineSent(std::string_view /*line*/) {}
  virtual void LineReceived(std::string_view /*line*/) {}
  // A whole reply, credentials replaced.
  virtual void ReplyReceived(const base::Reply& /*reply*/) {}

  virtual void TlsEstablished(const TlsInfo& /*info*/) {}
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_OBSERVER_H_
