#include "plugin/key_file.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "absl/status/status.h"

namespace sendstep::plugin {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

absl::Status SystemError(const std::string& what, const fs::path& file) {
  return absl::UnavailableError("cannot " + what + " " + file.string() + ": " +
                                std::generic_category().message(errno));
}

absl::Status Refused(const fs::path& file, const std::string& why) {
  return absl::FailedPreconditionError("refusing the key file " + file.string() + ": " + why);
}

bool WriteAll(int fd, const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) done += static_cast<size_t>(n);
  }
  return ::fsync(fd) == 0;
}

absl::StatusOr<std::string> RandomBytes(size_t size) {
  std::string bytes(size, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) != 1) {
    return absl::InternalError("no random bytes to be had");
  }
  return bytes;
}

// Writes a new key under `temporary` and links it to `file`, unless somebody else was first.
absl::Status WriteNew(const fs::path& temporary, const fs::path& file) {
  auto key = RandomBytes(kKeyBytes);
  if (!key.ok()) return key.status();
  const Descriptor out(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  const bool written = out.ok() && WriteAll(out.get(), *key);
  base::Wipe(*key);
  if (!written) return SystemError("write", temporary);
  if (::link(temporary.c_str(), file.c_str()) != 0 && errno != EEXIST) {
    return SystemError("make", file);
  }
  return absl::OkStatus();
}

absl::Status Make(const fs::path& file) {
  auto suffix = RandomBytes(8);
  if (!suffix.ok()) return suffix.status();
  fs::path temporary = file;
  temporary += ".new.";
  for (const unsigned char c : *suffix) temporary += "0123456789abcdef"[c & 15];
  const absl::Status made = WriteNew(temporary, file);
  ::unlink(temporary.c_str());
  if (!made.ok()) return made;
  const Descriptor folder(::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok() || ::fsync(folder.get()) != 0) return SystemError("sync", file.parent_path());
  return absl::OkStatus();
}

absl::StatusOr<base::Secret> Read(const Descriptor& in, const fs::path& file) {
  struct stat info = {};
  if (::fstat(in.get(), &info) != 0) return SystemError("look at", file);
  if (!S_ISREG(info.st_mode)) return Refused(file, "it is not a regular file");
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    return Refused(file, "it belongs to another user");
  }
  if ((info.st_mode & 077) != 0) {
    return Refused(file, "group or others may use it; chmod 600 it");
  }
  std::string bytes(kKeyBytes + 1, '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t n = ::read(in.get(), bytes.data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("read", file);
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  base::Secret key(std::string_view(bytes).substr(0, size));
  base::Wipe(bytes);
  if (size != kKeyBytes) {
    return Refused(file, "it does not have " + std::to_string(kKeyBytes) + " bytes");
  }
  return key;
}

}  // namespace

absl::StatusOr<base::Secret> LoadOrMakeKey(const fs::path& file) {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a FIFO must not block
  {
    const Descriptor in(::open(file.c_str(), kFlags));
    if (in.ok()) return Read(in, file);
    if (errno != ENOENT) return SystemError("open", file);
  }
  const absl::Status made = Make(file);
  if (!made.ok()) return made;
  const Descriptor in(::open(file.c_str(), kFlags));
  if (!in.ok()) return SystemError("open", file);
  return Read(in, file);
}

}  // namespace sendstep::plugin
