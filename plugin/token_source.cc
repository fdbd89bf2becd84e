#include "plugin/token_source.h"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
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

asio::awaitable<base::Result<base::Secret>> TokenSource::Token(base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  for (;;) {
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return base::Failed(base::Stage::kAuth, base::Cause::kCancelled,
                             base::ErrorClass::kTransient, "cancelled");
    }
    const auto waiter = std::make_shared<net::Wakeup>(executor, deadline.at);
    bool begin = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) {
        co_return base::Failed(base::Stage::kAuth, base::Cause::kStopped,
                               base::ErrorClass::kTransient, "sendstep stops");
      }
      const Clock::time_point now = now_();
      if (!token_.empty() && now < good_until_) co_return token_;
      if (failure_ && now < failure_stands_until_) co_return Left(now, *failure_);
      if (deadline.Passed()) {
        co_return Left(now, TokenNotFetched(base::ErrorClass::kTransient, "timeout"));
      }
      std::erase_if(waiters_, [](const auto& other) { return other.expired(); });
      waiters_.push_back(waiter);
      begin = !std::exchange(fetching_, true);
    }
    if (begin) {
      asio::co_spawn(strand_, RunFetch(shared_from_this()),
                     asio::bind_cancellation_slot(cancel_.slot(), asio::detached));
    }
    co_await waiter->Wait();
  }
}

asio::awaitable<void> TokenSource::RunFetch(std::shared_ptr<TokenSource> self) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const Clock::time_point asked_at = self->now_();
  base::Result<AccessToken> fetched = TokenNotFetched(base::ErrorClass::kTransient, "a fault");
  try {
    fetched = co_await self->fetch_(base::Deadline::After(kFetchTime));
  } catch (const std::exception&) {
    // As any other failure: it stands for a while.
  }
  std::vector<std::weak_ptr<net::Wakeup>> waiters;
  {
    const std::lock_guard lock(self->mutex_);
    self->End(fetched, asked_at);
    self->fetching_ = false;
    waiters.swap(self->waiters_);
  }
  for (const auto& waiter : waiters) {
    if (const auto held = waiter.lock()) held->Wake();
  }
}

void TokenSource::Stop() {
  std::vector<std::weak_ptr<net::Wakeup>> waiters;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiters.swap(waiters_);
  }
  for (const auto& waiter : waiters) {
    if (const auto held = waiter.lock()) held->Wake();
  }
  asio::post(strand_, [self = shared_from_this()] {
    self->cancel_.emit(asio::cancellation_type::terminal);
  });
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
