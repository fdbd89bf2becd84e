#include "providers/sandbox/maildir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sendstep::providers::sandbox {
namespace {

namespace fs = std::filesystem;

absl::Status ErrnoError(int error, absl::string_view what, const fs::path& path) {
  return absl::ErrnoToStatus(error, absl::StrCat(what, " ", path.string()));
}

absl::Status MakeFolder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  const int error = errno;
  std::error_code ignored;
  if (error == EEXIST && fs::is_directory(path, ignored)) return absl::OkStatus();
  return ErrnoError(error, "cannot make folder", path);
}

absl::Status Sync(int fd, const fs::path& path) {
  if (::fsync(fd) == 0) return absl::OkStatus();
  return ErrnoError(errno, "cannot sync", path);
}

absl::Status SyncFolder(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "cannot open", path);
  absl::Status status = Sync(fd, path);
  ::close(fd);
  return status;
}

// The sequence starts at the microseconds of the first message: a process that gets the process id
// of its predecessor within one second (as in containers) must not reuse its names. All have seven
// digits, so that names made within one second sort by age.
std::string UniqueName() {
  using std::chrono::duration_cast;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = duration_cast<std::chrono::seconds>(now);
  const auto micros = duration_cast<std::chrono::microseconds>(now - seconds).count();
  static std::atomic<uint64_t> sequence{static_cast<uint64_t>(1'000'000 + micros)};
  return absl::StrCat(seconds.count(), ".", ::getpid(), "_", sequence.fetch_add(1), ".sandbox");
}

}  // namespace

absl::StatusOr<Maildir> Maildir::Open(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (error) return ErrnoError(error.value(), "cannot use", path);
  if (absolute.has_parent_path()) fs::create_directories(absolute.parent_path(), error);
  if (error) return ErrnoError(error.value(), "cannot make folder", absolute.parent_path());
  for (const fs::path& folder : {absolute, absolute / "cur", absolute / "new", absolute / "tmp"}) {
    if (absl::Status made = MakeFolder(folder); !made.ok()) return made;
  }
  return Maildir(absolute);
}

absl::StatusOr<MaildirFile> Maildir::Create() const {
  std::string name = UniqueName();
  const fs::path path = path_ / "tmp" / name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, "cannot create", path);
  return MaildirFile(path_, std::move(name), fd);
}

MaildirFile::MaildirFile(fs::path maildir, std::string name, int fd)
    : maildir_(std::move(maildir)), name_(std::move(name)), fd_(fd) {}

MaildirFile::MaildirFile(MaildirFile&& other) noexcept
    : maildir_(std::move(other.maildir_)),
      name_(std::move(other.name_)),
      fd_(std::exchange(other.fd_, -1)) {}

MaildirFile& MaildirFile::operator=(MaildirFile&& other) noexcept {
  std::swap(maildir_, other.maildir_);
  std::swap(name_, other.name_);
  std::swap(fd_, other.fd_);
  return *this;
}

MaildirFile::~MaildirFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(TemporaryPath().c_str());
}

absl::Status MaildirFile::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "cannot write", TemporaryPath());
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status MaildirFile::Commit() {
  const fs::path from = TemporaryPath();
  const fs::path folder = maildir_ / "new";
  if (absl::Status synced = Sync(fd_, from); !synced.ok()) return synced;
  if (::rename(from.c_str(), (folder / name_).c_str()) != 0) {
    return ErrnoError(errno, "cannot move into new/", from);
  }
  ::close(std::exchange(fd_, -1));
  return SyncFolder(folder);
}

}  // namespace sendstep::providers::sandbox
