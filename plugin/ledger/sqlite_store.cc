#include "plugin/ledger/sqlite_store.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/ledger/file_lock.h"
#include "plugin/ledger/job_queue.h"
#include "plugin/ledger/record.h"
#include "plugin/ledger/sqlite.h"

namespace sendstep::ledger {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

constexpr int kApplicationId = 0x53534c31;  // "SSL1": in the file's header
constexpr int kSchemaVersion = 1;
constexpr int kBusyTimeoutMs = 5000;
constexpr size_t kMaxBatch = 512;

// What linux/magic.h lacks.
constexpr long kCifs = 0xff534d42;
constexpr long kSmb2 = 0xfe534d42;

constexpr char kSchema[] =
    "CREATE TABLE executions ("
    " space TEXT NOT NULL, tenant TEXT NOT NULL, request_id TEXT NOT NULL,"
    " state INTEGER NOT NULL, updated_at INTEGER NOT NULL, record BLOB NOT NULL,"
    " PRIMARY KEY (space, tenant, request_id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX executions_by_time ON executions (space, tenant, updated_at, request_id);"
    "CREATE INDEX executions_by_age ON executions (updated_at, state);";

// The file is, and not one record in it.
bool Broken(const absl::Status& status) {
  return absl::IsDataLoss(status) && !IsDamagedRecord(status);
}

// With the id whose record it is about.
absl::Status Named(const absl::Status& status, const std::string& request_id) {
  absl::Status named(status.code(), absl::StrCat(status.message(), ": request_id ", request_id));
  status.ForEachPayload([&named](absl::string_view type, const absl::Cord& payload) {
    named.SetPayload(type, payload);
  });
  return named;
}

absl::StatusOr<int64_t> Pragma(sqlite3* db, const char* sql) {
  auto statement = Statement::Prepare(db, sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->Step();
  if (!row.ok()) return row.status();
  return *row ? statement->Integer(0) : 0;
}

absl::Status Configure(sqlite3* db) {
  sqlite3_busy_timeout(db, kBusyTimeoutMs);
  for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"}) {
    if (absl::Status status = RunSql(db, sql); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Makes the schema in an empty file; refuses a stranger's file and a later version's.
absl::Status Migrate(sqlite3* db, const fs::path& file) {
  if (absl::Status status = RunSql(db, "BEGIN IMMEDIATE"); !status.ok()) return status;
  const absl::StatusOr<int64_t> tables = Pragma(db, "SELECT count(*) FROM sqlite_schema");
  const absl::StatusOr<int64_t> application = Pragma(db, "PRAGMA application_id");
  const absl::StatusOr<int64_t> version = Pragma(db, "PRAGMA user_version");
  for (const auto* result : {&tables, &application, &version}) {
    if (!result->ok()) return result->status();
  }
  const auto refuse = [&](std::string why) {
    return absl::FailedPreconditionError(
        absl::StrCat("refusing the ledger ", file.string(), ": ", why));
  };
  if (*tables == 0) {
    const std::string make = absl::StrCat(kSchema, "PRAGMA application_id=", kApplicationId,
                                          ";PRAGMA user_version=", kSchemaVersion);
    if (absl::Status status = RunSql(db, make.c_str()); !status.ok()) return status;
    return RunSql(db, "COMMIT");
  }
  if (*application != kApplicationId) return refuse("it is another program's database");
  if (*version > kSchemaVersion) {
    return refuse(absl::StrCat("it was written by a newer version of sendstep (schema ", *version,
                               ", this one knows ", kSchemaVersion, ")"));
  }
  return RunSql(db, "COMMIT");
}

}  // namespace

// The thread at the database. Everything but the queue, health and transactions is its own.
class SqliteStore::Writer {
 public:
  using Work = absl::AnyInvocable<absl::Status(Writer&)>;
  using Queue = JobQueue<Work>;

  static absl::StatusOr<std::unique_ptr<Writer>> Open(const fs::path& file) {
    absl::StatusOr<FileLock> lock = FileLock::Take(file);
    if (!lock.ok()) return lock.status();
    sqlite3* raw = nullptr;
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(file.c_str(), &raw, flags, nullptr);
    Sqlite db(raw);
    if (code != SQLITE_OK) {
      return absl::UnavailableError(
          absl::StrCat("cannot open the ledger ", file.string(), ": ", sqlite3_errstr(code)));
    }
    if (absl::Status status = Configure(db.get()); !status.ok()) return Cannot(file, status);
    if (absl::Status status = Migrate(db.get(), file); !status.ok()) {
      return absl::IsFailedPrecondition(status) ? status : Cannot(file, status);
    }
    std::unique_ptr<Writer> writer(new Writer(*std::move(lock), std::move(db)));
    if (absl::Status status = writer->Prepare(); !status.ok()) return Cannot(file, status);
    writer->thread_ = std::jthread([self = writer.get()] { self->Loop(); });
    return writer;
  }

  ~Writer() { queue_.Close(); }

  Queue& queue() { return queue_; }
  absl::Status Health();
  uint64_t transactions() const { return transactions_; }

  // Work of one job.
  absl::Status Update(const Key& key, const Change& change);
  absl::StatusOr<std::optional<Execution>> Read(const Key& key);
  absl::StatusOr<std::vector<Entry>> List(const Query& query);
  absl::StatusOr<size_t> Prune(Time before, size_t limit);

 private:
  using Job = Queue::Job;

  Writer(FileLock lock, Sqlite db) : lock_(std::move(lock)), db_(std::move(db)) {}

  static absl::Status Cannot(const fs::path& file, const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat("cannot open the ledger ", file.string(), ": ",
                                                    status.message()));
  }

  absl::Status Prepare();
  void Loop();
  // `begun`: the jobs were tried.
  absl::Status Transaction(std::span<Job> jobs, bool& begun);
  void Finish(Job& job, const absl::Status& status);
  absl::Status KnownHealth() const {
    const std::lock_guard lock(mutex_);
    return health_;
  }

  FileLock lock_;  // outlives the database
  Sqlite db_;
  std::optional<Statement> begin_, commit_, rollback_, select_, upsert_, list_, prune_;

  mutable std::mutex mutex_;
  absl::Status health_;
  bool looking_ = false;  // a job of Health's is under way
  std::atomic<uint64_t> transactions_ = 0;
  Queue queue_;          // its jobs use what is above
  std::jthread thread_;  // joined first
};

absl::Status SqliteStore::Writer::Prepare() {
  const std::pair<std::optional<Statement>*, const char*> statements[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
      {&select_, "SELECT record FROM executions WHERE space=?1 AND tenant=?2 AND request_id=?3"},
      {&upsert_,
       "INSERT INTO executions VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET"
       " state=excluded.state, updated_at=excluded.updated_at, record=excluded.record"},
      {&list_,
       "SELECT request_id, record FROM executions WHERE space=?1 AND tenant=?2"
       " AND (?3=0 OR state=?3) AND updated_at>=?4 AND updated_at<?5"
       " AND (updated_at, request_id)>(?6, ?7) ORDER BY updated_at, request_id LIMIT ?8"},
      {&prune_,
       "DELETE FROM executions WHERE (space, tenant, request_id) IN"
       " (SELECT space, tenant, request_id FROM executions"
       "  WHERE updated_at<?1 AND state IN (?2, ?3, ?4) ORDER BY updated_at LIMIT ?5)"},
  };
  for (const auto& [into, sql] : statements) {
    auto statement = Statement::Prepare(db_.get(), sql);
    if (!statement.ok()) return statement.status();
    *into = *std::move(statement);
  }
  return absl::OkStatus();
}

// Without calls an error would stay for ever, and a server that is not well gets no calls.
absl::Status SqliteStore::Writer::Health() {
  {
    const std::lock_guard lock(mutex_);
    if (health_.ok() || absl::IsDataLoss(health_) || std::exchange(looking_, true)) return health_;
  }
  // Writes to the disk, and changes nothing.
  Work look = [](Writer& writer) {
    const std::string same = absl::StrCat("PRAGMA user_version=", kSchemaVersion);
    return RunSql(writer.db_.get(), same.c_str());
  };
  Queue::Done looked = [this](const absl::Status&) {
    const std::lock_guard lock(mutex_);
    looking_ = false;
  };
  queue_.Add(std::move(look), std::move(looked));
  return KnownHealth();
}

void SqliteStore::Writer::Loop() {
  const auto take = [this] { return queue_.Take(kMaxBatch, [](const Work&) { return true; }); };
  for (auto batch = take(); !batch.empty(); batch = take()) {
    const absl::Status broken = KnownHealth();
    bool begun = false;
    absl::Status status = absl::IsDataLoss(broken) ? broken : Transaction(batch, begun);
    if (status.ok() || !begun || batch.size() == 1 || Broken(status)) {
      for (Job& job : batch) Finish(job, status);
      continue;
    }
    // One of them cannot be done; the others need not suffer.
    for (Job& job : batch) Finish(job, Transaction(std::span(&job, 1), begun));
  }
}

void SqliteStore::Writer::Finish(Job& job, const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (!absl::IsDataLoss(health_) && !IsDamagedRecord(status)) health_ = status;
  }
  job.done(status);
}

absl::Status SqliteStore::Writer::Transaction(std::span<Job> jobs, bool& begun) {
  const auto step = [](Statement& statement) {
    const absl::Status status = statement.Step().status();
    statement.Reset();
    return status;
  };
  if (absl::Status status = step(*begin_); !status.ok()) return status;
  begun = true;
  absl::Status status;
  for (Job& job : jobs) {
    status = job.work(*this);
    if (!status.ok()) break;
  }
  if (status.ok()) status = step(*commit_);
  // SQLite has rolled back already after some errors.
  if (!status.ok() && sqlite3_get_autocommit(db_.get()) == 0) (void)step(*rollback_);
  if (status.ok()) ++transactions_;
  return status;
}

absl::StatusOr<std::optional<Execution>> SqliteStore::Writer::Read(const Key& key) {
  select_->Reset();
  select_->Bind(1, key.space);
  select_->Bind(2, key.tenant);
  select_->Bind(3, key.request_id);
  const absl::StatusOr<bool> row = select_->Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::optional<Execution>();
  absl::StatusOr<Execution> execution = FromRecord(select_->Bytes(0));
  select_->Reset();
  if (!execution.ok()) return Named(execution.status(), key.request_id);
  return std::optional<Execution>(*std::move(execution));
}

absl::Status SqliteStore::Writer::Update(const Key& key, const Change& change) {
  const absl::StatusOr<std::optional<Execution>> known = Read(key);
  if (!known.ok()) return known.status();
  const std::optional<Execution> next = change(*known ? &**known : nullptr);
  if (!next) return absl::OkStatus();
  const std::string record = ToRecord(*next);
  upsert_->Bind(1, key.space);
  upsert_->Bind(2, key.tenant);
  upsert_->Bind(3, key.request_id);
  upsert_->Bind(4, int64_t{StateNumber(next->state)});
  upsert_->Bind(5, int64_t{next->updated_at.time_since_epoch().count()});
  upsert_->BindBlob(6, record);
  const absl::Status status = upsert_->Step().status();
  upsert_->Reset();
  return status;
}

absl::StatusOr<std::vector<Entry>> SqliteStore::Writer::List(const Query& query) {
  list_->Reset();
  list_->Bind(1, query.space);
  list_->Bind(2, query.tenant);
  list_->Bind(3, int64_t{query.state ? StateNumber(*query.state) : 0});
  list_->Bind(4, int64_t{query.from.time_since_epoch().count()});
  list_->Bind(5, int64_t{query.until.time_since_epoch().count()});
  const int64_t after_time =
      query.after ? query.after->execution.updated_at.time_since_epoch().count() : INT64_MIN;
  list_->Bind(6, after_time);
  list_->Bind(7, query.after ? std::string_view(query.after->key.request_id) : "");
  list_->Bind(8, static_cast<int64_t>(std::min(query.limit, kMaxPage)));
  std::vector<Entry> entries;
  for (;;) {
    const absl::StatusOr<bool> row = list_->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const Key key{query.space, query.tenant, std::string(list_->Bytes(0))};
    absl::StatusOr<Execution> execution = FromRecord(list_->Bytes(1));
    if (!execution.ok()) return Named(execution.status(), key.request_id);
    entries.push_back({key, *std::move(execution)});
  }
  list_->Reset();
  return entries;
}

absl::StatusOr<size_t> SqliteStore::Writer::Prune(Time before, size_t limit) {
  prune_->Bind(1, int64_t{before.time_since_epoch().count()});
  prune_->Bind(2, int64_t{StateNumber(State::kSent)});
  prune_->Bind(3, int64_t{StateNumber(State::kPending)});
  prune_->Bind(4, int64_t{StateNumber(State::kFailed)});
  prune_->Bind(5, static_cast<int64_t>(std::min<size_t>(limit, INT64_MAX)));
  const absl::Status status = prune_->Step().status();
  prune_->Reset();
  if (!status.ok()) return status;
  return static_cast<size_t>(sqlite3_changes64(db_.get()));
}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const fs::path& file) {
  const FolderVerdict folder = JudgeFolder(file.parent_path());
  if (!folder.refused.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("refusing the ledger ", file.string(), ": ", folder.refused));
  }
  auto writer = Writer::Open(file);
  if (!writer.ok()) return writer.status();
  return std::unique_ptr<SqliteStore>(new SqliteStore(*std::move(writer)));
}

