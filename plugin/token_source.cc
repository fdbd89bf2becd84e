#include "plugin/token_source.h"

#include <algorithm>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
using base::Clock;
using std::chrono::seconds;

constexpr seconds kFetchTime{10};
constexpr Clock::duration kMargin = seconds(60);
constexpr Clock::duration kFirstPause = seconds(1);
constexpr Clock::duration kLastPause = seconds(60);
constexpr seconds kBetweenDrops{60};

}  // namespace

// The one fetch. Whoever waits is woken when it ends, however that is.
class TokenSource::Turn {
 public:
  explicit Turn(TokenSource& source) : source_(source) {}
  ~Turn() {
    std::vector<std::weak_ptr<net::Wakeup>> waiters;
    {
      const std::lock_guard lock(source_.mutex_);
      source_.fetching_ = false;
      waiters.swap(source_.waiters_);
    }
    for (const auto& waiter : waiters) {
      if (const auto held = waiter.lock()) held->Wake();
    }
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  TokenSource& source_;
};

asio::awaitable<base::Result<base::Secret>> TokenSource::Token(base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto given_up = [&](const asio::cancellation_state& state) -> std::optional<base::Error> {
    if (state.cancelled() != asio::cancellation_type::none) {
      return base::Failed(base::Stage::kAuth, base::Cause::kCancelled, base::ErrorClass::kTransient,
                          "cancelled");
    }
    if (!deadline.Passed()) return std::nullopt;
    return TokenNotFetched(base::ErrorClass::kTransient, "timeout");
  };
  for (;;) {
    if (auto error = given_up(co_await asio::this_coro::cancellation_state)) co_return *error;
    const auto waiter = std::make_shared<net::Wakeup>(executor, deadline.at);
    {
      const std::lock_guard lock(mutex_);
      const Clock::time_point now = now_();
      if (!token_.empty() && now < good_until_) co_return token_;
      if (failure_ && now < failure_stands_until_) co_return Left(now, *failure_);
      if (!std::exchange(fetching_, true)) break;
      std::erase_if(waiters_, [](const auto& other) { return other.expired(); });
      waiters_.push_back(waiter);
    }
    co_await waiter->Wait();
  }
  const Turn turn(*this);
  const Clock::time_point asked_at = now_();
  const base::Result<AccessToken> fetched = co_await fetch_(deadline.Within(kFetchTime));
  if (!fetched) {
    // Of this call alone: the next one fetches for itself.
    if (auto error = given_up(co_await asio::this_coro::cancellation_state)) co_return *error;
  }
  const std::lock_guard lock(mutex_);
  End(fetched, asked_at);
  if (!fetched) co_return Left(now_(), fetched.error());
  co_return fetched->token;
}

base::Result<base::Secret> TokenSource::Left(Clock::time_point now,
                                             const base::Error& error) const {
  if (!token_.empty() && now < expires_at_) return token_;
  return error;
}

void TokenSource::End(const base::Result<AccessToken>& fetched, Clock::time_point asked_at) {
  if (fetched) {
    token_ = fetched->token;
    const Clock::duration life = fetched->life;
    expires_at_ = asked_at + life;
    good_until_ = expires_at_ - std::min(kMargin, life / 10);
    failure_.reset();
    pause_ = {};
    return;
  }
  failure_ = fetched.error();
  pause_ = std::clamp(2 * pause_, kFirstPause, kLastPause);
  failure_stands_until_ = now_() + pause_;
}

bool TokenSource::Refused(const base::Secret& token) {
  const std::lock_guard lock(mutex_);
  if (token_.Reveal() != token.Reveal()) return true;
  const Clock::time_point now = now_();
  if (dropped_at_ && now < *dropped_at_ + kBetweenDrops) return false;
  dropped_at_ = now;
  token_ = base::Secret();
  return true;
}

}  // namespace sendstep::plugin
