// The use of a ledger's file by one process: flock(2), which the kernel gives back when the process
// ends, however it does.
//
// SQLite locks with fcntl(2), whose locks of a file a process loses when it closes any descriptor
// of that file. So a lock is taken before SQLite opens the file and outlives SQLite's use of it,
// and a file that this process has locked is not even opened again.
//
// Threads: Take may be called on any thread; one lock is used by one thread at a time.
#ifndef SENDSTEP_PLUGIN_LEDGER_FILE_LOCK_H_
#define SENDSTEP_PLUGIN_LEDGER_FILE_LOCK_H_

#include <sys/types.h>

#include <filesystem>
#include <utility>

#include "absl/status/statusor.h"

namespace sendstep::ledger {

class FileLock {
 public:
  // Opens `file`, or makes it with mode 0600, and locks it; never waits. FailedPrecondition, with
  // one sentence: it is in use, no regular file, or group or others may use it. Unavailable: it
  // cannot be opened or locked.
  static absl::StatusOr<FileLock> Take(const std::filesystem::path& file);

  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)), id_(other.id_) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  using Id = std::pair<dev_t, ino_t>;
  FileLock() = default;
  absl::Status Lock(const std::filesystem::path& file);

  int fd_ = -1;
  Id id_{};
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_FILE_LOCK_H_
