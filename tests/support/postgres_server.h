// A PostgreSQL server of the test program's own, from Debian's package: a new cluster in a
// temporary folder, a Unix socket there and no TCP, fsync on. It goes with the program, however
// that ends.
#ifndef SENDSTEP_TESTS_SUPPORT_POSTGRES_SERVER_H_
#define SENDSTEP_TESTS_SUPPORT_POSTGRES_SERVER_H_

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace sendstep::testing {

class PostgresServer {
 public:
  // Why no server can be had here; empty: it can.
  static std::string Missing();
  // The program's one, started with the first use. Throws where that fails.
  static PostgresServer& Shared();

  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Ends all sessions; returns when the server has gone or takes connections.
  void Stop();
  void Start();

  // Of the superuser, who needs no password. `options` as libpq's, each "&name=value".
  std::string Url(const std::string& options = "") const;
  // Of another user, who does: kPassword.
  std::string GuardedUrl(const std::string& password) const;
  static constexpr char kPassword[] = "open-sesame";

  // A superuser's statement; its first column, if it has any. Throws where it fails.
  std::vector<std::string> Sql(const std::string& sql) const;

 private:
  PostgresServer();
  void Run(std::vector<std::string> command) const;
  pid_t Spawn(std::vector<std::string> command) const;
  std::string Log() const;

  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_POSTGRES_SERVER_H_
