// One connection that executions are read and changed through, and what it asks of a server.
//
// Threads: used by one thread at a time. Blocks.
#ifndef SENDSTEP_PLUGIN_LEDGER_POSTGRES_SESSION_H_
#define SENDSTEP_PLUGIN_LEDGER_POSTGRES_SESSION_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugin/ledger/postgres.h"
#include "plugin/ledger/store.h"

namespace sendstep::ledger {

// Settings of a server, as it says them.
struct PostgresSettings {
  std::string synchronous_commit;
  std::string synchronous_standby_names;
  std::string fsync;
  std::string full_page_writes;
  std::string server_encoding;
};
// Why no ledger can be kept with these, in half a sentence; empty: it can.
std::string JudgeSettings(const PostgresSettings& settings);

// One of the changes that are made together.
struct PostgresUpdate {
  const Key* key;
  const Store::Change* change;
  bool alone = false;  // not with those of other keys
  // Of the last run. None: not made, somebody else is changing this key.
  std::optional<absl::Status> outcome;
};

class PostgresSession {
 public:
  // Connects and makes the tables where there are none. FailedPrecondition: this server or these
  // tables must not be used. `url` outlives the session.
  static absl::StatusOr<std::unique_ptr<PostgresSession>> Open(
      const PostgresUrl& url, const PostgresConnection::Timeouts& timeouts);

  // All in one transaction, those of one key in their order. Waits for somebody else's change of a
  // key only where all are of that one; else those of that key have no outcome. OK: each has an
  // outcome of its own, or none. Else nothing was changed, whatever the outcomes.
  absl::Status Update(std::span<PostgresUpdate* const> updates);

  // As Store's. Where one of all these fails and lost() is true, nothing more can be done with this
  // session; the same call may be made with another one.
  absl::StatusOr<std::optional<Execution>> Read(const Key& key);
  absl::StatusOr<std::vector<Entry>> List(const Query& query);
  absl::StatusOr<size_t> Prune(Time before, size_t limit);
  // Whether the server answers.
  absl::Status Ping();

  bool lost() const { return connection_->lost(); }

 private:
  PostgresSession(const PostgresUrl& url, std::unique_ptr<PostgresConnection> connection)
      : url_(url), connection_(std::move(connection)) {}
  absl::Status Refuse(const std::string& why) const;
  absl::Status CheckServer();
  absl::Status Configure(const PostgresConnection::Timeouts& timeouts);
  absl::StatusOr<bool> CheckSchema();
  absl::Status MakeSchema();
  absl::Status Prepare();
  struct Row;
  absl::Status Know(std::vector<Row>& rows);
  absl::Status Put(const std::vector<Row>& rows);
  // Commits what `work` did if it says so.
  absl::Status Transaction(absl::FunctionRef<absl::StatusOr<bool>()> work);
  absl::Status End(const absl::StatusOr<bool>& commit);

  const PostgresUrl& url_;
  std::unique_ptr<PostgresConnection> connection_;
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_POSTGRES_SESSION_H_
