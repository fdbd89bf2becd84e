// Keeps the ledger that the operator chose: opens it, sees that it was written with this server's
// key, forgets what is old, ends what a server that is gone had begun, and watches its health.
#ifndef SENDSTEP_PLUGIN_LEDGER_KEEPER_H_
#define SENDSTEP_PLUGIN_LEDGER_KEEPER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugin/keyed_digest.h"
#include "plugin/ledger/store.h"
#include "plugin/server_config.h"

namespace sendstep::plugin {

// Threads: Open, Watch, Stop and the destructor from one thread that is none of the executor's,
// whose threads run meanwhile.
class LedgerKeeper {
 public:
  // The error is one sentence for the operator. `config` names a ledger; `owner` is this process's
  // name in it.
  static absl::StatusOr<std::unique_ptr<LedgerKeeper>> Open(
      const boost::asio::any_io_executor& executor, const LedgerConfig& config, std::string owner,
      const KeyedDigest& digest);
  ~LedgerKeeper();
  LedgerKeeper(const LedgerKeeper&) = delete;
  LedgerKeeper& operator=(const LedgerKeeper&) = delete;

  ledger::Store& store() { return *store_; }

  // From now on, until Stop: prunes, ends what was abandoned, and tells `on_change` whether the
  // store is well, first at once and then whenever that changes. Called on the executor.
  void Watch(std::function<void(bool well)> on_change);
  void Stop();

 private:
  LedgerKeeper(const boost::asio::any_io_executor& executor, const LedgerConfig& config,
               std::string owner, std::unique_ptr<ledger::Store> store);
  boost::asio::awaitable<void> Run();
  boost::asio::awaitable<void> Prune();
  // Without it, an execution whose owner is gone would stay as it is until somebody calls Execute.
  boost::asio::awaitable<void> EndAbandoned();
  boost::asio::awaitable<absl::Status> EndAbandoned(ledger::Query query, ledger::Time& held_since);
  boost::asio::awaitable<absl::StatusOr<bool>> EndAbandoned(ledger::Key key);

  const LedgerConfig config_;
  const std::string owner_;
  std::unique_ptr<ledger::Store> store_;
  std::optional<ledger::Time> looked_until_;  // what changed before is nobody's; on the strand
  std::function<void(bool)> on_change_;
  boost::asio::strand<boost::asio::any_io_executor> strand_;
  boost::asio::steady_timer timer_;  // on the strand, as what follows
  bool stopping_ = false;
  std::future<void> ended_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_LEDGER_KEEPER_H_
