// Plays one dialog against a Session: Open, then Send or Probe, then Quit.
#ifndef SENDSTEP_TESTS_SUPPORT_DIALOG_PLAYER_H_
#define SENDSTEP_TESTS_SUPPORT_DIALOG_PLAYER_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/dialog_file.h"
#include "tests/support/scripted_stream.h"
#include "transport/smtp/observer.h"
#include "transport/smtp/session.h"

namespace sendstep::testing {

// Keeps all it is told.
class RecordingObserver : public smtp::Observer {
 public:
  void StageStarted(base::Stage stage) override { stages.emplace_back(base::StageName(stage)); }
  void StageDetail(std::string_view detail) override { Tell("= ", detail); }
  void LineSent(std::string_view line) override { Tell("C: ", line); }
  void LineReceived(std::string_view line) override { Tell("S: ", line); }
  void TlsEstablished(const smtp::TlsInfo& info) override { Tell("T: ", info.subject); }
  void ReplyReceived(const base::Reply& reply) override {
    for (const std::string& line : reply.lines) Tell("R: ", line);
  }

  bool Saw(std::string_view line) const;
  std::string Transcript() const;

  std::vector<std::string> stages;
  std::vector<std::string> lines;

 private:
  void Tell(std::string_view prefix, std::string_view line) {
    lines.push_back(std::string(prefix) + std::string(line));
  }
};

struct Outcome {
  base::Result<smtp::DeliveryReport> result = base::Error();
  bool usable = false;  // after Send, before Quit
  smtp::Distrust distrust;
  // Each time the gate was asked: what it was told.
  std::vector<std::vector<size_t>> asked;
  std::string written_before_gate;  // without TLS
};

// Runs a session over `stream` to the end. `cancel`, where given, is emitted by whoever holds it.
Outcome Play(const DialogFile& dialog, ScriptedStream& stream, RecordingObserver& observer,
             smtp::asio::cancellation_signal* cancel = nullptr);

// Runs `work` on an io_context until it is done.
void RunCoroutine(std::function<smtp::asio::awaitable<void>()> work,
                  smtp::asio::cancellation_signal* cancel = nullptr);

// Where a credential of `dialog` can be read in what the observer was told or the outcome says.
std::optional<std::string> FindLeak(const DialogFile& dialog, const RecordingObserver& observer,
                                    const Outcome& outcome);

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_DIALOG_PLAYER_H_
