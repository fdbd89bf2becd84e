// The facade of transport: one call sends one message, or checks how far one would come. Looks up
// the host, connects (RFC 8305) and runs the session, or uses one that an earlier call left open
// (pool.h).
//
// What fails only because of the connection is tried again over another: the server has closed one
// that was left open, or does not know what it offers. Never where the delivery is uncertain.
//
// Threads: thread-safe. Each call runs on its caller's executor, which must be a strand (or a
// single-threaded context). Lifetime: the resolver must outlive the mailer and all its calls.
#ifndef SENDSTEP_TRANSPORT_NET_MAILER_H_
#define SENDSTEP_TRANSPORT_NET_MAILER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <utility>

#include "transport/base/content.h"
#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/dns/resolver.h"
#include "transport/net/live_calls.h"
#include "transport/net/pool.h"
#include "transport/smtp/envelope.h"
#include "transport/smtp/observer.h"
#include "transport/smtp/settings.h"

namespace sendstep::net {

class Mailer {
 public:
  // Connections that nobody uses are closed on `executor`.
  Mailer(boost::asio::any_io_executor executor, dns::Resolver& resolver)
      : resolver_(resolver), pool_(std::move(executor)) {}

  // Sends `message` (canonical CRLF). The observer is told Finished() or Failed() exactly once,
  // before this returns. Cancelling the coroutine stops it at any await before the end of data is
  // written (or the gate of `options` is asked) and not from there on; the deadline has no say once
  // the gate is open. All that is passed by reference must outlive the call, and so must `message`
  // and the gate.
  boost::asio::awaitable<base::Result<smtp::DeliveryReport>> Send(
      const smtp::SmtpSettings& settings, const smtp::Envelope& envelope,
      const base::Content& message, const smtp::SendOptions& options, base::Deadline deadline,
      smtp::Observer& observer);

  // Opens a session of its own and, given an envelope, probes it (MAIL, RCPT, RSET). Sends nothing.
  // The report has what was said of each recipient; it is empty without an envelope.
  boost::asio::awaitable<base::Result<smtp::DeliveryReport>> Check(
      const smtp::SmtpSettings& settings, const std::optional<smtp::Envelope>& envelope,
      base::Deadline deadline, smtp::Observer& observer);

  // For a stop that can wait no longer: breaks off every call, and refuses every later one, with
  // Cause::kStopped. A send whose end of data was written comes out uncertain.
  void Abandon() { calls_.Abandon(); }
  // For a stop: no connection is left open for later calls.
  void CloseIdle() { pool_.Close(); }
  PoolStats pool_stats() const { return pool_.stats(); }
  bool abandoned() const { return calls_.abandoned(); }

 private:
  dns::Resolver& resolver_;
  LiveCalls calls_;
  Pool pool_;
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_MAILER_H_
