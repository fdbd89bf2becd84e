// SQLite's C interface with owners: a connection and its prepared statements.
//
// Threads: one connection is used by one thread at a time.
#ifndef SENDSTEP_PLUGIN_LEDGER_SQLITE_H_
#define SENDSTEP_PLUGIN_LEDGER_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sendstep::ledger {

struct CloseSqlite {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Sqlite = std::unique_ptr<sqlite3, CloseSqlite>;

// The last error of `db`. Unavailable where trying again may help or room is missing; DataLoss
// where the file is damaged or the disk has failed.
absl::Status SqliteError(sqlite3* db, std::string_view what);

// Runs `sql`, which returns no row.
absl::Status RunSql(sqlite3* db, const char* sql);

// One statement, used again and again.
class Statement {
 public:
  static absl::StatusOr<Statement> Prepare(sqlite3* db, const char* sql);

  // Parameters count from 1. Text and blobs must outlive the next Reset.
  void Bind(int parameter, int64_t value) {
    sqlite3_bind_int64(statement_.get(), parameter, value);
  }
  void Bind(int parameter, std::string_view text);
  void BindBlob(int parameter, std::string_view bytes);

  // True: a row. False: there is none any more.
  absl::StatusOr<bool> Step();
  // Columns count from 0. Valid until the next Step or Reset.
  int64_t Integer(int column) { return sqlite3_column_int64(statement_.get(), column); }
  std::string_view Bytes(int column);

  // Ready for the next use, nothing bound.
  void Reset();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_SQLITE_H_
