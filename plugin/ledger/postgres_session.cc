#include "plugin/ledger/postgres_session.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/ledger/record.h"

namespace sendstep::ledger {
namespace {

constexpr int64_t kSchemaVersion = 1;

// "SSL1", twice: of all advisory locks of a database the one for making the tables.
constexpr char kLockSchema[] = "SELECT pg_advisory_xact_lock(x'53534c3153534c31'::bigint)::text";

// The primary key comes last: of indexes that seem equally good for a key, as all do before the
// table's first ANALYZE, the planner takes the youngest; the other one would have it go through all
// that the tenant has.
constexpr const char* kSchema[] = {
    "CREATE TABLE sendstep_ledger_schema (version integer NOT NULL)",
    "CREATE TABLE sendstep_ledger_executions ("
    " space text COLLATE \"C\" NOT NULL, tenant text COLLATE \"C\" NOT NULL,"
    " request_id text COLLATE \"C\" NOT NULL,"
    " state integer NOT NULL, updated_at bigint NOT NULL, record bytea NOT NULL)",
    "CREATE INDEX sendstep_ledger_executions_by_time"
    " ON sendstep_ledger_executions (space, tenant, updated_at, request_id)",
    "CREATE INDEX sendstep_ledger_executions_by_age"
    " ON sendstep_ledger_executions (updated_at, state)",
    "ALTER TABLE sendstep_ledger_executions ADD PRIMARY KEY (space, tenant, request_id)",
};

// One change of a key at a time, in all sessions and processes, also where no row is yet: whoever
// changes a key first takes an advisory lock of it, which the server holds until the transaction
// has ended for everybody. Under READ COMMITTED each statement sees what was committed before it
// began, so kSelectForUpdate, begun after the lock was had, sees what the last holder left. The
// isolation is spelled out because a server may have another default, under which the snapshot
// would be older than the lock. Two keys of one hash wait for each other and no more. Who has the
// lock of a key does not wait for another one: a transaction of several keys takes the locks that
// are free. So nobody waits in a circle, and one key that is held up holds up no other. The row's
// own lock is for Prune, which takes no lock of a key: it skips a row that is being changed, and a
// change waits for a row that is being removed.
constexpr char kBeginSql[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
constexpr char kBegin[] = "begin";
constexpr char kLock[] = "lock";
constexpr char kTryLock[] = "try_lock";
constexpr char kSelectForUpdate[] = "select_for_update";
constexpr char kSelect[] = "select";
constexpr char kUpsert[] = "upsert";
constexpr char kList[] = "list";
constexpr char kPrune[] = "prune";

// Keys, numbered from 1, and the number of a key's lock.
#define SENDSTEP_KEYS                          \
  "unnest($1::text[], $2::text[], $3::text[])" \
  " WITH ORDINALITY AS k(space, tenant, request_id, n)"
#define SENDSTEP_LOCK                                    \
  "hashtextextended(k.space, hashtextextended(k.tenant," \
  " hashtextextended(k.request_id, 0)))"

constexpr std::pair<const char*, const char*> kStatements[] = {
    {kBegin, kBeginSql},
    {kLock, "SELECT pg_advisory_xact_lock(" SENDSTEP_LOCK ")::text FROM " SENDSTEP_KEYS},
    {kTryLock,
     "SELECT n::text FROM " SENDSTEP_KEYS " WHERE pg_try_advisory_xact_lock(" SENDSTEP_LOCK ")"},
    // Lateral: key by key through the index, whatever the planner thinks of the table's size.
    {kSelectForUpdate, "SELECT n::text, found.record FROM " SENDSTEP_KEYS
                       ", LATERAL (SELECT record FROM sendstep_ledger_executions AS e"
                       "  WHERE e.space=k.space AND e.tenant=k.tenant AND e.request_id=k.request_id"
                       "  FOR UPDATE) AS found"},
    {kSelect,
     "SELECT record FROM sendstep_ledger_executions"
     " WHERE space=$1 AND tenant=$2 AND request_id=$3"},
    {kUpsert,
     "INSERT INTO sendstep_ledger_executions SELECT * FROM"
     " unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::bigint[], $6::bytea[])"
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

// As SENDSTEP_KEYS wants them.
template <class Row>
PostgresValues KeysOf(const std::vector<Row>& rows) {
  std::vector<std::string_view> spaces, tenants, ids;
  for (const Row& row : rows) {
    spaces.push_back(row.key->space);
    tenants.push_back(row.key->tenant);
    ids.push_back(row.key->request_id);
  }
  PostgresValues values;
  values.AddTexts(spaces).AddTexts(tenants).AddTexts(ids);
  return values;
}

absl::StatusOr<std::optional<Execution>> ExecutionOf(std::string_view record) {
  absl::StatusOr<Execution> execution = FromRecord(record);
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

// A plan that was made for a table of a few rows stays, however many it has later: what is prepared
// here shall go through an index in any case.
absl::Status PostgresSession::Prepare() {
  const auto set = connection_->Run("SELECT set_config('enable_seqscan', 'off', false)");
  if (!set.ok()) return set.status();
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

// What is stored under one key, and who wants to change it.
struct PostgresSession::Row {
  const Key* key;
  std::vector<PostgresUpdate*> updates;
  absl::StatusOr<std::optional<Execution>> known = std::optional<Execution>();
  bool changed = false;
};

// Three round trips: up to the row, the change, the end; one more where there are several rows. The
// last two are not one flight: what failed before the end was sent is known not to have happened,
// and begun once more.
absl::Status PostgresSession::Update(std::span<PostgresUpdate* const> updates) {
  std::map<Key, Row> by_key;
  for (PostgresUpdate* update : updates) {
    update->outcome.reset();
    Row& row = by_key[*update->key];
    row.key = update->key;
    row.updates.push_back(update);
  }
  std::vector<Row> rows;
  for (auto& [key, row] : by_key) rows.push_back(std::move(row));

  if (absl::Status status = Know(rows); !status.ok()) return End(status);
  std::vector<PostgresUpdate*> unsettled;  // have changed a row, or seen it changed
  for (Row& row : rows) {
    for (PostgresUpdate* update : row.updates) {
      update->outcome = row.known.status();
      if (!row.known.ok()) continue;
      std::optional<Execution> next = (*update->change)(*row.known ? &**row.known : nullptr);
      if (next) {
        row.known = std::move(next);
        row.changed = true;
      }
      if (row.changed) unsettled.push_back(update);
    }
  }
  std::erase_if(rows, [](const Row& row) { return !row.changed; });
  if (!rows.empty()) {
    if (absl::Status status = Put(rows); !status.ok()) return End(status);
  }
  const absl::Status end = End(!rows.empty());
  if (!end.ok() && !absl::IsDataLoss(end)) return end;
  for (PostgresUpdate* update : unsettled) update->outcome = end;
  return absl::OkStatus();
}

// Begins a transaction and reads the rows, without those of which somebody else has the lock.
absl::Status PostgresSession::Know(std::vector<Row>& rows) {
  const PostgresValues none;
  absl::StatusOr<PostgresResult> found = PostgresResult(nullptr);
  if (rows.size() == 1) {
    const PostgresValues keys = KeysOf(rows);
    found = connection_->RunTogether({{kBegin, none}, {kLock, keys}, {kSelectForUpdate, keys}});
  } else {
    const PostgresValues keys = KeysOf(rows);
    const auto locked = connection_->RunTogether({{kBegin, none}, {kTryLock, keys}});
    if (!locked.ok()) return locked.status();
    std::vector<Row> held;
    for (int i = 0; i < locked->rows(); ++i) {
      held.push_back(std::move(rows.at(locked->Number(i, 0) - 1)));
    }
    rows = std::move(held);
    if (rows.empty()) return absl::OkStatus();
    found = connection_->RunPrepared(kSelectForUpdate, KeysOf(rows));
  }
  if (!found.ok()) return found.status();
  for (int i = 0; i < found->rows(); ++i) {
    rows.at(found->Number(i, 0) - 1).known = ExecutionOf(found->Bytes(i, 1));
  }
  return absl::OkStatus();
}

absl::Status PostgresSession::Put(const std::vector<Row>& rows) {
  std::vector<int64_t> states, times;
  std::vector<std::string> records;
  for (const Row& row : rows) {
    const Execution& execution = **row.known;
    states.push_back(StateNumber(execution.state));
    times.push_back(Milliseconds(execution.updated_at));
    records.push_back(ToRecord(execution));
  }
  PostgresValues values = KeysOf(rows);
  values.AddNumbers(states).AddNumbers(times).AddBytes({records.begin(), records.end()});
  return connection_->RunPrepared(kUpsert, values).status();
}

absl::StatusOr<std::optional<Execution>> PostgresSession::Read(const Key& key) {
  PostgresValues values;
  values.Add(key.space).Add(key.tenant).Add(key.request_id);
  const auto found = connection_->RunPrepared(kSelect, values);
  if (!found.ok()) return found.status();
  if (found->rows() == 0) return std::optional<Execution>();
  return ExecutionOf(found->Bytes(0, 0));
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
