#include "providers/sandbox/incoming.h"

#include <utility>

namespace sendstep::providers::sandbox {

Incoming::Incoming(const Maildir& maildir,
                   const std::function<std::string(std::string_view)>& headers) {
  absl::StatusOr<MaildirFile> file = maildir.Create();
  if (!file.ok()) {
    outcome_ = Received::Outcome::kNotWritten;
    return;
  }
  file_ = *std::move(file);
  Write(headers(file_->name()));
}

void Incoming::Append(std::string_view content) {
  if (!file_) return;
  size_ += content.size();
  if (size_ > kMaxMessageBytes) return Fail(Received::Outcome::kTooLarge);
  Write(content);
}

Received Incoming::Keep() {
  if (file_ && !file_->Commit().ok()) Fail(Received::Outcome::kNotWritten);
  Received result = received();
  if (file_) result.id = file_->name();
  return result;
}

void Incoming::Write(std::string_view bytes) {
  if (!file_->Write(bytes).ok()) Fail(Received::Outcome::kNotWritten);
}

void Incoming::Fail(Received::Outcome outcome) {
  outcome_ = outcome;
  file_.reset();
}

}  // namespace sendstep::providers::sandbox
