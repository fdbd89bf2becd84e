#include "transport/net/mailer.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <utility>
#include <vector>

#include "transport/net/dialer.h"
#include "transport/net/tcp_stream.h"
#include "transport/smtp/session.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using base::Cause;
using base::Result;
using base::Stage;
using smtp::DeliveryReport;

std::string Join(const std::vector<address>& addresses) {
  std::string joined;
  for (const address& one : addresses) joined += (joined.empty() ? "" : ", ") + one.to_string();
  return joined;
}

asio::awaitable<Result<tcp::socket>> Connect(dns::Resolver& resolver,
                                             const smtp::SmtpSettings& settings,
                                             base::Deadline deadline, smtp::Observer& observer) {
  observer.StageStarted(Stage::kDns);
  Result<std::vector<address>> addresses =
      co_await resolver.Resolve(settings.host, deadline.Within(settings.timeouts.dns));
  if (!addresses) co_return addresses.error();
  observer.StageDetail(Join(*addresses));

  observer.StageStarted(Stage::kTcp);
  Result<tcp::socket> socket =
      co_await Dial(*addresses, settings.port, deadline.Within(settings.timeouts.connect));
  if (!socket) co_return socket;
  boost::system::error_code ec;
  const tcp::endpoint peer = socket->remote_endpoint(ec);
  if (!ec) observer.StageDetail(EndpointText(peer));
  co_return socket;
}

template <class T>
void Report(const Result<T>& outcome, smtp::Observer& observer) {
  if (outcome) {
    observer.Finished();
  } else {
    observer.Failed(outcome.error());
  }
}

// `error`, or that it was this program's stop that caused it.
base::Error Stopped(base::Error error, const LiveCalls& calls) {
  const bool broken_off = error.cause == Cause::kConnectionLost || error.cause == Cause::kCancelled;
  if (broken_off && calls.abandoned()) error.cause = Cause::kStopped;
  return error;
}

// One connection: up to an open session, then what `act(session)` does with it, then QUIT. The
// observer hears the outcome before QUIT, which can change nothing.
template <class T, class Act>
asio::awaitable<Result<T>> Run(dns::Resolver& resolver, LiveCalls& calls, LiveCalls::Call& call,
                               const smtp::SmtpSettings& settings, base::Deadline deadline,
                               smtp::Observer& observer, Act act) {
  co_await asio::this_coro::throw_if_cancelled(false);
  Result<T> outcome = base::Error();
  if (settings.credentials && settings.tls.policy == smtp::TlsPolicy::kNone &&
      !settings.allow_plaintext_auth) {
    observer.StageStarted(Stage::kAuth);
    outcome = base::Failed(Stage::kAuth, Cause::kPlaintextCredentials, base::ErrorClass::kPermanent,
                           "credentials would cross the network readable");
    Report(outcome, observer);
    co_return outcome;
  }
  Result<tcp::socket> socket = co_await Connect(resolver, settings, deadline, observer);
  if (!socket) {
    outcome = Stopped(socket.error(), calls);
    Report(outcome, observer);
    co_return outcome;
  }
  TcpStream stream(std::move(*socket));
  const LiveCalls::Call::Use use(call, stream);
  smtp::Session session(stream, settings, observer);
  Result<void> opened = co_await session.Open(deadline);
  if (opened) {
    outcome = co_await act(session);
  } else {
    outcome = opened.error();
  }
  if (!outcome) outcome = Stopped(outcome.error(), calls);
  Report(outcome, observer);
  co_await session.Quit(deadline);
  co_return outcome;
}

// A call that is over before it could begin.
base::Error NotBegun(Cause cause, std::string detail, smtp::Observer& observer) {
  observer.StageStarted(Stage::kDns);
  const base::Error error =
      base::Failed(Stage::kDns, cause, base::ErrorClass::kTransient, std::move(detail));
  observer.Failed(error);
  return error;
}

// Awaits `run(call)` as a coroutine of its own, so that the session's changes to its cancellation
// state do not outlive it.
template <class T, class Body>
asio::awaitable<Result<T>> Isolated(LiveCalls& calls, Body run, smtp::Observer& observer) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    if (calls.abandoned()) co_return NotBegun(Cause::kStopped, "stopping", observer);
    co_return NotBegun(Cause::kCancelled, "cancelled", observer);
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  LiveCalls::Call call(calls, executor);
  if (calls.abandoned()) co_return NotBegun(Cause::kStopped, "stopping", observer);
  auto body = [&run, &call] { return run(call); };
  auto token = asio::bind_cancellation_slot(call.Follow(state.slot()), asio::use_awaitable);
  co_return co_await asio::co_spawn(executor, body, token);
}

}  // namespace

asio::awaitable<Result<DeliveryReport>> Mailer::Send(const smtp::SmtpSettings& settings,
                                                     const smtp::Envelope& envelope,
                                                     const base::Content& message,
                                                     const smtp::SendOptions& options,
                                                     base::Deadline deadline,
                                                     smtp::Observer& observer) {
  auto send = [&envelope, &message, &options, deadline](smtp::Session& session) {
    return session.Send(envelope, message, options, deadline);
  };
  auto run = [this, &settings, deadline, &observer, send](LiveCalls::Call& call) {
    return Run<DeliveryReport>(resolver_, calls_, call, settings, deadline, observer, send);
  };
  co_return co_await Isolated<DeliveryReport>(calls_, run, observer);
}

asio::awaitable<Result<DeliveryReport>> Mailer::Check(const smtp::SmtpSettings& settings,
                                                      const std::optional<smtp::Envelope>& envelope,
                                                      base::Deadline deadline,
                                                      smtp::Observer& observer) {
  auto probe = [&envelope,
                deadline](smtp::Session& session) -> asio::awaitable<Result<DeliveryReport>> {
    if (!envelope) co_return DeliveryReport();
    co_return co_await session.Probe(*envelope, deadline);
  };
  auto run = [this, &settings, deadline, &observer, probe](LiveCalls::Call& call) {
    return Run<DeliveryReport>(resolver_, calls_, call, settings, deadline, observer, probe);
  };
  co_return co_await Isolated<DeliveryReport>(calls_, run, observer);
}

}  // namespace sendstep::net
