// The store of one process: an SQLite file in WAL mode with synchronous=FULL.
//
// One thread writes. What callers ask for while it is at the disk is done in the next transaction,
// all of it in one (group commit): the more callers, the fewer fsyncs each.
#ifndef SENDSTEP_PLUGIN_LEDGER_SQLITE_STORE_H_
#define SENDSTEP_PLUGIN_LEDGER_SQLITE_STORE_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "plugin/ledger/store.h"

namespace sendstep::ledger {

class SqliteStore final : public Store {
 public:
  // Opens `file`, or makes it with mode 0600, and keeps every other process (and every other store
  // of this one) from opening it until the store is destroyed or the process has ended, however it
  // does. FailedPrecondition, with one sentence: in use, not a ledger, a newer version's, readable
  // by others, or on a network file system, where locks and SQLite's WAL do not hold. Unavailable:
  // cannot be opened.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::filesystem::path& file);
  ~SqliteStore() override;

  boost::asio::awaitable<absl::Status> Update(Key key, Change change) override;
  boost::asio::awaitable<absl::StatusOr<std::optional<Execution>>> Read(Key key) override;
  boost::asio::awaitable<absl::StatusOr<std::vector<Entry>>> List(Query query) override;
  boost::asio::awaitable<absl::StatusOr<size_t>> Prune(Time before, size_t limit) override;
  // What the last call met. While that is kUnavailable, asking has the thread look again.
  absl::Status Health() const override;
  bool Shared() const override { return false; }

  // Transactions so far; fewer than updates when callers came together.
  uint64_t transactions() const;

 private:
  class Writer;
  explicit SqliteStore(std::unique_ptr<Writer> writer);
  std::unique_ptr<Writer> writer_;
};

// What `folder` is no place for, in half a sentence that begins with "its folder"; empty: it is
// fine. Network file systems are refused; of a folder in memory or of a temporary one, the whole
// ledger may be gone after a restart of the machine.
struct FolderVerdict {
  std::string refused;
  std::string warning;
};
FolderVerdict JudgeFolder(const std::filesystem::path& folder);

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_SQLITE_STORE_H_
