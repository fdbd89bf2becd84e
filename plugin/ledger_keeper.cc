#include "plugin/ledger_keeper.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <optional>
#include <utility>

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

}  // namespace

absl::StatusOr<std::unique_ptr<LedgerKeeper>> LedgerKeeper::Open(
    const asio::any_io_executor& executor, const LedgerConfig& config, const base::Secret& key) {
  auto store = OpenStore(config);
  if (!store.ok()) return store.status();
  const std::string check = KeyedDigest(key, "key check", {});
  const absl::Status checked =
      asio::co_spawn(executor, ledger::CheckKey(**store, check), asio::use_future).get();
  if (!checked.ok()) return checked;
  return std::unique_ptr<LedgerKeeper>(new LedgerKeeper(executor, config, *std::move(store)));
}

LedgerKeeper::LedgerKeeper(const asio::any_io_executor& executor, const LedgerConfig& config,
                           std::unique_ptr<ledger::Store> store)
    : retention_(config.retention),
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
    if (stopping_) break;
    timer_.expires_after(kLook);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> LedgerKeeper::Prune() {
  size_t all = 0;
  for (size_t removed = kPruneAtOnce; removed == kPruneAtOnce && !stopping_; all += removed) {
    const absl::StatusOr<size_t> pruned =
        co_await store_->Prune(ledger::Now() - retention_, kPruneAtOnce);
    if (!pruned.ok()) {
      Log(Level::kError, "ledger_failed",
          {{"doing", "prune"}, {"detail", std::string(pruned.status().message())}});
      co_return;
    }
    removed = *pruned;
  }
  if (all > 0) Log(Level::kInfo, "ledger_pruned", {{"executions", all}});
}

}  // namespace sendstep::plugin
