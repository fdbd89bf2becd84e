// A Maildir (https://cr.yp.to/proto/maildir.html): one file a message, written in tmp/, synced,
// then renamed into new/, so that a reader never sees half a message and a power cut loses none
// that was acknowledged.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_MAILDIR_H_
#define SENDSTEP_PROVIDERS_SANDBOX_MAILDIR_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sendstep::providers::sandbox {

// A message on its way in. Destroyed before Commit() succeeded, it leaves nothing behind.
class MaildirFile {
 public:
  MaildirFile(MaildirFile&& other) noexcept;
  MaildirFile& operator=(MaildirFile&& other) noexcept;
  ~MaildirFile();

  // Its name in new/, known from the start: "SECONDS.PID_SEQUENCE.sandbox".
  const std::string& name() const { return name_; }

  // Blocks on the disk, as Commit does. After an error only destruction is left.
  absl::Status Write(std::string_view bytes);
  // Syncs the file, moves it into new/ and syncs that folder.
  absl::Status Commit();

 private:
  friend class Maildir;
  MaildirFile(std::filesystem::path maildir, std::string name, int fd);
  std::filesystem::path TemporaryPath() const { return maildir_ / "tmp" / name_; }

  std::filesystem::path maildir_;
  std::string name_;
  int fd_ = -1;  // -1: committed or moved from
};

// Threads: immutable, so any; names are unique among all threads of all processes on this machine.
class Maildir {
 public:
  // Makes `path` and cur, new and tmp in it where missing, mode 0700; the mode of what is there
  // already is left alone.
  static absl::StatusOr<Maildir> Open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }

  // An empty file, mode 0600, in tmp/.
  absl::StatusOr<MaildirFile> Create() const;

 private:
  explicit Maildir(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_MAILDIR_H_
