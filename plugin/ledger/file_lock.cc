#include "plugin/ledger/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace sendstep::ledger {
namespace {

namespace fs = std::filesystem;

// What this process has locked.
struct Locked {
  std::mutex mutex;
  std::set<std::pair<dev_t, ino_t>> files;
};
Locked& Process() {
  static Locked& locked = *new Locked;
  return locked;
}

absl::Status InUse(const fs::path& file) {
  return absl::FailedPreconditionError(
      absl::StrCat("another process uses the ledger ", file.string(),
                   "; a ledger in a file is one server's, replicas share one in PostgreSQL"));
}

absl::Status Cannot(const char* what, const fs::path& file) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, " the ledger ", file.string(), ": ",
                                             std::generic_category().message(errno)));
}

// Group and others have no business here.
absl::Status Judge(const struct stat& info, const fs::path& file) {
  const auto refuse = [&file](const char* why) {
    return absl::FailedPreconditionError(
        absl::StrCat("refusing the ledger ", file.string(), ": ", why));
  };
  if (!S_ISREG(info.st_mode)) return refuse("it is not a regular file");
  if ((info.st_mode & 077) != 0) return refuse("group or others may use it; chmod 600 it");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FileLock> FileLock::Take(const fs::path& file) {
  const std::lock_guard guard(Process().mutex);
  struct stat info = {};
  const bool there = ::stat(file.c_str(), &info) == 0;
  if (there && Process().files.contains({info.st_dev, info.st_ino})) return InUse(file);
  FileLock lock;
  if (absl::Status status = lock.Lock(file); !status.ok()) {
    if (lock.fd_ >= 0) ::close(std::exchange(lock.fd_, -1));
    return status;
  }
  Process().files.insert(lock.id_);
  return lock;
}

absl::Status FileLock::Lock(const fs::path& file) {
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat info = {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) return Cannot("open", file);
  if (absl::Status status = Judge(info, file); !status.ok()) return status;
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? InUse(file) : Cannot("lock", file);
  }
  id_ = {info.st_dev, info.st_ino};
  return absl::OkStatus();
}

FileLock::~FileLock() {
  if (fd_ < 0) return;
  const std::lock_guard guard(Process().mutex);
  Process().files.erase(id_);
  ::close(fd_);
}

}  // namespace sendstep::ledger
