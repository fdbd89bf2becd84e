#include "plugin/ledger_keeper.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/command.h"
#include "plugin/keyed_digest.h"
#include "plugin/ledger/clock.h"
#include "plugin/ledger/key_check.h"
#include "plugin/ledger/postgres_store.h"
#include "plugin/ledger/sqlite_store.h"
#include "plugin/logging.h"
#include "transport/base/deadline.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::minutes kPruneEvery{1};
constexpr std::chrono::seconds kLookForAbandonedEvery{10};
// Sends wait for one such change at most.
constexpr size_t kPruneAtOnce = 200;

absl::StatusOr<std::unique_ptr<ledger::Store>> OpenStore(const LedgerConfig& config) {
  if (!config.url.empty()) return ledger::PostgresStore::Open(config.url, {});
  const ledger::FolderVerdict verdict = ledger::JudgeFolder(config.file.parent_path());
  if (!verdict.refused.empty()) return absl::FailedPreconditionError(verdict.refused);
  if (!verdict.warning.empty()) {
    Log(Level::kWarning, "ledger_unsafe",
        {{"file", config.file.string()}, {"detail", verdict.warning}});
  }
  return ledger::SqliteStore::Open(config.file);
}

// A file's store does not say which it is.
absl::Status WithPlace(const LedgerConfig& config, const absl::Status& status) {
  if (config.file.empty() || absl::IsFailedPrecondition(status)) return status;
  return absl::Status(status.code(), absl::StrCat("cannot use the ledger ", config.file.string(),
                                                  ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<LedgerKeeper>> LedgerKeeper::Open(
    const asio::any_io_executor& executor, const LedgerConfig& config, std::string owner,
    const KeyedDigest& digest) {
  auto store = OpenStore(config);
  if (!store.ok()) return store.status();
  const std::string check = digest("key check", {});
  const absl::Status checked =
      asio::co_spawn(executor, ledger::CheckKey(**store, check), asio::use_future).get();
  if (!checked.ok()) return WithPlace(config, checked);
  return std::unique_ptr<LedgerKeeper>(
      new LedgerKeeper(executor, config, std::move(owner), *std::move(store)));
}

LedgerKeeper::LedgerKeeper(const asio::any_io_executor& executor, const LedgerConfig& config,
                           std::string owner, std::unique_ptr<ledger::Store> store)
    : config_(config),
      owner_(std::move(owner)),
      store_(std::move(store)),
      strand_(asio::make_strand(executor)),
      timer_(strand_) {}

LedgerKeeper::~LedgerKeeper() { Stop(); }

void LedgerKeeper::Watch(std::function<void(bool)> on_change) {
  on_change_ = std::move(on_change);
  ended_ = asio::co_spawn(strand_, Run(), asio::use_future);
}

void LedgerKeeper::Stop() {
  if (!ended_.valid()) return;
  asio::post(strand_, [this] {
    stopping_ = true;
    timer_.cancel();
  });
  ended_.get();
}

asio::awaitable<void> LedgerKeeper::Run() {
  std::optional<bool> known;
  auto prune_at = base::Clock::now();
  auto look_at = prune_at;
  while (!stopping_) {
    const absl::Status health = store_->Health();
    if (known != health.ok()) {
      known = health.ok();
      if (!health.ok()) {
        Log(Level::kError, "ledger_unwell", {{"detail", std::string(health.message())}});
      }
      on_change_(*known);
    }
    if (base::Clock::now() >= prune_at) {
      if (health.ok()) co_await Prune();
      prune_at = base::Clock::now() + kPruneEvery;
    }
    if (base::Clock::now() >= look_at) {
      if (health.ok()) co_await EndAbandoned();
      look_at = base::Clock::now() +
                std::min<std::chrono::milliseconds>(config_.lease, kLookForAbandonedEvery);
    }
    if (stopping_) break;
    timer_.expires_after(kLook);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> LedgerKeeper::Prune() {
  size_t all = 0;
  for (size_t removed = kPruneAtOnce; removed == kPruneAtOnce && !stopping_; all += removed) {
    const absl::StatusOr<size_t> pruned =
        co_await store_->Prune(ledger::Now() - config_.retention, kPruneAtOnce);
    if (!pruned.ok()) {
      Log(Level::kError, "ledger_failed",
          {{"doing", "prune"}, {"detail", std::string(pruned.status().message())}});
      co_return;
    }
    removed = *pruned;
  }
  if (all > 0) Log(Level::kInfo, "ledger_pruned", {{"executions", all}});
}

// A lease ends some time after the last change, so each look begins where the one before ended, or
// at the first that was held then. In a store of this process alone nobody else is there: the first
// look ends all that is held by others.
asio::awaitable<void> LedgerKeeper::EndAbandoned() {
  const ledger::Time now = ledger::Now();
  const bool all = !store_->Shared() && !looked_until_;
  const ledger::Time until = all ? now : now - config_.lease - config_.reply_wait;
  if (looked_until_ && until <= *looked_until_) co_return;
  ledger::Query query{.space = std::string(kExecute), .tenant = std::string(kTenant)};
  query.from = looked_until_.value_or(ledger::Time());
  query.until = until;
  query.limit = ledger::Store::kMaxPage;
  ledger::Time held_since = until;
  for (const ledger::State state : {ledger::State::kReserved, ledger::State::kCommitting}) {
    query.state = state;
    const absl::Status status = co_await EndAbandoned(query, held_since);
    if (!status.ok()) {
      Log(Level::kError, "ledger_failed",
          {{"doing", "look"}, {"detail", std::string(status.message())}});
      co_return;
    }
  }
  if (!stopping_) looked_until_ = held_since;
}

// What is left held makes `held_since` earlier.
asio::awaitable<absl::Status> LedgerKeeper::EndAbandoned(ledger::Query query,
                                                         ledger::Time& held_since) {
  while (!stopping_) {
    const auto page = co_await store_->List(query);
    if (!page.ok()) co_return page.status();
    for (const ledger::Entry& entry : *page) {
      const absl::StatusOr<bool> ended = co_await EndAbandoned(entry.key);
      if (!ended.ok()) co_return ended.status();
      if (!*ended) held_since = std::min(held_since, entry.execution.updated_at);
    }
    if (page->size() < query.limit) break;
    query.after = page->back();
  }
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<bool>> LedgerKeeper::EndAbandoned(ledger::Key key) {
  std::optional<ledger::Execution> ended;
  const ledger::Store::Change change = [&](const ledger::Execution* known) {
    ended = known == nullptr ? std::nullopt
                             : ledger::Abandon(*known, owner_, !store_->Shared(), ledger::Now());
    return ended;
  };
  const absl::Status status = co_await store_->Update(key, change);
  if (!status.ok()) co_return status;
  if (ended) {
    Log(Level::kWarning, "owner_gone",
        {{"request_id", key.request_id},
         {"message_id", ended->message_id},
         {"uncertain", ended->state == ledger::State::kUncertain}});
  }
  co_return ended.has_value();
}

}  // namespace sendstep::plugin