SqliteStore::SqliteStore(std::unique_ptr<Writer> writer) : writer_(std::move(writer)) {}
SqliteStore::~SqliteStore() = default;

asio::awaitable<absl::Status> SqliteStore::Update(Key key, Change change) {
  Writer::Work work = [&key, &change](Writer& writer) { return writer.Update(key, change); };
  co_return co_await Ask(writer_->queue(), std::move(work));
}

asio::awaitable<absl::StatusOr<std::optional<Execution>>> SqliteStore::Read(Key key) {
  Finding<std::optional<Execution>, Writer> find = [&key](Writer& writer) {
    return writer.Read(key);
  };
  co_return co_await AskFor(writer_->queue(), std::move(find));
}

asio::awaitable<absl::StatusOr<std::vector<Entry>>> SqliteStore::List(Query query) {
  Finding<std::vector<Entry>, Writer> find = [&query](Writer& writer) {
    return writer.List(query);
  };
  co_return co_await AskFor(writer_->queue(), std::move(find));
}

asio::awaitable<absl::StatusOr<size_t>> SqliteStore::Prune(Time before, size_t limit) {
  Finding<size_t, Writer> find = [before, limit](Writer& writer) {
    return writer.Prune(before, limit);
  };
  co_return co_await AskFor(writer_->queue(), std::move(find));
}

