#include "clients/cli/maildir.h"

#include <algorithm>
#include <fstream>
#include <tuple>

namespace sendstep::cli {
namespace fs = std::filesystem;

namespace {

void ListFolder(const fs::path& folder, std::vector<StoredMail>& mails) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;  // a mail may vanish while we look
    if (entry->symlink_status(gone).type() != fs::file_type::regular) continue;
    const std::string name = entry->path().filename().string();
    if (name.empty() || name[0] == '.') continue;
    StoredMail mail{name.substr(0, name.find(':')), entry->path(), entry->file_size(gone), {}};
    const fs::file_time_type written = entry->last_write_time(gone);
    if (gone) continue;
    mail.stored_at = std::chrono::time_point_cast<std::chrono::system_clock::duration>(
        std::chrono::file_clock::to_sys(written));
    mails.push_back(std::move(mail));
  }
}

}  // namespace

absl::StatusOr<std::vector<StoredMail>> ListMaildir(const fs::path& maildir) {
  std::error_code ignored;
  if (!fs::is_directory(maildir / "new", ignored) && !fs::is_directory(maildir / "cur", ignored)) {
    return absl::NotFoundError(maildir.string() + " is no Maildir on this machine");
  }
  std::vector<StoredMail> mails;
  ListFolder(maildir / "new", mails);
  ListFolder(maildir / "cur", mails);
  std::sort(mails.begin(), mails.end(), [](const StoredMail& a, const StoredMail& b) {
    return std::tie(a.stored_at, a.id) < std::tie(b.stored_at, b.id);
  });
  return mails;
}

absl::StatusOr<StoredMail> FindMail(const std::vector<StoredMail>& mails, std::string_view id) {
  if (mails.empty()) return absl::NotFoundError("the inbox is empty");
  if (id == "last") return mails.back();
  const StoredMail* found = nullptr;
  for (const StoredMail& mail : mails) {
    if (mail.id == id) return mail;
    if (std::string_view(mail.id).substr(0, id.size()) != id) continue;
    if (found) return absl::NotFoundError("several mails start with " + std::string(id));
    found = &mail;
  }
  if (!found) return absl::NotFoundError("no mail " + std::string(id));
  return *found;
}

absl::StatusOr<std::string> ReadMail(const StoredMail& mail, size_t max_bytes) {
  std::ifstream file(mail.path, std::ios::binary);
  std::string bytes(std::min<uintmax_t>(mail.size, max_bytes), '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())) && !file.eof()) {
    return absl::NotFoundError(mail.path.string() + " cannot be read");
  }
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

}  // namespace sendstep::cli
