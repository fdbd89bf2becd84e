#include "transport/smtp/dialog.h"

#include <algorithm>
#include <utility>

#include "transport/base/utf8.h"
#include "transport/smtp/command.h"

namespace sendstep::smtp {

using base::Cause;
using base::ErrorClass;
using base::Reply;
using base::Result;

namespace {

constexpr int kServiceClosing = 421;
// Of a line that is no reply: in the transcript, and in an error.
constexpr size_t kMaxShownBytes = 512;
constexpr size_t kMaxQuotedBytes = 80;

std::string_view WithoutLineBreak(std::string_view line) {
  if (line.ends_with("\r\n")) line.remove_suffix(2);
  return line;
}

// A stream operation that starts after the cancel would not see it.
asio::awaitable<bool> Cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace

void Dialog::Enter(base::Stage stage) {
  stage_ = stage;
  observer_->StageStarted(stage);
}

base::Error Dialog::Failure(Cause cause, ErrorClass error_class, std::string_view detail) const {
  return base::Failed(stage_, cause, error_class, redactor_.Line(detail));
}

base::Error Dialog::Broken(base::Error error) {
  open_ = false;
  error.stage = stage_;
  error.detail = redactor_.Line(error.detail);
  return error;
}

base::Error Dialog::Unexpected(const Reply& reply) {
  return Broken(Failure(
      Cause::kProtocol, ErrorClass::kTransient,
      "reply " + std::to_string(reply.code) + " makes no sense here: \"" + reply.Text(80) + "\""));
}

asio::awaitable<Result<void>> Dialog::Send(std::span<const asio::const_buffer> buffers) {
  if (co_await Cancelled()) {
    co_return Broken(Failure(Cause::kCancelled, ErrorClass::kTransient, "cancelled"));
  }
  auto written = co_await stream_.Write(buffers);
  if (!written) co_return Broken(written.error());
  co_return Result<void>();
}

asio::awaitable<Result<void>> Dialog::SendLines(std::string_view lines) {
  const asio::const_buffer buffer = asio::buffer(lines);
  auto written = co_await Send(std::span(&buffer, 1));
  if (!written && written.error().cause == Cause::kConnectionLost) {
    co_return co_await LastWords(written.error());
  }
  co_return written;
}

asio::awaitable<base::Error> Dialog::LastWords(base::Error error) {
  // What has come counts even where there is no time left to wait for more.
  if (input_.empty()) {
    if (const auto size = stream_.ReadAvailable(asio::buffer(buffer_))) Arrived(*size);
  }
  auto reply = co_await Read();
  if (reply && Refusing(*reply)) co_return Broken(base::Refused(stage_, *reply));
  if (!reply && reply.error().cause == Cause::kCancelled) co_return reply.error();
  co_return error;
}

asio::awaitable<Result<std::string>> Dialog::Compile(std::span<const std::string> commands) {
  auto silent = co_await ExpectSilence();
  if (!silent) co_return silent.error();
  std::string flight;
  for (const std::string& command : commands) {
    if (!IsCommandLine(command)) {
      co_return Failure(Cause::kInvalid, ErrorClass::kPermanent,
                        "a command would hold a control character");
    }
    flight += command;
    observer_->LineSent(redactor_.Line(WithoutLineBreak(command)));
  }
  owed_ += commands.size();
  answered_ = 0;
  co_return flight;
}

asio::awaitable<Result<void>> Dialog::Write(std::span<const std::string> commands) {
  const auto flight = co_await Compile(commands);
  if (!flight) co_return flight.error();
  co_return co_await SendLines(*flight);
}

asio::awaitable<Result<void>> Dialog::Write(std::span<const std::string> commands,
                                            std::span<const asio::const_buffer> message) {
  const auto flight = co_await Compile(commands);
  if (!flight) co_return flight.error();
  std::vector<asio::const_buffer> buffers = {asio::buffer(*flight)};
  buffers.insert(buffers.end(), message.begin(), message.end());
  co_return co_await Send(buffers);
}

asio::awaitable<Result<void>> Dialog::WriteSecret(const base::Secret& line, std::string shown) {
  auto silent = co_await ExpectSilence();
  if (!silent) co_return silent.error();
  observer_->LineSent(shown);
  owed_ = 1;
  co_return co_await SendLines(line.Reveal());
}

asio::awaitable<Result<void>> Dialog::WriteData(std::span<const asio::const_buffer> buffers) {
  co_return co_await Send(buffers);
}

void Dialog::DataWritten(size_t message_bytes, bool chunk) {
  observer_->LineSent("[message, " + std::to_string(message_bytes) + " bytes]");
  if (!chunk) observer_->LineSent(".");
}

asio::awaitable<Result<Reply>> Dialog::Read() {
  for (;;) {
    const ReplyParser::Event event = parser_.Advance(input_);
    if (event == ReplyParser::Event::kTlsRecord || event == ReplyParser::Event::kMalformed) {
      co_return Malformed(event);
    }
    if (event != ReplyParser::Event::kNeedMore) {
      observer_->LineReceived(redactor_.Line(parser_.line()));
    }
    if (event == ReplyParser::Event::kReply) break;
    if (event == ReplyParser::Event::kLine) continue;

    if (co_await Cancelled()) {
      co_return Broken(Failure(Cause::kCancelled, ErrorClass::kTransient, "cancelled"));
    }
    // Of several replies some have come, and the rest did not come with them.
    if (answered_ > 0 && owed_ > 0) stream_.AcknowledgeNow();
    auto size = co_await stream_.ReadSome(asio::buffer(buffer_));
    if (!size) co_return Broken(size.error());
    Arrived(*size);
  }
  raw_reply_ = parser_.Take();
  Reply reply = redactor_.Redact(raw_reply_);
  if (reply.code / 100 != 3 && owed_ > 0) --owed_;
  ++answered_;
  if (reply.code == kServiceClosing) open_ = false;
  greeted_ = true;
  observer_->ReplyReceived(reply);
  co_return reply;
}

void Dialog::Arrived(size_t bytes) {
  if (bytes > 0) {
    heard_ = true;
    heard_at_ = base::Clock::now();
  }
  input_ = std::string_view(buffer_.data(), bytes);
}

base::Error Dialog::Malformed(ReplyParser::Event event) {
  if (event == ReplyParser::Event::kTlsRecord && !greeted_) {
    return Broken(Failure(Cause::kPlaintextOnTlsPort, ErrorClass::kPermanent,
                          "the server speaks TLS from the first byte on this port"));
  }
  const std::string line = redactor_.Line(parser_.line());
  std::string detail(parser_.fault().empty() ? "not an SMTP reply" : parser_.fault());
  if (!line.empty()) {
    observer_->LineReceived(base::Cut(line, kMaxShownBytes));
    detail += ": \"" + std::string(base::Cut(line, kMaxQuotedBytes)) + "\"";
  }
  // What is not SMTP at its greeting will not be SMTP next time.
  return Broken(Failure(Cause::kProtocol,
                        greeted_ ? ErrorClass::kTransient : ErrorClass::kPermanent, detail));
}

asio::awaitable<Result<Reply>> Dialog::Ask(std::string command) {
  auto written = co_await Write(std::span(&command, 1));
  if (!written) co_return written.error();
  co_return co_await Read();
}

asio::awaitable<Result<void>> Dialog::ExpectSilence() {
  if (input_.empty()) co_return Result<void>();
  auto reply = co_await Read();
  if (!reply) co_return reply.error();
  if (Refusing(*reply)) co_return Broken(base::Refused(stage_, *reply));
  co_return Unexpected(*reply);
}

asio::awaitable<Result<void>> Dialog::ExpectSilenceOnWire() {
  if (input_.empty()) {
    const auto size = stream_.ReadAvailable(asio::buffer(buffer_));
    if (!size) co_return Broken(size.error());
    Arrived(*size);
  }
  co_return co_await ExpectSilence();
}

bool Dialog::IsQuiet() {
  if (!InStep()) return false;
  const auto size = stream_.ReadAvailable(asio::buffer(buffer_));
  return size && *size == 0;
}

asio::awaitable<Result<TlsInfo>> Dialog::StartTls(const TlsSettings& settings,
                                                  std::string server_name) {
  if (co_await Cancelled()) {
    co_return Broken(Failure(Cause::kCancelled, ErrorClass::kTransient, "cancelled"));
  }
  auto info = co_await stream_.StartTls(settings, server_name);
  if (!info) co_return Broken(info.error());
  info->subject = redactor_.Line(info->subject);
  observer_->TlsEstablished(*info);
  co_return info;
}

}  // namespace sendstep::smtp
