#include "plugin/ledger/sqlite_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>
#include <vector>

#include "plugin/ledger/file_lock.h"
#include "plugin/ledger/sqlite.h"
#include "tests/unit/plugin/ledger/store_conformance.h"

namespace sendstep::ledger {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = "/tmp/sqlite_store_test.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& folder() const { return path_; }
  fs::path file() const { return path_ / "ledger.db"; }

 private:
  fs::path path_;
};

class SqlitePlace : public StorePlace {
 public:
  std::unique_ptr<Store> Open() override {
    auto store = SqliteStore::Open(folder_.file());
    if (!store.ok()) throw std::runtime_error(std::string(store.status().message()));
    return *std::move(store);
  }

 private:
  TemporaryFolder folder_;
};

// The suite is another file's; this one says how to open a store.
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance,
                         ::testing::Values(StoreKind{
                             "file", [] { return std::make_unique<SqlitePlace>(); }}),
                         [](const auto& info) { return info.param.name; });

class SqliteStoreTest : public ::testing::Test {
 protected:
  template <class T>
  static T Await(asio::awaitable<T> work) {
    asio::thread_pool pool(1);
    return asio::co_spawn(pool, std::move(work), asio::use_future).get();
  }
  absl::Status OpenStatus() { return SqliteStore::Open(folder_.file()).status(); }

  // Runs SQL on the file behind the store's back.
  void Tamper(const char* sql) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(folder_.file().c_str(), &raw), SQLITE_OK);
    const Sqlite db(raw);
    ASSERT_TRUE(RunSql(db.get(), sql).ok());
  }

  static absl::Status Put(Store& store, const std::string& id, size_t reason_bytes = 0) {
    Store::Change change = [reason_bytes](const Execution*) {
      Execution execution;
      execution.reason.assign(reason_bytes, 'x');
      return execution;
    };
    return Await(store.Update({"execute", "t", id}, change));
  }

  TemporaryFolder folder_;
};

TEST_F(SqliteStoreTest, FilesAreTheirUsersAlone) {
  const mode_t mask = ::umask(0);
  auto store = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(Put(**store, "a").ok());
  ::umask(mask);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder_.file().parent_path())) {
    struct stat info = {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 2) << "the file and its write-ahead log";
}

TEST_F(SqliteStoreTest, FileThatOthersMayReadIsRefused) {
  ASSERT_TRUE(OpenStatus().ok());
  fs::permissions(folder_.file(), fs::perms(0640));
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(OpenStatus().message()), HasSubstr("chmod 600"));
}

TEST_F(SqliteStoreTest, NewerSchemaIsRefused) {
  ASSERT_TRUE(OpenStatus().ok());
  Tamper("PRAGMA user_version=2");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(OpenStatus().message()), HasSubstr("newer version"));
}

TEST_F(SqliteStoreTest, DatabaseOfAnotherProgramIsRefused) {
  std::ofstream(folder_.file()).close();
  fs::permissions(folder_.file(), fs::perms(0600));
  Tamper("CREATE TABLE theirs (x)");
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(OpenStatus().message()), HasSubstr("another program's"));
}

TEST_F(SqliteStoreTest, FileThatIsNoDatabaseIsRefusedAndLeftAsItIs) {
  std::ofstream(folder_.file()) << std::string(4096, 'x');
  fs::permissions(folder_.file(), fs::perms(0600));
  EXPECT_FALSE(OpenStatus().ok());
  EXPECT_EQ(fs::file_size(folder_.file()), 4096u);
}

TEST_F(SqliteStoreTest, MissingFolderIsUnavailable) {
  const auto store = SqliteStore::Open(folder_.file().parent_path() / "nowhere" / "ledger.db");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("nowhere/ledger.db"));
}

TEST_F(SqliteStoreTest, LinkIsNotFollowed) {
  fs::create_symlink("elsewhere.db", folder_.file());
  EXPECT_FALSE(OpenStatus().ok());
  EXPECT_FALSE(fs::exists(folder_.file().parent_path() / "elsewhere.db"));
}

TEST_F(SqliteStoreTest, FileInUseIsRefusedUntilItsStoreIsGone) {
  auto first = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE((*first)->Shared());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(OpenStatus().message()),
                HasSubstr("another process uses the ledger " + folder_.file().string()));
  }
  EXPECT_TRUE(Put(**first, "a").ok());
  first = absl::UnknownError("closed");
  auto second = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(Await((*second)->Read({"execute", "t", "a"}))->has_value());
}

