// A fixture for sessions over a script written in the test, and the words to write it.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_SMTP_SESSION_TEST_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_SMTP_SESSION_TEST_H_

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/dialog_file.h"
#include "tests/support/dialog_player.h"
#include "tests/support/scripted_stream.h"
#include "transport/smtp/session.h"

namespace sendstep::testing {

inline constexpr char kMessage[] = "Subject: Test\r\n\r\nHello\r\n";
inline const base::Content kContent(kMessage);

inline ScriptStep S(std::string bytes) {
  ScriptStep step;
  step.bytes = std::move(bytes);
  return step;
}

inline ScriptStep C(std::string line) {
  ScriptStep step;
  step.kind = ScriptStep::Kind::kClient;
  step.bytes = std::move(line) + "\r\n";
  return step;
}

inline ScriptStep Message(const std::string& message = kMessage) {
  ScriptStep step;
  step.kind = ScriptStep::Kind::kMessage;
  step.bytes = DotStuffed(message);
  return step;
}

inline ScriptStep ChunkOf(const std::string& message = kMessage) {
  ScriptStep step = Message(message);
  step.bytes = Chunk(message);
  return step;
}

inline ScriptStep Close() {
  ScriptStep step;
  step.kind = ScriptStep::Kind::kClose;
  return step;
}

inline std::vector<ScriptStep> Opening(std::string_view extensions = "250-PIPELINING\r\n") {
  return {S("220 mail.example.net\r\n"), C("EHLO client.example.org"),
          S("250-mail.example.net\r\n" + std::string(extensions) + "250 DSN\r\n")};
}

inline std::vector<ScriptStep> operator+(std::vector<ScriptStep> a,
                                         const std::vector<ScriptStep>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline smtp::SmtpSettings Settings() {
  smtp::SmtpSettings settings;
  settings.host = "mail.example.net";
  settings.port = 587;
  settings.tls.policy = smtp::TlsPolicy::kNone;
  settings.ehlo_name = "client.example.org";
  return settings;
}

inline smtp::Envelope To(size_t recipients) {
  smtp::Envelope envelope;
  envelope.sender = *base::ParseAddress("alice@example.org");
  for (size_t i = 0; i < recipients; ++i) {
    envelope.recipients.push_back(*base::ParseAddress("r" + std::to_string(i) + "@example.net"));
  }
  return envelope;
}

// A session over `steps`, for `work` to use.
class SessionTest : public ::testing::Test {
 protected:
  using Work = std::function<smtp::asio::awaitable<void>(smtp::Session&)>;

  void Run(std::vector<ScriptStep> steps, Work work,
           smtp::asio::cancellation_signal* cancel = nullptr) {
    stream_.emplace(std::move(steps));
    if (prepare_) prepare_();
    RunCoroutine([&] { return Drive(work); }, cancel);
    EXPECT_TRUE(stream_->violations().empty()) << stream_->violations()[0];
    if (HasFailure()) std::cerr << observer_.Transcript();
  }

  smtp::SmtpSettings settings_ = Settings();
  RecordingObserver observer_;
  std::optional<ScriptedStream> stream_;
  std::function<void()> prepare_;
  base::Deadline quit_by_ = base::Deadline::Never();

 private:
  smtp::asio::awaitable<void> Drive(Work work) {
    smtp::Session session(*stream_, settings_, observer_);
    co_await work(session);
    co_await session.Quit(quit_by_);
  }
};

inline const std::vector<ScriptStep> kAcceptOne = {C("MAIL FROM:<alice@example.org>"),
                                                   C("RCPT TO:<r0@example.net>"),
                                                   C("DATA"),
                                                   S("250 Ok\r\n250 Ok\r\n"),
                                                   S("354 Go\r\n"),
                                                   Message(),
                                                   S("250 Ok\r\n")};
inline const std::vector<ScriptStep> kQuit = {C("QUIT"), S("221 Bye\r\n"), Close()};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_SMTP_SESSION_TEST_H_
