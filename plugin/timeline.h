// Watches one session and keeps what a person or a log wants of it: the stages with their time and
// the server's words, the TLS facts and, when asked, the transcript. Feeds the metrics as it goes.
//
// Threads: as Observer: one strand.
#ifndef SENDSTEP_PLUGIN_TIMELINE_H_
#define SENDSTEP_PLUGIN_TIMELINE_H_

#include <optional>
#include <string>
#include <vector>

#include "plugin/metrics.h"
#include "transport/base/deadline.h"
#include "transport/smtp/observer.h"

namespace sendstep::plugin {

class Timeline final : public smtp::Observer {
 public:
  enum class Status { kPass, kFail };

  struct Entry {
    base::Stage stage = base::Stage::kConfig;
    Status status = Status::kPass;
    base::Clock::duration took{0};     // a stage that ran twice has both times
    std::string detail;                // what its last run found
    std::optional<base::Reply> reply;  // the last one, or the failure's
  };

  // `metrics` may be null; else it outlives this.
  explicit Timeline(Metrics* metrics, bool keep_transcript = false)
      : metrics_(metrics), keep_transcript_(keep_transcript) {}

  // In the order the stages began.
  const std::vector<Entry>& entries() const { return entries_; }
  // At most 1 MiB in 4000 lines; the last one says how many did not fit.
  const std::vector<std::string>& transcript() const { return transcript_; }
  const std::optional<smtp::TlsInfo>& tls() const { return tls_; }

  void StageStarted(base::Stage stage) override;
  void StageDetail(std::string_view detail) override;
  void Finished() override;
  void Failed(const base::Error& error) override;
  void LineSent(std::string_view line) override;
  void LineReceived(std::string_view line) override;
  void ReplyReceived(const base::Reply& reply) override;
  void TlsEstablished(const smtp::TlsInfo& info) override;

 private:
  Entry& At(base::Stage stage);
  void EndCurrent();
  void Keep(std::string_view prefix, std::string_view line);

  Metrics* metrics_;
  bool keep_transcript_;
  std::vector<Entry> entries_;
  std::optional<base::Stage> current_;
  base::Clock::time_point since_;
  std::vector<std::string> transcript_;
  size_t transcript_bytes_ = 0;
  size_t left_out_ = 0;  // lines of the transcript
  std::optional<smtp::TlsInfo> tls_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_TIMELINE_H_
