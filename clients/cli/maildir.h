// Reading a Maildir: the folders "new" and "cur", one mail per file. Nothing is moved or marked.
#ifndef SENDSTEP_CLIENTS_CLI_MAILDIR_H_
#define SENDSTEP_CLIENTS_CLI_MAILDIR_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sendstep::cli {

struct StoredMail {
  std::string id;  // the file's name without flags (":2,S")
  std::filesystem::path path;
  uintmax_t size = 0;                               // bytes
  std::chrono::system_clock::time_point stored_at;  // when the file was written
};

// Oldest first. Links and anything but files are passed over. NotFound: there is no Maildir.
absl::StatusOr<std::vector<StoredMail>> ListMaildir(const std::filesystem::path& maildir);

// The mail called `id`, or whose id alone starts with it; "last" is the newest. NotFound: none, or
// several.
absl::StatusOr<StoredMail> FindMail(const std::vector<StoredMail>& mails, std::string_view id);

// The first `max_bytes` of a mail.
absl::StatusOr<std::string> ReadMail(const StoredMail& mail, size_t max_bytes);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_MAILDIR_H_
