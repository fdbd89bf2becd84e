#include "plugin/ledger/postgres.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace sendstep::ledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Of pg_type, the same in every server.
constexpr uint32_t kBytea = 17;
constexpr uint32_t kText = 25;

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using ParsedOptions = std::unique_ptr<PQconninfoOption, FreeOptions>;

std::string Option(const ParsedOptions& options, const char* keyword) {
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (std::strcmp(option->keyword, keyword) == 0 && option->val != nullptr) return option->val;
  }
  return "";
}

// A password with an '@' or '/' that is not encoded ends early; the rest of it then passes for the
// host, the port or the database, which errors name.
bool PasswordIsWhole(const std::string& text) {
  const size_t begin = text.find("://") + 3;
  const size_t end = text.find_first_of("@/", begin);
  const size_t rest = end != std::string::npos && text[end] == '@' ? end + 1 : begin;
  const std::string place = text.substr(rest, text.find('?', rest) - rest);
  return place.find('@') == std::string::npos;
}

bool Ports(const std::string& text) {
  return text.find_first_not_of("0123456789,") == std::string::npos;
}

std::string Field(const PGresult* result, int field) {
  const char* value = PQresultErrorField(result, field);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<PostgresUrl> PostgresUrl::Parse(const std::string& text) {
  const absl::Status malformed = absl::InvalidArgumentError(
      "the ledger's URL is not postgresql://user:password@host:port/database, in which '@', '/', "
      "':', '?' and '%' of a password are written %40, %2F, %3A, %3F and %25");
  const bool url = text.starts_with("postgresql://") || text.starts_with("postgres://");
  if (!url || text.find('\0') != std::string::npos || !PasswordIsWhole(text)) return malformed;
  char* error = nullptr;
  const ParsedOptions options(PQconninfoParse(text.c_str(), &error));
  PQfreemem(error);
  if (options == nullptr || !Ports(Option(options, "port"))) return malformed;
  PostgresUrl parsed;
  parsed.text_ = text;
  const std::string host = Option(options, "host"), port = Option(options, "port");
  parsed.name_ = absl::StrCat(host.empty() ? "localhost" : host, port.empty() ? "" : ":", port, "/",
                              Option(options, "dbname"));
  for (const char* secret : {"password", "sslpassword"}) {
    if (std::string value = Option(options, secret); !value.empty()) {
      parsed.secrets_.push_back(std::move(value));
    }
  }
  parsed.name_ = parsed.Clean(parsed.name_);
  return parsed;
}

std::string PostgresUrl::Clean(std::string_view message) const {
  std::string clean(message);
  for (const std::string& secret : secrets_) {
    clean = absl::StrReplaceAll(clean, {{secret, "***"}});
  }
  absl::StripAsciiWhitespace(&clean);
  return absl::StrReplaceAll(clean, {{"\n", "; "}, {"\t", ""}});
}

PostgresValues& PostgresValues::Add(std::string_view bytes) {
  values_.emplace_back(bytes);
  binary_.push_back(1);
  return *this;
}

PostgresValues& PostgresValues::Add(int64_t number) {
  values_.push_back(std::to_string(number));
  binary_.push_back(0);
  return *this;
}

PostgresValues& PostgresValues::AddTexts(const std::vector<std::string_view>& texts) {
  return AddArray(kText, texts);
}

PostgresValues& PostgresValues::AddBytes(const std::vector<std::string_view>& bytes) {
  return AddArray(kBytea, bytes);
}

PostgresValues& PostgresValues::AddNumbers(const std::vector<int64_t>& numbers) {
  values_.push_back(absl::StrCat("{", absl::StrJoin(numbers, ","), "}"));
  binary_.push_back(0);
  return *this;
}

// As array_recv() reads it: dimensions, whether there are nulls, the elements' type; of each
// dimension its size and first index; of each element its size and bytes.
PostgresValues& PostgresValues::AddArray(uint32_t type,
                                         const std::vector<std::string_view>& elements) {
  std::string array;
  const auto put = [&array](size_t number) {
    for (int shift = 24; shift >= 0; shift -= 8)
      array.push_back(static_cast<char>(number >> shift));
  };
  for (const size_t number : {size_t{1}, size_t{0}, size_t{type}, elements.size(), size_t{1}}) {
    put(number);
  }
  for (const std::string_view element : elements) {
    put(element.size());
    array.append(element);
  }
  return Add(array);
}

std::string_view PostgresResult::Bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t PostgresResult::Number(int row, int column) const {
  return std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
}

size_t PostgresResult::affected() const {
  return std::strtoull(PQcmdTuples(result_.get()), nullptr, 10);
}

// Values as libpq wants them; valid as long as the values.
struct PostgresConnection::Arguments {
  explicit Arguments(const PostgresValues& values) : binary(values.binary_) {
    for (const std::string& value : values.values_) {
      bytes.push_back(value.data());
      sizes.push_back(static_cast<int>(value.size()));
    }
  }
  int count() const { return static_cast<int>(bytes.size()); }
  std::vector<const char*> bytes;
  std::vector<int> sizes;
  const std::vector<int>& binary;
};

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Connect(
    const PostgresUrl& url, const Timeouts& timeouts) {
  const std::string silence = absl::StrCat(timeouts.statement.count());
  const auto whole = std::chrono::ceil<std::chrono::seconds>(timeouts.connect);
  const std::string seconds = absl::StrCat(std::max<int64_t>(whole.count(), 1));
  // What stands before the URL is a default, what stands behind it holds whatever the URL says.
  const std::array options = {
      std::pair("fallback_application_name", "sendstepd"),
      std::pair("target_session_attrs", "read-write"),
      std::pair("tcp_user_timeout", silence.c_str()),
      std::pair("keepalives_idle", "15"),
      std::pair("keepalives_interval", "5"),
      std::pair("keepalives_count", "3"),
      std::pair("dbname", url.text().c_str()),
      std::pair("connect_timeout", seconds.c_str()),
      std::pair("client_encoding", "UTF8"),
  };
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : options) {
    keywords.push_back(keyword);
    values.push_back(value);
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* raw = PQconnectdbParams(keywords.data(), values.data(), /*expand_dbname=*/1);
  std::unique_ptr<PostgresConnection> connection(
      new PostgresConnection(url, raw, timeouts.statement + timeouts.statement / 4));
  if (raw == nullptr || PQstatus(raw) != CONNECTION_OK || PQsetnonblocking(raw, 1) != 0) {
    return connection->Lost("cannot be reached");
  }
  return connection;
}

PostgresConnection::PostgresConnection(const PostgresUrl& url, PGconn* connection,
                                       milliseconds silence)
    : url_(url), connection_(connection), silence_(silence) {
  if (connection == nullptr) return;
  const auto receive = [](void* self, const PGresult* notice) {
    if (Field(notice, PG_DIAG_SEVERITY_NONLOCALIZED) == "WARNING") {
      static_cast<PostgresConnection*>(self)->warned_ = true;
    }
  };
  PQsetNoticeReceiver(connection, receive, this);
}

PostgresConnection::~PostgresConnection() { Close(); }

void PostgresConnection::Close() { PQfinish(std::exchange(connection_, nullptr)); }

absl::Status PostgresConnection::Lost(const char* why) {
  const std::string detail = url_.Clean(PQerrorMessage(connection_));
  Close();
  return absl::UnavailableError(absl::StrCat("the ledger's database ", url_.name(), " ", why,
                                             detail.empty() ? "" : ": ", detail));
}

absl::StatusOr<PostgresResult> PostgresConnection::Run(const char* sql,
                                                       const PostgresValues& values) {
  const Arguments arguments(values);
  return Answer(PQsendQueryParams(connection_, sql, arguments.count(), nullptr,
                                  arguments.bytes.data(), arguments.sizes.data(),
                                  arguments.binary.data(), /*resultFormat=*/1));
}

absl::Status PostgresConnection::Prepare(const char* name, const char* sql) {
  return Answer(PQsendPrepare(connection_, name, sql, 0, nullptr)).status();
}

absl::StatusOr<PostgresResult> PostgresConnection::RunPrepared(const char* name,
                                                               const PostgresValues& values) {
  const Arguments arguments(values);
  return Answer(PQsendQueryPrepared(connection_, name, arguments.count(), arguments.bytes.data(),
                                    arguments.sizes.data(), arguments.binary.data(),
                                    /*resultFormat=*/1));
}

bool PostgresConnection::Wait(short events, steady_clock::time_point deadline) {
  pollfd socket = {PQsocket(connection_), events, 0};
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    const int ready = ::poll(&socket, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return false;
  }
}

absl::StatusOr<PostgresResult> PostgresConnection::RunTogether(std::initializer_list<Use> uses) {
  warned_ = false;
  bool sent = PQenterPipelineMode(connection_) != 0;
  for (const Use& use : uses) {
    const Arguments arguments(use.values);
    // Asked to flush, the server answers each when it is done: that is how long a silence is.
    sent = sent &&
           PQsendQueryPrepared(connection_, use.name, arguments.count(), arguments.bytes.data(),
                               arguments.sizes.data(), arguments.binary.data(),
                               /*resultFormat=*/1) != 0 &&
           PQsendFlushRequest(connection_) != 0;
  }
  if (!sent || PQpipelineSync(connection_) == 0) return Lost("was lost");
  if (absl::Status status = Flush(); !status.ok()) return status;
  absl::StatusOr<PostgresResult> found = PostgresResult(nullptr);
  for (size_t left = uses.size(); left > 0; --left) {
    absl::StatusOr<PostgresResult> answer = Receive();
    if (lost()) return answer.status();
    if (found.ok()) found = std::move(answer);
  }
  if (auto end = Receive(); !end.ok()) return end.status();
  if (PQexitPipelineMode(connection_) == 0) return Lost("was lost");
  return found;
}

// Of what was sent; not PQexec, which waits for ever for a server that is stopped.
absl::StatusOr<PostgresResult> PostgresConnection::Answer(int sent) {
  warned_ = false;
  if (sent == 0) return Lost("was lost");
  if (absl::Status status = Flush(); !status.ok()) return status;
  return Receive();
}

absl::Status PostgresConnection::Flush() {
  const auto deadline = steady_clock::now() + silence_;
  for (int more = PQflush(connection_); more != 0; more = PQflush(connection_)) {
    if (more < 0) return Lost("was lost");
    if (!Wait(POLLIN | POLLOUT, deadline)) return Lost("does not take what it is sent");
    if (PQconsumeInput(connection_) == 0) return Lost("was lost");
  }
  return absl::OkStatus();
}

// The answer to one statement, or to the end of a flight.
absl::StatusOr<PostgresResult> PostgresConnection::Receive() {
  const auto deadline = steady_clock::now() + silence_;
  PostgresResult answer(nullptr);
  for (;;) {
    while (PQisBusy(connection_) != 0) {
      if (!Wait(POLLIN, deadline)) return Lost("does not answer");
      if (PQconsumeInput(connection_) == 0) return Lost("was lost");
    }
    PostgresResult next(PQgetResult(connection_));
    if (next.get() == nullptr) return Judge(std::move(answer));
    if (PQresultStatus(next.get()) == PGRES_PIPELINE_SYNC) return next;  // nothing follows
    // An error comes last, unless the end of the connection follows it.
    if (PQresultStatus(answer.get()) != PGRES_FATAL_ERROR || answer.get() == nullptr) {
      answer = std::move(next);
    }
  }
}

absl::StatusOr<PostgresResult> PostgresConnection::Judge(PostgresResult result) {
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return result;
  if (status == PGRES_PIPELINE_ABORTED) return absl::UnavailableError("one before it failed");
  const std::string message =
      absl::StrCat("the ledger's database ", url_.name(),
                   " refuses: ", url_.Clean(Field(result.get(), PG_DIAG_MESSAGE_PRIMARY)));
  // Without a severity it is libpq's own error.
  const bool alive = Field(result.get(), PG_DIAG_SEVERITY_NONLOCALIZED) == "ERROR" &&
                     PQstatus(connection_) == CONNECTION_OK;
  if (!alive) return Lost("was lost");
  const std::string state = Field(result.get(), PG_DIAG_SQLSTATE);
  if (state.starts_with("22")) return absl::InvalidArgumentError(message);
  if (state == "XX001" || state == "XX002") return absl::DataLossError(message);
  return absl::UnavailableError(message);
}

absl::Status PostgresConnection::Commit() {
  const absl::StatusOr<PostgresResult> answer = Run("COMMIT");
  if (!answer.ok() && !lost()) {
    return absl::UnavailableError(answer.status().message());
  }
  const auto unknown = [](std::string why) {
    return absl::DataLossError(
        absl::StrCat("it cannot be known whether the change is on disk: ", why));
  };
  if (!answer.ok()) return unknown(std::string(answer.status().message()));
  // A server that gives up waiting for its standbys warns and says that all is well.
  if (warned_) {
    return unknown(
        absl::StrCat("the ledger's database ", url_.name(), " did not wait for its standbys"));
  }
  if (std::strcmp(PQcmdStatus(answer->get()), "COMMIT") == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the ledger's database ", url_.name(), " has rolled back"));
}

}  // namespace sendstep::ledger
