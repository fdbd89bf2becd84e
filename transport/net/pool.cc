#include "transport/net/pool.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "transport/net/pool_key.h"
#include "transport/net/throttle.h"
#include "transport/net/wakeup.h"

namespace sendstep::net {

namespace asio = boost::asio;
using base::Cause;
using base::Result;
using Time = SendQueue::Time;
using std::chrono::milliseconds;

namespace {

// How long what a server offered in vain is remembered: it may be mended meanwhile.
constexpr std::chrono::hours kDistrustFor{1};
constexpr std::chrono::seconds kLeastPatience{10};
constexpr int kServiceClosing = 421;
// Looked at for each that is new.
constexpr int kForgetAtOnce = 8;
// Where nothing tells when a wait would have ended.
constexpr milliseconds kRetryAfter{1000};

base::Error HeldBack(std::string why, Time::duration retry_after) {
  base::Error error = base::Failed(base::Stage::kTcp, Cause::kHeldBack,
                                   base::ErrorClass::kTransient, std::move(why));
  error.retry_after = std::max(kRetryAfter, std::chrono::ceil<milliseconds>(retry_after));
  return error;
}

base::Error Cancelled() {
  return base::Failed(base::Stage::kTcp, Cause::kCancelled, base::ErrorClass::kTransient,
                      "cancelled");
}

}  // namespace

// A send that has no turn yet. Under the pool's lock, but for `wakeup`.
struct Waiter {
  std::optional<Pool::Lease> lease;
  std::optional<base::Error> error;
  std::shared_ptr<Wakeup> wakeup;  // null: whoever is asking looks himself
};

// Under the pool's lock.
struct Pool::Account {
  Account(std::string the_key, const smtp::SendingLimits& limits,
          const asio::any_io_executor& executor)
      : key(std::move(the_key)), queue(limits), timer(executor) {}

  const std::string key;
  SendQueue queue;
  std::unordered_map<SendQueue::Ticket, Waiter*> waiters;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> idle;
  const std::shared_ptr<TlsSessions> tls_sessions = std::make_shared<TlsSessions>();
  // Until when it is not trusted with each.
  Time no_pipelining_until{};
  Time no_chunking_until{};
  Time not_at_once_until{};
  Time::duration last_opening{};  // how long it took
  asio::steady_timer timer;
  std::optional<Time> armed_for;
  std::list<Account*>::iterator use;  // in State::by_use

  smtp::Distrust Distrust(Time now) const {
    return {now < no_pipelining_until, now < no_chunking_until, now < not_at_once_until};
  }
  std::chrono::seconds Patience() const {
    return std::max(kLeastPatience, std::chrono::ceil<std::chrono::seconds>(last_opening * 3));
  }
};

struct Pool::State : std::enable_shared_from_this<State> {
  using Connections = std::vector<std::unique_ptr<Connection>>;

  explicit State(asio::any_io_executor on) : executor(std::move(on)) {}

  std::shared_ptr<Account> Find(std::string key, const smtp::SendingLimits& limits);
  // A few accounts that nothing is known of.
  void Forget();
  // Under the lock: `change(closing)`, and everyone has his turn who may have one then. What is to
  // be closed comes out in `closing`, and is.
  template <class Change>
  void Apply(const std::shared_ptr<Account>& account, Change change);
  void Dispatch(const std::shared_ptr<Account>& account, Connections& closing);
  void Ended(ConnectionEnd why) { ++counted.ended[static_cast<size_t>(why)]; }
  std::unique_ptr<Connection> TakeIdle(Account& account, uint64_t id);
  void Arm(const std::shared_ptr<Account>& account, Time now);
  void Retire(const std::shared_ptr<Account>& account, Connections closing);
  // Says goodbye to a connection nobody uses.
  static asio::awaitable<void> Leave(std::shared_ptr<State> state, std::shared_ptr<Account> account,
                                     std::unique_ptr<Connection> connection);
  base::Error Busy(const Account& account, Time now);
  // What a send's end says about how fast the account may be used. `reused`: over a connection that
  // was used before, so that 421 may be about that one alone.
  void Judge(Account& account, const std::optional<base::Error>& error, bool reused, Time now);

