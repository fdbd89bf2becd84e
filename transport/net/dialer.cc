#include "transport/net/dialer.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using base::Cause;
using boost::system::error_code;
using std::chrono::steady_clock;

// DNS may name thousands of addresses; whoever owns them all is not reached at the next either.
constexpr size_t kMaxAttempts = 16;

struct Attempt {
  Attempt(const asio::any_io_executor& executor, const tcp::endpoint& to)
      : socket(executor), endpoint(to) {}
  tcp::socket socket;
  tcp::endpoint endpoint;
  // Unset while pending.
  std::optional<error_code> outcome;
};

// All attempts of one Dial(). Shared with their completion handlers, which may run after it is
// over.
class Race : public std::enable_shared_from_this<Race> {
 public:
  Race(const asio::any_io_executor& executor, Connector connector)
      : executor_(executor), wake_(executor), connector_(std::move(connector)) {}

  void Start(const tcp::endpoint& endpoint) {
    Attempt& attempt = attempts_.emplace_back(executor_, endpoint);
    error_code ec;
    attempt.socket.open(endpoint.protocol(), ec);
    if (ec) {
      attempt.outcome = ec;
      return;
    }
    auto done = [self = shared_from_this(), &attempt](error_code result) {
      if (attempt.outcome) return;
      attempt.outcome = result;
      // The name may have more addresses than this process may have descriptors.
      if (result) attempt.socket.close(result);
      self->wake_.cancel();
    };
    if (connector_) {
      connector_(attempt.socket, endpoint, done);
    } else {
      attempt.socket.async_connect(endpoint, done);
    }
  }

  Attempt* Winner() {
    for (Attempt& attempt : attempts_) {
      if (attempt.outcome && !*attempt.outcome) return &attempt;
    }
    return nullptr;
  }

  // No attempt is on its way.
  bool Idle() const {
    return std::all_of(attempts_.begin(), attempts_.end(),
                       [](const Attempt& attempt) { return attempt.outcome.has_value(); });
  }

  size_t Failures() const {
    return std::count_if(attempts_.begin(), attempts_.end(),
                         [](const Attempt& attempt) { return attempt.outcome.has_value(); });
  }

  void CloseAll() {
    error_code ignored;
    for (Attempt& attempt : attempts_) attempt.socket.close(ignored);
  }

  const std::deque<Attempt>& attempts() const { return attempts_; }
  // Cancelled whenever an attempt ends.
  asio::steady_timer& wake() { return wake_; }

 private:
  asio::any_io_executor executor_;
  asio::steady_timer wake_;
  Connector connector_;
  std::deque<Attempt> attempts_;  // addresses of elements stay
};

bool HasNoRoute(const error_code& ec) {
  return ec == asio::error::network_unreachable ||
         ec == asio::error::address_family_not_supported ||
         ec == error_code(EADDRNOTAVAIL, boost::system::system_category());
}

std::string Outcome(const Attempt& attempt) {
  if (!attempt.outcome || *attempt.outcome == asio::error::timed_out) return "no answer";
  if (*attempt.outcome == asio::error::connection_refused) return "connection refused";
  if (HasNoRoute(*attempt.outcome)) return "no route to this network";
  return attempt.outcome->message();
}

base::Error Explain(const std::deque<Attempt>& attempts) {
  std::string detail;
  size_t refused = 0, reset = 0, routeless = 0, silent = 0;
  for (const Attempt& attempt : attempts) {
    detail +=
        (detail.empty() ? "" : "; ") + EndpointText(attempt.endpoint) + ": " + Outcome(attempt);
    if (!attempt.outcome || *attempt.outcome == asio::error::timed_out) {
      ++silent;
    } else if (*attempt.outcome == asio::error::connection_reset) {
      ++reset;
    } else if (*attempt.outcome == asio::error::connection_refused) {
      ++refused;
    } else if (HasNoRoute(*attempt.outcome)) {
      ++routeless;
    }
  }
  Cause cause = Cause::kUnreachable;
  if (silent > 0) {
    cause = Cause::kTimeout;
  } else if (reset > 0) {
    cause = Cause::kConnectionLost;
  } else if (refused > 0 && refused + routeless == attempts.size()) {
    cause = Cause::kConnectionRefused;
  }
  return base::Failed(base::Stage::kTcp, cause, base::ErrorClass::kTransient, std::move(detail));
}

base::Error NotTried(Cause cause, std::string detail) {
  return base::Failed(base::Stage::kTcp, cause, base::ErrorClass::kTransient, std::move(detail));
}

}  // namespace

std::string EndpointText(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
         std::to_string(endpoint.port());
}

std::vector<address> Interleave(const std::vector<address>& addresses) {
  std::vector<address> first, second, ordered;
  for (const address& one : addresses) {
    (one.is_v6() == addresses.front().is_v6() ? first : second).push_back(one);
  }
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) ordered.push_back(first[i]);
    if (i < second.size()) ordered.push_back(second[i]);
  }
  return ordered;
}

asio::awaitable<base::Result<tcp::socket>> Dial(std::vector<address> addresses, uint16_t port,
                                                base::Deadline deadline, DialOptions options) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto race = std::make_shared<Race>(executor, std::move(options.connector));
  addresses = Interleave(addresses);
  if (addresses.size() > kMaxAttempts) addresses.resize(kMaxAttempts);
  if (addresses.empty()) co_return NotTried(Cause::kUnreachable, "no address to connect to");

  size_t next = 0, failures_seen = 0;
  auto next_start = steady_clock::now();
  for (;;) {
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      race->CloseAll();
      co_return NotTried(Cause::kCancelled, "connecting was cancelled");
    }
    if (Attempt* winner = race->Winner()) {
      tcp::socket socket = std::move(winner->socket);
      race->CloseAll();
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      co_return std::move(socket);
    }
    const bool exhausted = next == addresses.size();
    if (deadline.Passed() || (exhausted && race->Idle())) {
      race->CloseAll();
      if (race->attempts().empty()) co_return NotTried(Cause::kTimeout, "no time left to connect");
      co_return Explain(race->attempts());
    }
    const size_t failures = race->Failures();
    const bool one_failed = failures > std::exchange(failures_seen, failures);
    if (!exhausted && (one_failed || steady_clock::now() >= next_start)) {
      race->Start(tcp::endpoint(addresses[next++], port));
      next_start = steady_clock::now() + options.attempt_delay;
      continue;
    }
    race->wake().expires_at(exhausted ? deadline.at : std::min(deadline.at, next_start));
    co_await race->wake().async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace sendstep::net
