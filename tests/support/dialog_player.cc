#include "tests/support/dialog_player.h"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <span>

#include "transport/smtp/gate.h"

namespace sendstep::testing {

namespace asio = smtp::asio;

namespace {
constexpr size_t kPiece = 8;
}  // namespace

bool RecordingObserver::Saw(std::string_view line) const {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

std::string RecordingObserver::Transcript() const {
  std::string transcript;
  for (const std::string& line : lines) transcript += line + "\n";
  return transcript;
}

void RunCoroutine(std::function<asio::awaitable<void>()> work, asio::cancellation_signal* cancel) {
  asio::io_context context(1);
  std::exception_ptr failure;
  const auto done = [&failure](std::exception_ptr thrown) { failure = thrown; };
  if (cancel != nullptr) {
    asio::co_spawn(context, work, asio::bind_cancellation_slot(cancel->slot(), done));
  } else {
    asio::co_spawn(context, work, done);
  }
  context.run();
  if (failure) std::rethrow_exception(failure);
}

namespace {

class TestGate : public smtp::Gate {
 public:
  TestGate(bool open, const ScriptedStream& stream, Outcome& outcome)
      : open_(open), stream_(stream), outcome_(outcome) {}
  asio::awaitable<bool> Pass(std::span<const size_t> accepted) override {
    outcome_.asked.emplace_back(accepted.begin(), accepted.end());
    outcome_.written_before_gate = stream_.written_in_clear();
    co_return open_;
  }

 private:
  const bool open_;
  const ScriptedStream& stream_;
  Outcome& outcome_;
};

asio::awaitable<void> PlayAll(const DialogFile& dialog, ScriptedStream& stream,
                              RecordingObserver& observer, Outcome& outcome) {
  smtp::Session session(stream, dialog.settings, observer);
  const base::Deadline deadline = base::Deadline::Never();
  TestGate gate(dialog.gate.value_or(false), stream, outcome);
  smtp::SendOptions options;
  options.all_or_nothing = dialog.all_or_nothing;
  if (dialog.gate) options.gate = &gate;
  auto opened = co_await session.Open(deadline);
  if (!opened) {
    outcome.result = opened.error();
  } else if (dialog.probe) {
    outcome.result = co_await session.Probe(dialog.envelope, deadline);
  } else {
    outcome.result =
        co_await session.Send(dialog.envelope, base::Content(dialog.message), options, deadline);
  }
  outcome.usable = session.usable();
  outcome.distrust = session.distrust();
  co_await session.Quit(deadline);
}

}  // namespace

Outcome Play(const DialogFile& dialog, ScriptedStream& stream, RecordingObserver& observer,
             asio::cancellation_signal* cancel) {
  Outcome outcome;
  RunCoroutine([&] { return PlayAll(dialog, stream, observer, outcome); }, cancel);
  return outcome;
}

std::optional<std::string> FindLeak(const DialogFile& dialog, const RecordingObserver& observer,
                                    const Outcome& outcome) {
  std::vector<std::string> texts = observer.lines;
  const auto add_reply = [&texts](const base::Reply& reply) {
    texts.insert(texts.end(), reply.lines.begin(), reply.lines.end());
    texts.push_back(reply.Text());
  };
  if (outcome.result) {
    add_reply(outcome.result->final_reply);
    for (const auto& recipient : outcome.result->recipients) add_reply(recipient.reply);
  } else {
    const base::Error& error = outcome.result.error();
    texts.push_back(error.detail);
    if (error.reply) add_reply(*error.reply);
    for (const auto& recipient : error.recipients) add_reply(recipient.reply);
  }
  for (const std::string& text : texts) {
    for (const std::string& secret : dialog.secrets) {
      // No dialog echoes less than the whole, so a piece is as bad.
      for (size_t at = 0; at + std::min(kPiece, secret.size()) <= secret.size(); ++at) {
        if (text.find(secret.substr(at, kPiece)) != text.npos) return text;
      }
    }
  }
  return std::nullopt;
}

}  // namespace sendstep::testing
