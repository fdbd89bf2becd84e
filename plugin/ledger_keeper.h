// Keeps the ledger that the operator chose: opens it, sees that it was written with this server's
// key, forgets what is old and watches its health.
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

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugin/ledger/store.h"
#include "plugin/server_config.h"
#include "transport/base/secret.h"

namespace sendstep::plugin {

// Threads: Open, Watch, Stop and the destructor from one thread that is none of the executor's,
// whose threads run meanwhile.
class LedgerKeeper {
 public:
  // The error is one sentence for the operator. `config` names a ledger.
  static absl::StatusOr<std::unique_ptr<LedgerKeeper>> Open(
      const boost::asio::any_io_executor& executor, const LedgerConfig& config,
      const base::Secret& key);
  ~LedgerKeeper();
  LedgerKeeper(const LedgerKeeper&) = delete;
  LedgerKeeper& operator=(const LedgerKeeper&) = delete;

  ledger::Store& store() { return *store_; }

  // From now on, until Stop: prunes, and tells `on_change` whether the store is well, first at once
  // and then whenever that changes. Called on the executor.
  void Watch(std::function<void(bool well)> on_change);
  void Stop();

 private:
  LedgerKeeper(const boost::asio::any_io_executor& executor, const LedgerConfig& config,
               std::unique_ptr<ledger::Store> store);
  boost::asio::awaitable<void> Run();
  boost::asio::awaitable<void> Prune();

  const std::chrono::milliseconds retention_;
  std::unique_ptr<ledger::Store> store_;
  std::function<void(bool)> on_change_;
  boost::asio::strand<boost::asio::any_io_executor> strand_;
  boost::asio::steady_timer timer_;  // on the strand, as what follows
  bool stopping_ = false;
  std::future<void> ended_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_LEDGER_KEEPER_H_
