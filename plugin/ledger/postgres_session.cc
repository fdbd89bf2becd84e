#include "plugin/ledger/postgres_session.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/ledger/record.h"

namespace sendstep::ledger {
namespace {

constexpr int64_t kSchemaVersion = 1;

// "SSL1", twice: of all advisory locks of a database the one for making the tables.
constexpr char kLockSchema[] = "SELECT pg_advisory_xact_lock(x'53534c3153534c31'::bigint)::text";

constexpr const char* kSchema[] = {
    "CREATE TABLE sendstep_ledger_schema (version integer NOT NULL)",
    "CREATE TABLE sendstep_ledger_executions ("
    " space text COLLATE \"C\" NOT NULL, tenant text COLLATE \"C\" NOT NULL,"
    " request_id text COLLATE \"C\" NOT NULL,"
    " state integer NOT NULL, updated_at bigint NOT NULL, record bytea NOT NULL,"
    " PRIMARY KEY (space, tenant, request_id))",
    "CREATE INDEX sendstep_ledger_executions_by_time"
    " ON sendstep_ledger_executions (space, tenant, updated_at, request_id)",
    "CREATE INDEX sendstep_ledger_executions_by_age"
    " ON sendstep_ledger_executions (updated_at, state)",
};

// One change of a key at a time, in all sessions and processes, also where no row is yet: whoever
// changes a key first takes an advisory lock of it, which the server holds until the transaction
// has ended for everybody. Under READ COMMITTED each statement sees what was committed before it
// began, so kSelectForUpdate, begun after the lock was had, sees what the last holder left. The
// isolation is spelled out because a server may have another default, under which the snapshot
// would be older than the lock. Two keys of one hash wait for each other and no more. The row's own
// lock is for Prune, which takes no lock of a key: it skips a row that is being changed, and a
// change waits for a row that is being removed.
constexpr char kBeginSql[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
constexpr char kBegin[] = "begin";
constexpr char kLockKey[] = "lock_key";
constexpr char kSelectForUpdate[] = "select_for_update";
constexpr char kSelect[] = "select";
constexpr char kUpsert[] = "upsert";
constexpr char kList[] = "list";
constexpr char kPrune[] = "prune";

constexpr std::pair<const char*, const char*> kStatements[] = {
    {kBegin, kBeginSql},
    {kLockKey,
     "SELECT pg_advisory_xact_lock(hashtextextended($1, hashtextextended($2,"
     " hashtextextended($3, 0))))::text"},
    {kSelectForUpdate,
     "SELECT record FROM sendstep_ledger_executions"
     " WHERE space=$1 AND tenant=$2 AND request_id=$3 FOR UPDATE"},
    {kSelect,
     "SELECT record FROM sendstep_ledger_executions"
     " WHERE space=$1 AND tenant=$2 AND request_id=$3"},
    {kUpsert,
     "INSERT INTO sendstep_ledger_executions VALUES ($1, $2, $3, $4, $5, $6)"
     " ON CONFLICT (space, tenant, request_id) DO UPDATE SET"
     " state=excluded.state, updated_at=excluded.updated_at, record=excluded.record"},
    {kList,
     "SELECT request_id, record FROM sendstep_ledger_executions WHERE space=$1 AND tenant=$2"
     " AND ($3::integer=0 OR state=$3) AND updated_at>=$4 AND updated_at<$5"
     " AND (updated_at, request_id)>($6, $7) ORDER BY updated_at, request_id LIMIT $8"},
    // Materialized: else the planner may run it again and go beyond the limit.
    {kPrune,
     "WITH old AS MATERIALIZED (SELECT space, tenant, request_id FROM sendstep_ledger_executions"
     "  WHERE updated_at<$1 AND state IN ($2, $3, $4) ORDER BY updated_at LIMIT $5"
     "  FOR UPDATE SKIP LOCKED)"
     " DELETE FROM sendstep_ledger_executions AS e USING old"
     " WHERE e.space=old.space AND e.tenant=old.tenant AND e.request_id=old.request_id"},
};

int64_t Milliseconds(Time time) { return time.time_since_epoch().count(); }

PostgresValues ValuesOf(const Key& key) {
  PostgresValues values;
  values.Add(key.space).Add(key.tenant).Add(key.request_id);
  return values;
}

absl::StatusOr<std::optional<Execution>> ExecutionOf(const absl::StatusOr<PostgresResult>& found) {
  if (!found.ok()) return found.status();
  if (found->rows() == 0) return std::optional<Execution>();
  absl::StatusOr<Execution> execution = FromRecord(found->Bytes(0, 0));
  if (!execution.ok()) return execution.status();
  return std::optional<Execution>(*std::move(execution));
}

}  // namespace

std::string JudgeSettings(const PostgresSettings& settings) {
  if (settings.fsync == "off") {
    return "its fsync is off: a crash can lose the whole ledger, and emails sent before would be "
           "sent again";
  }
  if (settings.full_page_writes == "off") {
    return "its full_page_writes is off: a crash can damage the ledger, and emails sent before "
           "would be sent again";
  }
  if (settings.synchronous_commit == "off") {
    return "its synchronous_commit is off: a crash loses the last changes, and emails sent just "
           "before would be sent again";
  }
  if (settings.synchronous_commit == "local" && !settings.synchronous_standby_names.empty()) {
    return "its synchronous_commit is local though it has synchronous standbys: a failover loses "
           "the last changes, and emails sent just before would be sent again";
  }
  if (settings.server_encoding != "UTF8") return "the database's encoding is not UTF8";
  return "";
}

absl::StatusOr<std::unique_ptr<PostgresSession>> PostgresSession::Open(
    const PostgresUrl& url, const PostgresConnection::Timeouts& timeouts) {
  auto connection = PostgresConnection::Connect(url, timeouts);
  if (!connection.ok()) return connection.status();
  std::unique_ptr<PostgresSession> session(new PostgresSession(url, *std::move(connection)));
  absl::Status status = session->CheckServer();
  if (status.ok()) status = session->Configure(timeouts);
  if (status.ok()) status = session->MakeSchema();
  if (status.ok()) status = session->Prepare();
  if (!status.ok()) return status;
  return session;
}

absl::Status PostgresSession::Refuse(const std::string& why) const {
  return absl::FailedPreconditionError(
      absl::StrCat("refusing the ledger ", url_.name(), ": ", why));
}

absl::Status PostgresSession::CheckServer() {
  const auto row = connection_->Run(
      "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),"
      " current_setting('fsync'), current_setting('full_page_writes'),"
      " current_setting('server_encoding')");
  if (!row.ok()) return row.status();
  const auto column = [&row](int index) { return std::string(row->Bytes(0, index)); };
  const std::string why = JudgeSettings({column(0), column(1), column(2), column(3), column(4)});
  return why.empty() ? absl::OkStatus() : Refuse(why);
}

// synchronous_commit stays as it was judged, whatever is configured later. A session that falls
// silent within a transaction is ended, so that what it has locked is free.
absl::Status PostgresSession::Configure(const PostgresConnection::Timeouts& timeouts) {
  PostgresValues values;
  values.Add(absl::StrCat(timeouts.statement.count()));
  return connection_
      ->Run(
          "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false),"
          " set_config('statement_timeout', $1, false),"
          " set_config('idle_in_transaction_session_timeout', $1, false)",
          values)
      .status();
}

// False: there is none.
absl::StatusOr<bool> PostgresSession::CheckSchema() {
  // Not to_regclass(), which may answer from before another session's transaction.
  const auto table = connection_->Run(
      "SELECT tablename::text FROM pg_tables"
      " WHERE tablename='sendstep_ledger_schema' AND schemaname=ANY(current_schemas(false))");
  if (!table.ok()) return table.status();
  if (table->rows() == 0) return false;
  const auto row = connection_->Run("SELECT max(version)::text FROM sendstep_ledger_schema");
  if (!row.ok()) return row.status();
  const std::string version(row->Bytes(0, 0));
  if (version == absl::StrCat(kSchemaVersion)) return true;
  if (version.empty()) return Refuse("its table sendstep_ledger_schema is empty");
  return Refuse(absl::StrCat("it was written by a newer version of sendstep (schema ", version,
                             ", this one knows ", kSchemaVersion, ")"));
}

absl::Status PostgresSession::MakeSchema() {
  const absl::StatusOr<bool> there = CheckSchema();
  if (!there.ok() || *there) return there.status();
  return Transaction([this]() -> absl::StatusOr<bool> {
    if (auto locked = connection_->Run(kLockSchema); !locked.ok()) return locked.status();
    // Another replica may have come first.
    const absl::StatusOr<bool> made = CheckSchema();
    if (!made.ok()) return made.status();
    if (*made) return false;
    for (const char* sql : kSchema) {
      if (auto done = connection_->Run(sql); !done.ok()) return done.status();
    }
    PostgresValues version;
    version.Add(kSchemaVersion);
    const auto done = connection_->Run("INSERT INTO sendstep_ledger_schema VALUES ($1)", version);
    if (!done.ok()) return done.status();
    return true;
  });
}

absl::Status PostgresSession::Prepare() {
  for (const auto& [name, sql] : kStatements) {
    if (absl::Status status = connection_->Prepare(name, sql); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status PostgresSession::Transaction(absl::FunctionRef<absl::StatusOr<bool>()> work) {
  if (auto begun = connection_->Run(kBeginSql); !begun.ok()) return begun.status();
  return End(work());
}

absl::Status PostgresSession::End(const absl::StatusOr<bool>& commit) {
  if (commit.ok() && *commit) {
    const absl::Status status = connection_->Commit();
    // What the server may still be at is not for the next transaction.
    if (absl::IsDataLoss(status)) connection_->Close();
    return status;
  }
  if (!lost() && !connection_->Run("ROLLBACK").ok()) connection_->Close();
  return commit.status();
}

// Three round trips: up to the row, the change, the end. The last two are not one flight: what
// failed before the end was sent is known not to have happened, and begun once more.
absl::Status PostgresSession::Update(const Key& key, const Store::Change& change) {
  const PostgresValues values = ValuesOf(key);
  const PostgresValues none;
  const auto known = ExecutionOf(
      connection_->RunTogether({{kBegin, none}, {kLockKey, values}, {kSelectForUpdate, values}}));
  if (!known.ok()) return End(known.status());
  const std::optional<Execution> next = change(*known ? &**known : nullptr);
  if (!next) return End(false);
  PostgresValues row = values;
  row.Add(int64_t{StateNumber(next->state)}).Add(Milliseconds(next->updated_at));
  row.Add(ToRecord(*next));
  const absl::Status put = connection_->RunPrepared(kUpsert, row).status();
  return put.ok() ? End(true) : End(put);
}

absl::StatusOr<std::optional<Execution>> PostgresSession::Read(const Key& key) {
  return ExecutionOf(connection_->RunPrepared(kSelect, ValuesOf(key)));
}

absl::StatusOr<std::vector<Entry>> PostgresSession::List(const Query& query) {
  PostgresValues values;
  values.Add(query.space).Add(query.tenant);
  values.Add(int64_t{query.state ? StateNumber(*query.state) : 0});
  values.Add(Milliseconds(query.from)).Add(Milliseconds(query.until));
  values.Add(query.after ? Milliseconds(query.after->execution.updated_at) : INT64_MIN);
  values.Add(query.after ? std::string_view(query.after->key.request_id) : "");
  values.Add(static_cast<int64_t>(std::min(query.limit, Store::kMaxPage)));
  const auto found = connection_->RunPrepared(kList, values);
  if (!found.ok()) return found.status();
  std::vector<Entry> entries;
  for (int row = 0; row < found->rows(); ++row) {
    const Key key{query.space, query.tenant, std::string(found->Bytes(row, 0))};
    absl::StatusOr<Execution> execution = FromRecord(found->Bytes(row, 1));
    if (!execution.ok()) return execution.status();
    entries.push_back({key, *std::move(execution)});
  }
  return entries;
}

absl::StatusOr<size_t> PostgresSession::Prune(Time before, size_t limit) {
  PostgresValues values;
  values.Add(Milliseconds(before));
  for (const State state : {State::kSent, State::kPending, State::kFailed}) {
    values.Add(int64_t{StateNumber(state)});
  }
  values.Add(static_cast<int64_t>(std::min<size_t>(limit, INT64_MAX)));
  size_t removed = 0;
  const absl::Status status = Transaction([&]() -> absl::StatusOr<bool> {
    const auto done = connection_->RunPrepared(kPrune, values);
    if (!done.ok()) return done.status();
    removed = done->affected();
    return removed > 0;
  });
  if (!status.ok()) return status;
  return removed;
}

absl::Status PostgresSession::Ping() { return connection_->Run("SELECT ''").status(); }

}  // namespace sendstep::ledger