absl::Status SqliteStore::Health() const { return writer_->Health(); }
uint64_t SqliteStore::transactions() const { return writer_->transactions(); }

namespace {

constexpr char kLoss[] =
    "then all that is known of emails sent before is lost, and retries of them send them again";

bool Temporary(const fs::path& folder) {
  std::error_code failed;
  const fs::path real = fs::canonical(folder.empty() ? "." : folder, failed);
  for (const fs::path above : {"/tmp", "/var/tmp"}) {
    const auto [end, unused] = std::ranges::mismatch(above, real);
    if (!failed && end == above.end()) return true;
  }
  return false;
}

}  // namespace

FolderVerdict JudgeFolder(const fs::path& folder) {
  struct statfs info = {};
  if (::statfs(folder.empty() ? "." : folder.c_str(), &info) != 0) return {};
  FolderVerdict verdict;
  static constexpr std::array<long, 6> kNetwork = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC,  kCifs,
                                                   kSmb2,           CEPH_SUPER_MAGIC, V9FS_MAGIC};
  const long type = info.f_type;
  if (std::ranges::find(kNetwork, type) != kNetwork.end()) {
    verdict.refused =
        "its folder is on a network file system, where a crash can lose what was recorded";
  } else if (type == TMPFS_MAGIC || type == RAMFS_MAGIC) {
    verdict.warning =
        absl::StrCat("its folder is in memory, which a restart of the machine empties: ", kLoss);
  } else if (Temporary(folder)) {
    verdict.warning = absl::StrCat(
        "its folder is a temporary one, which the system empties by age or at a restart: ", kLoss);
  }
  return verdict;
}

}  // namespace sendstep::ledger
