#include "transport/net/mailer.h"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "transport/net/dialer.h"
#include "transport/net/proxy.h"
#include "transport/net/throttle.h"
#include "transport/smtp/gate.h"
#include "transport/smtp/session.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using base::Cause;
using base::Result;
using base::Stage;
using smtp::DeliveryReport;

// How often a send is tried again because the connection that earlier calls used was closed.
constexpr int kMaxStale = 3;
constexpr int kServiceClosing = 421;
constexpr int kBadSequence = 503;  // an earlier transaction is still open

std::string Join(const std::vector<address>& addresses) {
  std::string joined;
  for (const address& one : addresses) joined += (joined.empty() ? "" : ", ") + one.to_string();
  return joined;
}

// To the server, or to the proxy before it.
asio::awaitable<Result<tcp::socket>> Connect(dns::Resolver& resolver,
                                             const smtp::SmtpSettings& settings,
                                             base::Deadline deadline, smtp::Observer& observer) {
  const std::string& host = settings.proxy ? settings.proxy->host : settings.host;
  const uint16_t port = settings.proxy ? settings.proxy->port : settings.port;
  observer.StageStarted(Stage::kDns);
  Result<std::vector<address>> addresses =
      co_await resolver.Resolve(host, deadline.Within(settings.timeouts.dns));
  if (!addresses) co_return addresses.error();
  observer.StageDetail(Join(*addresses));

  observer.StageStarted(Stage::kTcp);
  Result<tcp::socket> socket =
      co_await Dial(*addresses, port, deadline.Within(settings.timeouts.connect));
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

// Before a packet is sent.
std::optional<base::Error> WouldShowCredentials(const smtp::SmtpSettings& settings,
                                                smtp::Observer& observer) {
  if (!settings.credentials || settings.tls.policy != smtp::TlsPolicy::kNone ||
      settings.allow_plaintext_auth) {
    return std::nullopt;
  }
  observer.StageStarted(Stage::kAuth);
  base::Error error =
      base::Failed(Stage::kAuth, Cause::kPlaintextCredentials, base::ErrorClass::kPermanent,
                   "credentials would cross the network readable");
  observer.Failed(error);
  return error;
}

// Where more than half of the recipients were refused because the server wants to be used less.
std::optional<base::Error> SlowDownOf(const DeliveryReport& report) {
  std::optional<base::Error> error;
  size_t slow = 0;
  for (const base::RecipientOutcome& outcome : report.recipients) {
    if (outcome.accepted) continue;
    const base::Error refusal = base::Refused(Stage::kRcptTo, outcome.reply);
    if (!AsksToSlowDown(refusal)) continue;
    ++slow;
    error = refusal;
  }
  if (slow * 2 <= report.recipients.size()) error.reset();
  return error;
}

asio::awaitable<bool> Cancelled() {
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

// Asked once for all tries. What it let pass it lets pass again, since nothing came of it.
class OneGate final : public smtp::Gate {
 public:
  explicit OneGate(smtp::Gate* gate) : gate_(gate) {}

  asio::awaitable<bool> Pass(std::span<const size_t> accepted) override {
    if (passed_) co_return std::ranges::includes(*passed_, accepted);
    if (!co_await gate_->Pass(accepted)) co_return false;
    passed_.emplace(accepted.begin(), accepted.end());
    co_return true;
  }

 private:
  smtp::Gate* const gate_;
  std::optional<std::vector<size_t>> passed_;
};

// One call's way to an open session, and what it does there. `alone`: over a connection that
// nobody used before and nobody uses after, with a TLS handshake of its own.
class Sending {
 public:
  Sending(dns::Resolver& resolver, Pool& pool, LiveCalls::Call& call,
          const smtp::SmtpSettings& settings, bool alone, base::Deadline deadline,
          smtp::Observer& observer)
      : resolver_(resolver),
        pool_(pool),
        call_(call),
        settings_(settings),
        alone_(alone),
        deadline_(deadline),
        observer_(observer) {}

  // Waits for a turn, and sees to it that the lease has an open session.
  asio::awaitable<Result<Pool::Lease>> Begin(Pool::Want want) {
    std::optional<base::Error> turned_away;
    for (;;) {
      Result<Pool::Lease> lease = co_await pool_.Enter(settings_, want, deadline_);
      if (!lease) {
        // What the server did says more than that the others stayed in use.
        const bool in_vain = turned_away && lease.error().cause == Cause::kHeldBack;
        const base::Error error = in_vain ? *turned_away : lease.error();
        observer_.StageStarted(error.stage);
        co_return error;
      }
      if (lease->connection) {
        if (lease->connection->session.IsQuiet()) {
          lease->connection->session.Observe(observer_);
          co_return lease;
        }
        pool_.FoundDead(std::move(*lease));
      } else {
        Result<std::unique_ptr<Connection>> opened = co_await Open(*lease);
        if (opened) {
          pool_.Opened(*lease, std::move(*opened));
          co_return lease;
        }
        const bool given_up = deadline_.Passed() || co_await Cancelled();
        const base::Error error = opened.error();
        const bool others = pool_.OpenFailed(std::move(*lease), error, given_up);
        if (given_up || !others) co_return error;
        turned_away = error;
        want.fresh = alone_;
      }
      want.first = true;
    }
  }

  // `act(session)` over the lease's connection.
  template <class Act>
  asio::awaitable<Result<DeliveryReport>> Run(Pool::Lease& lease, Act act) {
    smtp::Session& session = lease.connection->session;
    session.Avoid(lease.distrust);
    const LiveCalls::Call::Use use(call_, lease.connection->stream);
    Result<DeliveryReport> outcome = co_await act(session);
    distrust_ = session.distrust();
    if (distrust_.any()) pool_.Remember(lease, distrust_);
    co_return outcome;
  }

  // Gives the lease back; of a connection of its own after QUIT.
  asio::awaitable<void> End(Pool::Lease lease, const Result<DeliveryReport>& outcome) {
    if (alone_) {
      const LiveCalls::Call::Use use(call_, lease.connection->stream);
      co_await lease.connection->session.Quit(deadline_);
    }
    std::optional<base::Error> error;
    if (!outcome) error = outcome.error();
    if (outcome) error = SlowDownOf(*outcome);
    pool_.Release(std::move(lease), error);
  }

  // Whether a new connection may fare better than one that earlier calls used, or with what this
  // try has taught: each thing is taught once.
  asio::awaitable<bool> ShouldTryAgain(const base::Error& error, bool may_be_stale) {
    if (error.error_class == base::ErrorClass::kUncertain || deadline_.Passed()) co_return false;
    if (error.cause == Cause::kTimeout || co_await Cancelled()) co_return false;
    const bool gone = error.cause == Cause::kConnectionLost || error.cause == Cause::kProtocol ||
                      (error.reply &&
                       (error.reply->code == kServiceClosing || error.reply->code == kBadSequence));
    co_return (may_be_stale && gone) || distrust_.any();
  }

 private:
  // Once more without TLS sessions where those may be why it failed.
  asio::awaitable<Result<std::unique_ptr<Connection>>> Open(const Pool::Lease& lease) {
    Result<std::unique_ptr<Connection>> opened = co_await OpenOnce(lease);
    const bool failed = !opened && !alone_ && opened.error().cause == Cause::kTlsFailed;
    if (failed && lease.tls_sessions->Forget()) opened = co_await OpenOnce(lease);
    co_return opened;
  }

  asio::awaitable<Result<std::unique_ptr<Connection>>> OpenOnce(const Pool::Lease& lease) {
    smtp::SmtpSettings settings = settings_;
    if (lease.patience) {
      smtp::StageTimeouts& all = settings.timeouts;
      for (std::chrono::seconds* one : {&all.connect, &all.tls, &all.greeting, &all.ehlo}) {
        *one = std::min(*one, *lease.patience);
      }
    }
    Result<tcp::socket> socket = co_await Connect(resolver_, settings, deadline_, observer_);
    if (!socket) co_return OfProxy(socket.error());
    const std::chrono::seconds through = settings.timeouts.connect;
    auto connection = std::make_unique<Connection>(
        std::move(*socket), std::move(settings), alone_ ? nullptr : lease.tls_sessions, observer_);
    const LiveCalls::Call::Use use(call_, connection->stream);
    Result<void> opened;
    if (const auto& proxy = settings_.proxy) {
      connection->stream.Expire(deadline_.Within(through));
      opened = co_await ConnectThrough(connection->stream, *proxy, settings_.host, settings_.port);
      if (!opened) co_return OfProxy(opened.error());
    }
    opened = co_await connection->session.Open(deadline_);
    if (opened) co_return connection;
    co_await connection->session.Quit(deadline_);
    co_return opened.error();
  }

  // `error` on the way to the server: where there is a proxy, it is about that.
  base::Error OfProxy(base::Error error) const {
    if (!settings_.proxy || error.cause == Cause::kCancelled || deadline_.Passed()) return error;
    if (error.cause == Cause::kProxy) return error;
    error.cause = Cause::kProxy;
    error.detail = "no way to the proxy" + (error.detail.empty() ? "" : ": " + error.detail);
    return error;
  }

  dns::Resolver& resolver_;
  Pool& pool_;
  LiveCalls::Call& call_;
  const smtp::SmtpSettings& settings_;
  const bool alone_;
  const base::Deadline deadline_;
  smtp::Observer& observer_;
  smtp::Distrust distrust_;
};

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
  auto run = [&](LiveCalls::Call& call) -> asio::awaitable<Result<DeliveryReport>> {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (auto readable = WouldShowCredentials(settings, observer)) co_return *readable;
    OneGate gate(options.gate);
    smtp::SendOptions each = options;
    if (options.gate != nullptr) each.gate = &gate;
    auto send = [&](smtp::Session& session) {
      return session.Send(envelope, message, each, deadline);
    };
    Sending sending(resolver_, pool_, call, settings, options.own_connection, deadline, observer);
    Pool::Want want;
    want.fresh = options.own_connection;
    std::optional<base::Error> first_failure;
    for (int tries = 1;; ++tries) {
      Result<Pool::Lease> lease = co_await sending.Begin(want);
      Result<DeliveryReport> outcome = base::Error();
      if (lease) {
        outcome = co_await sending.Run(*lease, send);
      } else {
        outcome = lease.error();
      }
      const bool again = !outcome && lease &&
                         co_await sending.ShouldTryAgain(
                             outcome.error(), /*may_be_stale=*/lease->reused && tries <= kMaxStale);
      if (again) {
        if (!first_failure) first_failure = outcome.error();
        want.fresh = want.first = true;
        co_await sending.End(std::move(*lease), outcome);
        continue;
      }
      // The gate had been told of fewer recipients than were accepted this time; or there was no
      // other connection in time.
      const bool late = !outcome && first_failure &&
                        (outcome.error().cause == Cause::kGateClosed ||
                         outcome.error().cause == Cause::kHeldBack);
      if (late) outcome = *first_failure;
      if (!outcome) outcome = Stopped(outcome.error(), calls_);
      Report(outcome, observer);
      if (lease) co_await sending.End(std::move(*lease), outcome);
      co_return outcome;
    }
  };
  co_return co_await Isolated<DeliveryReport>(calls_, run, observer);
}

asio::awaitable<Result<DeliveryReport>> Mailer::Check(const smtp::SmtpSettings& settings,
                                                      const std::optional<smtp::Envelope>& envelope,
                                                      base::Deadline deadline,
                                                      smtp::Observer& observer) {
  auto probe = [&](smtp::Session& session) -> asio::awaitable<Result<DeliveryReport>> {
    if (!envelope) co_return DeliveryReport();
    co_return co_await session.Probe(*envelope, deadline);
  };
  auto run = [&](LiveCalls::Call& call) -> asio::awaitable<Result<DeliveryReport>> {
    co_await asio::this_coro::throw_if_cancelled(false);
    if (auto readable = WouldShowCredentials(settings, observer)) co_return *readable;
    Sending sending(resolver_, pool_, call, settings, /*alone=*/true, deadline, observer);
    Pool::Want want;
    want.fresh = true;
    Result<Pool::Lease> lease = co_await sending.Begin(want);
    Result<DeliveryReport> outcome = base::Error();
    if (lease) {
      outcome = co_await sending.Run(*lease, probe);
    } else {
      outcome = lease.error();
    }
    if (!outcome) outcome = Stopped(outcome.error(), calls_);
    Report(outcome, observer);
    if (lease) co_await sending.End(std::move(*lease), outcome);
    co_return outcome;
  };
  co_return co_await Isolated<DeliveryReport>(calls_, run, observer);
}

}  // namespace sendstep::net