// Without SQLite's own lock, a program that looks into the file would take the write-ahead log away
// when it is done.
TEST_F(SqliteStoreTest, RefusedOpeningLeavesTheLocksOfTheFirst) {
  auto first = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(Put(**first, "a").ok());
  EXPECT_FALSE(OpenStatus().ok());
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  const int fd = ::open(folder_.file().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  // Open file description locks see those of processes, this one included.
  EXPECT_EQ(::fcntl(fd, F_OFD_GETLK, &lock), 0);
  EXPECT_EQ(lock.l_type, F_RDLCK);
  first = absl::UnknownError("closed");
  ::close(fd);  // only now: it drops them
}

TEST_F(SqliteStoreTest, KilledProcessLeavesTheFileToOthers) {
  std::array<int, 2> ends = {};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = FileLock::Take(folder_.file());
    const char taken = lock.ok() ? 'y' : 'n';
    if (::write(ends[1], &taken, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  ASSERT_GT(child, 0);
  char taken = 0;
  EXPECT_EQ(::read(ends[0], &taken, 1), 1);
  EXPECT_EQ(taken, 'y');
  const absl::Status meanwhile = OpenStatus();
  EXPECT_EQ(meanwhile.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(meanwhile.message()), HasSubstr("another process uses the ledger"));
  EXPECT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(OpenStatus().ok());
  for (const int end : ends) ::close(end);
}

TEST_F(SqliteStoreTest, CallersThatComeTogetherShareATransaction) {
  constexpr int kCallers = 100;
  auto store = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(store.ok());
  asio::thread_pool pool(1);
  std::promise<void> begin;
  std::shared_future<void> begun = begin.get_future().share();
  // The first holds the writer until the others have come.
  Store::Change hold = [begun](const Execution*) {
    begun.wait();
    return Execution();
  };
  auto first =
      asio::co_spawn(pool, (*store)->Update({"execute", "t", "first"}, hold), asio::use_future);
  Store::Change put = [](const Execution*) { return Execution(); };
  std::vector<std::future<absl::Status>> others;
  for (int i = 0; i < kCallers; ++i) {
    Key key{"execute", "t", std::to_string(i)};
    others.push_back(asio::co_spawn(pool, (*store)->Update(key, put), asio::use_future));
  }
  // All of them are queued once the pool's one thread comes to this.
  asio::post(pool, [&begin] { begin.set_value(); });
  EXPECT_TRUE(first.get().ok());
  for (auto& one : others) EXPECT_TRUE(one.get().ok());
  EXPECT_LE((*store)->transactions(), 3u);
}

TEST_F(SqliteStoreTest, FullDiskRefusesAndRecovers) {
  auto store = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(Put(**store, "before").ok());
  // No file of this process may grow beyond it: writes then fail as on a full disk.
  rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = old;
  limit.rlim_cur = 64 << 10;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status refused = Put(**store, "large", 1 << 20);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, ignored);
  EXPECT_FALSE(refused.ok());
  EXPECT_FALSE((*store)->Health().ok());
  // What the disk took before is there.
  store = absl::UnknownError("closed");
  auto again = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Await((*again)->Read({"execute", "t", "before"}))->has_value());
  EXPECT_FALSE(Await((*again)->Read({"execute", "t", "large"}))->has_value());
  EXPECT_TRUE(Put(**again, "large", 1 << 20).ok());
}

TEST_F(SqliteStoreTest, DamagedRecordFailsItsOwnCallsOnly) {
  auto store = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(Put(**store, "a").ok());
  Tamper("UPDATE executions SET record=x'ffff'");
  EXPECT_EQ(Await((*store)->Read({"execute", "t", "a"})).status().code(),
            absl::StatusCode::kDataLoss);
  const absl::Status refused = Put(**store, "a");
  EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss) << "nothing is sent on a guess";
  EXPECT_THAT(refused.message(), testing::EndsWith("request_id a"));
  EXPECT_TRUE(Put(**store, "b").ok());
  EXPECT_TRUE((*store)->Health().ok());
}

TEST_F(SqliteStoreTest, LockedFileRefusesAndRecovers) {
  auto store = SqliteStore::Open(folder_.file());
  ASSERT_TRUE(store.ok());
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(folder_.file().c_str(), &raw), SQLITE_OK);
  const Sqlite other(raw);
  ASSERT_TRUE(RunSql(other.get(), "BEGIN IMMEDIATE").ok());
  EXPECT_EQ(Put(**store, "a").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ((*store)->Health().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(RunSql(other.get(), "ROLLBACK").ok());
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!(*store)->Health().ok() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_TRUE((*store)->Health().ok()) << "asking makes it look again";
  EXPECT_TRUE(Put(**store, "a").ok());
}

TEST(JudgeFolder, MemoryIsWarnedAbout) {
  if (!fs::is_directory("/dev/shm")) GTEST_SKIP() << "this machine has no /dev/shm";
  const FolderVerdict verdict = JudgeFolder("/dev/shm");
  EXPECT_EQ(verdict.refused, "");
  EXPECT_THAT(verdict.warning, HasSubstr("in memory"));
  EXPECT_THAT(verdict.warning, HasSubstr("send them again"));
}

TEST(JudgeFolder, TemporaryFoldersAndThoseInThemAreWarnedAbout) {
  const TemporaryFolder below;
  fs::create_directory_symlink("/var/tmp", below.folder() / "link");
  for (const fs::path& folder :
       {fs::path("/tmp"), fs::path("/tmp/"), fs::path("/var/tmp"), below.folder(),
        below.folder() / "link", fs::path("/usr/../tmp")}) {
    const FolderVerdict verdict = JudgeFolder(folder);
    EXPECT_EQ(verdict.refused, "") << folder;
    EXPECT_THAT(verdict.warning, HasSubstr("restart")) << folder;
    EXPECT_THAT(verdict.warning, HasSubstr("send them again")) << folder;
  }
}

TEST(JudgeFolder, OtherFoldersAreNotTemporary) {
  for (const char* folder : {"/", "/var", "/usr", "/nowhere"}) {
    EXPECT_THAT(JudgeFolder(folder).warning, Not(HasSubstr("temporary"))) << folder;
  }
}

}  // namespace
}  // namespace sendstep::ledger
