// The caller's say before the end of a message is sent: what is recorded here is recorded before
// the server can have taken the message.
#ifndef SENDSTEP_TRANSPORT_SMTP_GATE_H_
#define SENDSTEP_TRANSPORT_SMTP_GATE_H_

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <span>

namespace sendstep::smtp {

// Threads: called on the send's strand. Lifetime: outlives the send.
class Gate {
 public:
  virtual ~Gate() = default;

  // Awaited once, when all but the end of the message was written, with cancellation disabled.
  // `accepted`: indexes into Envelope::recipients of those the server took, in order, at least one;
  // valid until it returns. Where envelope and message go in one flight nothing was written yet,
  // and it has all recipients. False: the end is not sent.
  //
  // Nothing cuts it short, so it has to return in bounded time. True does not mean that the end
  // will be sent: the server may have gone meanwhile, or the program may be stopping. The outcome
  // of the send tells, and is uncertain only where the end was begun. An exception goes through to
  // the caller of the send; the end is not sent.
  virtual boost::asio::awaitable<bool> Pass(std::span<const size_t> accepted) = 0;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_GATE_H_
