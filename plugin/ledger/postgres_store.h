// The store that replicas share: a PostgreSQL database (12 or later), spoken to with libpq.
//
// A few threads with a connection each. What callers ask for while these are busy is done in the
// next transaction, up to 64 changes in one (group commit), durable before they are answered: a
// server that would lose them is refused. A change that cannot be made with others, or has to wait
// for another process, is made alone. A pooler between them has to pool sessions.
//
// Errors other than SqliteStore's:
//   - kDataLoss: a record is damaged, or the connection was lost while the end of a transaction was
//     under way, so that it cannot be known whether its change is on disk. That is said of the
//     calls it befell, and the store goes on: what a server has on disk is its own to know, and the
//     next call reads it there.
//   - kInvalidArgument: a key is not UTF-8 or holds a zero byte.
//   - A connection lost before that is made anew and the call begun once more; only then is it
//     kUnavailable. While the database is down, calls are, and so is Health(); both recover by
//     themselves.
#ifndef SENDSTEP_PLUGIN_LEDGER_POSTGRES_STORE_H_
#define SENDSTEP_PLUGIN_LEDGER_POSTGRES_STORE_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "plugin/ledger/store.h"

namespace sendstep::ledger {

struct PostgresOptions {
  // The more, the fewer changes share a transaction, and the slower all are; with one alone, who
  // waits for another process's change would hold up everybody.
  size_t connections = 2;
  // Until a server has taken a connection, for each address the URL has; in whole seconds, at least
  // two. Looking up its name is the system's and counts extra.
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
  // Of one statement, waiting for another change of the same key included.
  std::chrono::milliseconds statement_timeout = std::chrono::seconds(5);
};

class PostgresStore final : public Store {
 public:
  // Makes the tables sendstep_ledger_* where there are none. `url` is "postgresql://..." with what
  // libpq knows; with several hosts, the one that takes writes is used. Errors, of one sentence and
  // without the password: InvalidArgument, it is no such URL; FailedPrecondition, the server may
  // lose what it has committed, or the tables are a newer version's; Unavailable, it cannot be
  // reached or refuses.
  static absl::StatusOr<std::unique_ptr<PostgresStore>> Open(const std::string& url,
                                                             PostgresOptions options);
  ~PostgresStore() override;

  boost::asio::awaitable<absl::Status> Update(Key key, Change change) override;
  boost::asio::awaitable<absl::StatusOr<std::optional<Execution>>> Read(Key key) override;
  boost::asio::awaitable<absl::StatusOr<std::vector<Entry>>> List(Query query) override;
  boost::asio::awaitable<absl::StatusOr<size_t>> Prune(Time before, size_t limit) override;
  // What the last call met. While that is an error, asking has a thread look again.
  absl::Status Health() const override;
  bool Shared() const override { return true; }

 private:
  class Pool;
  explicit PostgresStore(std::unique_ptr<Pool> pool);
  std::unique_ptr<Pool> pool_;
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_POSTGRES_STORE_H_
