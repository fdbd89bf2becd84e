// PostgreSQL's C interface (libpq) with owners: a URL, a connection, a result.
//
// Threads: one connection is used by one thread at a time; a PostgresUrl does not change.
#ifndef SENDSTEP_PLUGIN_LEDGER_POSTGRES_H_
#define SENDSTEP_PLUGIN_LEDGER_POSTGRES_H_

#include <libpq-fe.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sendstep::ledger {

// "postgresql://user:password@host/database?options", read and found to be one.
class PostgresUrl {
 public:
  // InvalidArgument, without anything of `text`: it may hold the password in an unexpected place.
  static absl::StatusOr<PostgresUrl> Parse(const std::string& text);

  const std::string& text() const { return text_; }
  // "host:port/database", for sentences.
  const std::string& name() const { return name_; }
  // `message` in one line and without the URL's secrets.
  std::string Clean(std::string_view message) const;

 private:
  std::string text_;
  std::string name_;
  std::vector<std::string> secrets_;
};

// Parameters of a statement, in order. Text and bytes go as they are, whatever they hold.
class PostgresValues {
 public:
  PostgresValues& Add(std::string_view bytes);
  PostgresValues& Add(int64_t number);
  // Arrays: text[], bytea[] and of any integers.
  PostgresValues& AddTexts(const std::vector<std::string_view>& texts);
  PostgresValues& AddBytes(const std::vector<std::string_view>& bytes);
  PostgresValues& AddNumbers(const std::vector<int64_t>& numbers);

 private:
  friend class PostgresConnection;
  PostgresValues& AddArray(uint32_t type, const std::vector<std::string_view>& elements);
  std::vector<std::string> values_;
  std::vector<int> binary_;
};

// Rows; each column is text or bytea.
class PostgresResult {
 public:
  explicit PostgresResult(PGresult* result) : result_(result) {}
  int rows() const { return PQntuples(result_.get()); }
  // Valid as long as the result.
  std::string_view Bytes(int row, int column) const;
  // Of a column that is a number as text.
  int64_t Number(int row, int column) const;
  // How many rows a statement changed.
  size_t affected() const;
  PGresult* get() const { return result_.get(); }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

// A session with a server.
//
// Errors: InvalidArgument, a value is none of its column's (text that is not UTF-8); DataLoss, the
// server finds its own files damaged; Unavailable, all else. Sentences hold no value and no secret.
class PostgresConnection {
 public:
  struct Timeouts {
    std::chrono::milliseconds connect;    // for each host and address; counted in whole seconds
    std::chrono::milliseconds statement;  // the server's; one that is silent a quarter longer is
                                          // given up
  };

  // `url` outlives the connection. Blocks, as all here do.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect(const PostgresUrl& url,
                                                                     const Timeouts& timeouts);
  ~PostgresConnection();
  PostgresConnection(const PostgresConnection&) = delete;
  PostgresConnection& operator=(const PostgresConnection&) = delete;

  absl::StatusOr<PostgresResult> Run(const char* sql, const PostgresValues& values = {});

  // A statement under a name, and its use.
  absl::Status Prepare(const char* name, const char* sql);
  absl::StatusOr<PostgresResult> RunPrepared(const char* name, const PostgresValues& values);

  // Several uses in one flight: the server does one after the other, none of them after one that
  // failed. What the last one found, or the error.
  struct Use {
    const char* name;
    const PostgresValues& values;
  };
  absl::StatusOr<PostgresResult> RunTogether(std::initializer_list<Use> uses);

  // Ends a transaction. Unavailable: the server says that nothing was changed. DataLoss: it cannot
  // be known, no answer came or not the whole of it.
  absl::Status Commit();

  // Nothing can be done with it any more.
  bool lost() const { return connection_ == nullptr; }
  void Close();

 private:
  struct Arguments;
  PostgresConnection(const PostgresUrl& url, PGconn* connection, std::chrono::milliseconds silence);
  absl::StatusOr<PostgresResult> Answer(int sent);
  absl::Status Flush();
  absl::StatusOr<PostgresResult> Receive();
  absl::StatusOr<PostgresResult> Judge(PostgresResult result);
  bool Wait(short events, std::chrono::steady_clock::time_point deadline);
  absl::Status Lost(const char* why);

  const PostgresUrl& url_;
  PGconn* connection_;
  const std::chrono::milliseconds silence_;
  bool warned_ = false;  // by the server, during the last statement
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_POSTGRES_H_
