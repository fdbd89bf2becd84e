#include "tests/support/postgres_server.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace sendstep::testing {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kPatience(60);

// The newest that is installed; empty: none is.
fs::path Binaries() {
  int newest = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
    if (!fs::exists(entry.path() / "bin/initdb") || !fs::exists(entry.path() / "bin/postgres")) {
      continue;
    }
    newest = std::max(newest, std::atoi(entry.path().filename().c_str()));
  }
  return newest == 0 ? fs::path()
                     : fs::path("/usr/lib/postgresql") / std::to_string(newest) / "bin";
}

const passwd* Runner() {
  return ::geteuid() == 0 ? ::getpwnam("postgres") : ::getpwuid(::geteuid());
}

bool Until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

// The server ends at once, with all its processes, when the program does.
std::vector<std::string> Guarded(std::vector<std::string> command) {
  std::vector<std::string> guarded = {"setpriv", "--pdeathsig", "QUIT"};
  if (::geteuid() == 0) {
    // PostgreSQL refuses to run as root.
    for (const char* word : {"--reuid=postgres", "--regid=postgres", "--clear-groups"}) {
      guarded.push_back(word);
    }
  }
  guarded.insert(guarded.end(), command.begin(), command.end());
  return guarded;
}

}  // namespace

std::string PostgresServer::Missing() {
  if (Binaries().empty()) return "no PostgreSQL server is installed (Debian: postgresql)";
  if (Runner() == nullptr) return "PostgreSQL does not run as root, and there is no user postgres";
  return "";
}

PostgresServer& PostgresServer::Shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer() {
  std::string name = "/tmp/postgres_test.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = name;
  if (::chown(name.c_str(), Runner()->pw_uid, Runner()->pw_gid) != 0) {
    throw std::runtime_error("cannot give " + name + " to " + Runner()->pw_name);
  }
  const fs::path data = folder_ / "data";
  Run({Binaries() / "initdb", "-D", data, "--no-sync", "--auth=trust", "-U", "postgres", "-E",
       "UTF8", "--locale=C"});
  std::ofstream(data / "pg_hba.conf") << "local all guarded scram-sha-256\nlocal all all trust\n";
  Start();
  Sql(std::string("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '") + kPassword + "'");
}

PostgresServer::~PostgresServer() {
  Stop();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void PostgresServer::Start() {
  if (pid_ > 0) return;
  pid_ = Spawn({Binaries() / "postgres", "-D", folder_ / "data", "-k", folder_, "-c",
                "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c",
                "autovacuum=off"});
  const std::string url = Url();
  const bool ready = Until([&] {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) throw std::runtime_error(Log());
    return PQping(url.c_str()) == PQPING_OK;
  });
  if (!ready) throw std::runtime_error("PostgreSQL does not start: " + Log());
}

void PostgresServer::Stop() {
  if (pid_ <= 0) return;
  const pid_t pid = std::exchange(pid_, -1);
  ::kill(pid, SIGINT);
  if (Until([pid] { return ::waitpid(pid, nullptr, WNOHANG) == pid; })) return;
  ::kill(pid, SIGQUIT);
  ::waitpid(pid, nullptr, 0);
}

std::string PostgresServer::Url(const std::string& options) const {
  return "postgresql://postgres@/postgres?host=" + folder_.string() + options;
}

std::string PostgresServer::GuardedUrl(const std::string& password) const {
  return "postgresql://guarded:" + password + "@/postgres?host=" + folder_.string();
}

std::vector<std::string> PostgresServer::Sql(const std::string& sql) const {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(Url().c_str()),
                                                                &PQfinish);
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()),
                                                             &PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw std::runtime_error(sql + ": " + PQerrorMessage(connection.get()));
  }
  std::vector<std::string> column;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    column.push_back(PQgetvalue(result.get(), row, 0));
  }
  return column;
}

void PostgresServer::Run(std::vector<std::string> command) const {
  const pid_t pid = Spawn(std::move(command));
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || status != 0) throw std::runtime_error(Log());
}

pid_t PostgresServer::Spawn(std::vector<std::string> command) const {
  command = Guarded(std::move(command));
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = folder_ / "log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot run setpriv");
  return pid;
}

std::string PostgresServer::Log() const {
  std::ostringstream text;
  text << "PostgreSQL says:\n" << std::ifstream(folder_ / "log").rdbuf();
  return text.str();
}

}  // namespace sendstep::testing