  const asio::any_io_executor executor;
  mutable std::mutex mutex;
  bool closed = false;
  uint64_t last_id = 0;
  size_t idle_total = 0;
  PoolStats counted;
  std::unordered_map<std::string, std::shared_ptr<Account>> accounts;
  std::list<Account*> by_use;  // those of `accounts`, the last used at the end
};

std::shared_ptr<Pool::Account> Pool::State::Find(std::string key,
                                                 const smtp::SendingLimits& limits) {
  const auto found = accounts.find(key);
  if (found != accounts.end()) {
    by_use.splice(by_use.end(), by_use, found->second->use);
    found->second->queue.Tighten(limits);
    return found->second;
  }
  if (accounts.size() >= kMaxAccounts) Forget();
  auto account = std::make_shared<Account>(key, limits, executor);
  account->use = by_use.insert(by_use.end(), account.get());
  accounts.emplace(std::move(key), account);
  return account;
}

void Pool::State::Forget() {
  const Time now = base::Clock::now();
  for (int looked_at = 0; looked_at < kForgetAtOnce; ++looked_at) {
    Account* const oldest = by_use.front();
    if (oldest->queue.Forgettable(now)) {
      by_use.pop_front();
      accounts.erase(accounts.find(oldest->key));
    } else {
      by_use.splice(by_use.end(), by_use, by_use.begin());
    }
  }
}

std::unique_ptr<Connection> Pool::State::TakeIdle(Account& account, uint64_t id) {
  const auto found = account.idle.find(id);
  std::unique_ptr<Connection> connection = std::move(found->second);
  account.idle.erase(found);
  --idle_total;
  return connection;
}

template <class Change>
void Pool::State::Apply(const std::shared_ptr<Account>& account, Change change) {
  Connections closing;
  {
    const std::lock_guard lock(mutex);
    change(closing);
    Dispatch(account, closing);
  }
  Retire(account, std::move(closing));
}

void Pool::State::Dispatch(const std::shared_ptr<Account>& account, Connections& closing) {
  const Time now = base::Clock::now();
  for (const uint64_t id : account->queue.Expire(now)) {
    closing.push_back(TakeIdle(*account, id));
    const bool idle = now - closing.back()->record.used >= account->queue.limits().max_idle;
    Ended(idle ? ConnectionEnd::kIdle : ConnectionEnd::kAge);
  }
  while (const std::optional<SendQueue::Turn> turn = account->queue.Next(now)) {
    const auto found = account->waiters.find(turn->ticket);
    Waiter& waiter = *found->second;
    account->waiters.erase(found);
    Lease& lease = waiter.lease.emplace();
    lease.state = shared_from_this();
    lease.account = account;
    lease.tls_sessions = account->tls_sessions;
    lease.began = now;
    if (turn->beside_others) lease.patience = account->Patience();
    lease.distrust = account->Distrust(now);
    if (turn->reuse) {
      lease.connection = TakeIdle(*account, turn->reuse->id);
      lease.reused = true;
      ++counted.reused;
    }
    if (waiter.wakeup) waiter.wakeup->Wake();
  }
  while (const std::optional<uint64_t> id = account->queue.MakeRoom(now)) {
    closing.push_back(TakeIdle(*account, *id));
    Ended(ConnectionEnd::kEvicted);
  }
  Arm(account, now);
}

void Pool::State::Arm(const std::shared_ptr<Account>& account, Time now) {
  const std::optional<Time> wake = account->queue.Wake(now);
  if (account->armed_for && (!wake || *account->armed_for <= *wake)) return;
  std::optional<Time> at;
  if (!closed) at = account->queue.Expiry();
  if (wake && (!at || *wake < *at)) at = wake;
  if (!at || (account->armed_for && *account->armed_for <= *at)) return;
  account->armed_for = at;
  account->timer.expires_at(*at);
  account->timer.async_wait([state = weak_from_this(), weak = std::weak_ptr<Account>(account)](
                                const boost::system::error_code& ec) {
    const auto pool = state.lock();
    const auto still = weak.lock();
    if (ec || !pool || !still) return;
    pool->Apply(still, [&still](Connections&) { still->armed_for.reset(); });
  });
}

void Pool::State::Retire(const std::shared_ptr<Account>& account, Connections closing) {
  for (std::unique_ptr<Connection>& connection : closing) {
    asio::co_spawn(asio::make_strand(executor),
                   Leave(shared_from_this(), account, std::move(connection)), asio::detached);
  }
}

asio::awaitable<void> Pool::State::Leave(std::shared_ptr<State> state,
                                         std::shared_ptr<Account> account,
                                         std::unique_ptr<Connection> connection) {
  static smtp::Observer& nobody = *new smtp::Observer;
  connection->stream.Attach(co_await asio::this_coro::executor);
  connection->session.Observe(nobody);
  co_await connection->session.Quit(base::Deadline::Never());
  connection.reset();
  state->Apply(account, [&account](Connections&) { account->queue.Closed(); });
}

base::Error Pool::State::Busy(const Account& account, Time now) {
  ++counted.held_back;
  const Time at = account.queue.Expected(now);
  const std::string others = std::to_string(account.queue.busy() + account.queue.connecting());
  if (at > now) return HeldBack("the account may not be used faster", at - now);
  if (account.queue.busy() == 0) {
    return HeldBack("no connection could be opened so far", kRetryAfter);
  }
  return HeldBack("all its connections (" + others + ") are in use", kRetryAfter);
}

void Pool::State::Judge(Account& account, const std::optional<base::Error>& error, bool reused,
                        Time now) {
  if (!error) {
    account.queue.SpeedUp();
  } else if (AsksToSlowDown(*error) && !(reused && error->reply->code == kServiceClosing)) {
    ++counted.slowed_down;
    account.queue.SlowDown(now);
  }
}

Pool::Lease::~Lease() {
  if (!account) return;
  {
    const std::lock_guard lock(state->mutex);
    if (connection) {
      account->queue.Release(base::Clock::now(), connection->record, /*usable=*/false);
      account->queue.Closed();
      state->Ended(ConnectionEnd::kBroken);
    } else {
      account->queue.OpenFailed(base::Clock::now(), SendQueue::OpenFailure::kGivenUp,
                                patience.has_value());
    }
  }
  // Whoever has his turn now has it soon: a destructor is no place for it.
  asio::post(state->executor, [state = state, account = account] {
    state->Apply(account, [](State::Connections&) {});
  });
}

Pool::Pool(asio::any_io_executor executor) : state_(std::make_shared<State>(std::move(executor))) {}

Pool::~Pool() { Close(); }

asio::awaitable<Result<Pool::Lease>> Pool::Enter(const smtp::SmtpSettings& settings, Want want,
                                                 base::Deadline deadline) {
  const asio::any_io_executor strand = co_await asio::this_coro::executor;
  std::string key = PoolKey(settings);
  Waiter waiter;
  std::shared_ptr<Account> account;
  SendQueue::Ticket ticket = 0;
  State::Connections closing;
  {
    const std::lock_guard lock(state_->mutex);
    account = state_->Find(std::move(key), settings.limits);
    const Time now = base::Clock::now();
    if (account->queue.Expected(now, want.first) > deadline.at) {
      co_return state_->Busy(*account, now);
    }
    ticket = account->queue.Enter(want.fresh, want.first);
    account->waiters.emplace(ticket, &waiter);
    state_->Dispatch(account, closing);
    if (!waiter.lease) waiter.wakeup = std::make_shared<Wakeup>(strand, deadline.at);
  }
  state_->Retire(account, std::move(closing));
  if (waiter.wakeup) {
    const auto end = [state = state_, account, ticket](Waiter*) {
      const std::lock_guard lock(state->mutex);
      account->waiters.erase(ticket);
      account->queue.Leave(ticket);
    };
    std::unique_ptr<Waiter, decltype(end)> waiting(&waiter, end);
    co_await waiter.wakeup->Wait();
    waiting.reset();
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (waiter.error) co_return *waiter.error;
    if (!waiter.lease) {
      if (state.cancelled() != asio::cancellation_type::none) co_return Cancelled();
      const std::lock_guard lock(state_->mutex);
      co_return state_->Busy(*account, base::Clock::now());
    }
  }
  if (waiter.lease->connection) waiter.lease->connection->stream.Attach(strand);
  co_return std::move(*waiter.lease);
}

void Pool::Opened(Lease& lease, std::unique_ptr<Connection> connection) {
  state_->Apply(lease.account, [&](State::Connections&) {
    const Time now = base::Clock::now();
    const auto most = connection->session.capabilities().max_mails;
    connection->record = {++state_->last_id, now, now, 0,
                          most ? static_cast<int>(std::min<uint64_t>(*most, 1 << 30)) : 0};
    ++state_->counted.opened;
    if (connection->session.tls() && connection->session.tls()->resumed) {
      ++state_->counted.tls_resumed;
    }
    lease.connection = std::move(connection);
    lease.account->last_opening = now - lease.began;
    lease.account->queue.Opened();
  });
}

bool Pool::OpenFailed(Lease lease, const base::Error& error, bool given_up) {
  const std::shared_ptr<Account> account = std::move(lease.account);
  using Failure = SendQueue::OpenFailure;
  const Failure failure = given_up           ? Failure::kGivenUp
                          : TurnsAway(error) ? Failure::kTurnedAway
                                             : Failure::kOther;
  bool others = false;
  state_->Apply(account, [&](State::Connections&) {
    const Time now = base::Clock::now();
    others = account->queue.OpenFailed(now, failure, lease.patience.has_value());
    if (given_up || others) return;
    state_->Judge(*account, error, /*reused=*/false, now);
    // What passes may have passed for the next, who tries alone.
    if (error.error_class != base::ErrorClass::kPermanent) return;
    for (const SendQueue::Ticket ticket : account->queue.GiveUp()) {
      const auto found = account->waiters.find(ticket);
      found->second->error = error;
      found->second->wakeup->Wake();
      account->waiters.erase(found);
    }
  });
  return others;
}

void Pool::Release(Lease lease, const std::optional<base::Error>& error) {
  const std::shared_ptr<Account> account = std::move(lease.account);
  std::unique_ptr<Connection> connection = std::move(lease.connection);
  // A server that does not know BDAT has taken the message for commands.
  const bool usable = connection->session.usable() && !connection->session.distrust().any();
  SendQueue::Connection& record = connection->record;
  ++record.mails;
  record.used = base::Clock::now();
  connection->stream.Detach();
  if (!usable) connection->stream.Close();
  state_->Apply(account, [&](State::Connections& closing) {
    state_->Judge(*account, error, lease.reused, record.used);
    // Who waits takes it at once.
    const bool room = state_->idle_total < kMaxIdle || account->queue.waiting() > 0;
    const bool keep = usable && !state_->closed && room;
    const SendQueue::Fate fate = account->queue.Release(record.used, record, keep);
    if (fate == SendQueue::Fate::kIdle) {
      account->idle.emplace(record.id, std::move(connection));
      ++state_->idle_total;
      return;
    }
    // One that has said QUIT has served its only send.
    state_->Ended(!usable          ? (error ? ConnectionEnd::kBroken : ConnectionEnd::kMails)
                  : state_->closed ? ConnectionEnd::kStop
                  : fate == SendQueue::Fate::kMails ? ConnectionEnd::kMails
                  : fate == SendQueue::Fate::kAge   ? ConnectionEnd::kAge
                                                    : ConnectionEnd::kEvicted);
    if (usable) {
      closing.push_back(std::move(connection));
    } else {
      account->queue.Closed();
    }
  });
}

void Pool::FoundDead(Lease lease) {
  const std::shared_ptr<Account> account = std::move(lease.account);
  state_->Apply(account, [&](State::Connections&) {
    account->queue.FoundDead();
    account->queue.Closed();
    state_->Ended(ConnectionEnd::kDead);
  });
}

void Pool::Remember(const Lease& lease, const smtp::Distrust& distrust) {
  const std::lock_guard lock(state_->mutex);
  Account& account = *lease.account;
  const Time until = base::Clock::now() + kDistrustFor;
  if (distrust.pipelining) account.no_pipelining_until = until;
  if (distrust.chunking) account.no_chunking_until = until;
  if (distrust.at_once) account.not_at_once_until = until;
}

void Pool::Close() {
  std::vector<std::pair<std::shared_ptr<Account>, State::Connections>> closing;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    for (auto& [key, account] : state_->accounts) {
      State::Connections& idle = closing.emplace_back(account, State::Connections()).second;
      for (const uint64_t id : account->queue.CloseIdle()) {
        idle.push_back(state_->TakeIdle(*account, id));
        state_->Ended(ConnectionEnd::kStop);
      }
      account->timer.cancel();
      account->armed_for.reset();
      state_->Arm(account, base::Clock::now());
    }
  }
  for (auto& [account, idle] : closing) state_->Retire(account, std::move(idle));
}

PoolStats Pool::stats() const {
  const std::lock_guard lock(state_->mutex);
  PoolStats stats = state_->counted;
  for (const auto& [key, account] : state_->accounts) {
    stats.connecting += account->queue.connecting();
    stats.busy += account->queue.busy();
    stats.idle += account->queue.idle();
    stats.waiting += account->queue.waiting();
  }
  stats.accounts = static_cast<int>(state_->accounts.size());
  return stats;
}

}  // namespace sendstep::net
