#include "plugin/timeline.h"

namespace sendstep::plugin {
namespace {

// Bounds for a hostile server: a dialog worth reading is far shorter. With the replies to
// 1000 recipients an answer stays under the 4 MiB that a gRPC client takes unless told otherwise.
constexpr size_t kMaxTranscriptLines = 4000;
constexpr size_t kMaxTranscriptBytes = size_t{1} << 20;
constexpr size_t kMaxTranscriptLineBytes = 2048;
constexpr size_t kMaxDetailBytes = 2048;

}  // namespace

Timeline::Entry& Timeline::At(base::Stage stage) {
  for (Entry& entry : entries_) {
    if (entry.stage == stage) return entry;
  }
  entries_.emplace_back().stage = stage;
  return entries_.back();
}

void Timeline::EndCurrent() {
  if (!current_) return;
  const base::Clock::duration took = base::Clock::now() - since_;
  At(*current_).took += took;
  if (metrics_ != nullptr) metrics_->StageTook(base::StageName(*current_), took);
  current_.reset();
}

void Timeline::StageStarted(base::Stage stage) {
  EndCurrent();
  Entry& entry = At(stage);
  entry.detail.clear();
  entry.status = Status::kPass;
  current_ = stage;
  since_ = base::Clock::now();
}

void Timeline::StageDetail(std::string_view detail) {
  if (!current_) return;
  std::string& text = At(*current_).detail;
  if (text.size() + detail.size() > kMaxDetailBytes) return;
  if (!text.empty()) text += "; ";
  text += detail;
}

void Timeline::Finished() { EndCurrent(); }

void Timeline::Failed(const base::Error& error) {
  EndCurrent();
  Entry& entry = At(error.stage);
  entry.status = Status::kFail;
  entry.reply = error.reply;
}

void Timeline::Keep(std::string_view prefix, std::string_view line) {
  if (!keep_transcript_) return;
  // No room for one more line and the note.
  const bool full = transcript_.size() + 1 >= kMaxTranscriptLines ||
                    transcript_bytes_ + 2 * kMaxTranscriptLineBytes > kMaxTranscriptBytes;
  if (full) {
    if (left_out_++ == 0) transcript_.emplace_back();
    transcript_.back() = "[lines left out: " + std::to_string(left_out_) + "]";
    return;
  }
  // A line is shown as one: what is not printable UTF-8 comes out as "?".
  transcript_.push_back(
      std::string(prefix) +
      base::Reply{.code = 0, .enhanced_code = {}, .lines = {std::string(line)}}.Text(
          kMaxTranscriptLineBytes));
  transcript_bytes_ += transcript_.back().size();
}

void Timeline::LineSent(std::string_view line) { Keep("C: ", line); }

void Timeline::LineReceived(std::string_view line) { Keep("S: ", line); }

void Timeline::ReplyReceived(const base::Reply& reply) {
  if (current_) At(*current_).reply = reply;
  if (metrics_ != nullptr) metrics_->ReplyReceived(reply.code);
}

void Timeline::TlsEstablished(const smtp::TlsInfo& info) { tls_ = info; }

}  // namespace sendstep::plugin
