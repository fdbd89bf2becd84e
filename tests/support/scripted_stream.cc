#include "tests/support/scripted_stream.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <utility>

namespace sendstep::testing {

using base::Cause;
using base::Error;
using base::ErrorClass;
using base::Result;
using base::Stage;
using Kind = ScriptStep::Kind;
namespace asio = smtp::asio;

namespace {

Error Lost() {
  return base::Failed(Stage::kTcp, Cause::kConnectionLost, ErrorClass::kTransient,
                      "connection closed");
}

std::string Quote(std::string_view bytes) {
  std::string quoted = "\"";
  for (const char c : bytes.substr(0, 120)) {
    quoted += c == '\r' ? "\\r" : c == '\n' ? "\\n" : std::string(1, c);
  }
  return quoted + "\"";
}

}  // namespace

bool ScriptedStream::finished() const {
  size_t rest = at_;
  while (rest < steps_.size() &&
         (steps_[rest].kind == Kind::kClose || steps_[rest].kind == Kind::kSilence)) {
    ++rest;
  }
  return rest == steps_.size();
}

void ScriptedStream::NextStep() {
  ++at_;
  offset_ = 0;
}

Error ScriptedStream::Violation(std::string what) {
  violations_.push_back(std::move(what));
  failure_ = Lost();
  return *failure_;
}

asio::awaitable<std::optional<Error>> ScriptedStream::Begin(StreamOperation::Kind kind) {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  Record(kind);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (!failure_ && state.cancelled() != asio::cancellation_type::none) {
    failure_ = base::Failed(Stage::kTcp, Cause::kCancelled, ErrorClass::kTransient, "cancelled");
  }
  co_return failure_;
}

const std::optional<Error>& ScriptedStream::Record(StreamOperation::Kind kind) {
  if (closed_) violations_.emplace_back("an operation after Close");
  if (!until_) violations_.emplace_back("an operation without a time limit");
  StreamOperation operation;
  operation.kind = kind;
  operation.until = until_.value_or(base::Deadline::Never());
  operations_.push_back(operation);
  if (!failure_ && fault_) failure_ = fault_(operations_.size() - 1);
  return failure_;
}

asio::awaitable<Result<size_t>> ScriptedStream::ReadSome(asio::mutable_buffer buffer) {
  const auto failure = co_await Begin(StreamOperation::Kind::kRead);
  if (failure) co_return *failure;
  if (Step() == nullptr) co_return Violation("the client reads after the end of the dialog");
  if (Step()->kind == Kind::kClose) co_return Lost();
  if (Step()->kind == Kind::kSilence) {
    co_return base::Failed(Stage::kTcp, Cause::kTimeout, ErrorClass::kTransient, "timed out");
  }
  if (Step()->kind != Kind::kServer) {
    co_return Violation("the client reads, the server waits for " + Quote(Step()->bytes));
  }
  co_return Deliver(buffer);
}

Result<size_t> ScriptedStream::ReadAvailable(asio::mutable_buffer buffer) {
  if (const std::optional<Error>& failure = Record(StreamOperation::Kind::kRead)) return *failure;
  if (Step() == nullptr) return size_t{0};
  if (Step()->kind == Kind::kClose) return Lost();
  return Step()->kind == Kind::kServer ? Deliver(buffer) : 0;
}

size_t ScriptedStream::Deliver(asio::mutable_buffer buffer) {
  size_t room = byte_by_byte_ ? 1 : buffer.size();
  if (split_at_ && delivered_ < *split_at_) room = std::min(room, *split_at_ - delivered_);
  char* const data = static_cast<char*>(buffer.data());
  size_t size = 0;
  while (size < room && Step() != nullptr && Step()->kind == Kind::kServer) {
    size_t part = std::min(room - size, Step()->bytes.size() - offset_);
    const size_t lf = Step()->bytes.find('\n', offset_);
    if (line_by_line_ && lf != std::string::npos) part = std::min(part, lf + 1 - offset_);
    std::memcpy(data + size, Step()->bytes.data() + offset_, part);
    size += part;
    offset_ += part;
    if (offset_ == Step()->bytes.size()) NextStep();
    if (line_by_line_ && data[size - 1] == '\n') break;
  }
  delivered_ += size;
  const bool all = Step() == nullptr || Step()->kind != Kind::kServer;
  if (message_taken_) final_words_.append(data, size);
  if (message_taken_ && all && data[size - 1] == '\n') final_reply_delivered_ = true;
  return size;
}

asio::awaitable<Result<void>> ScriptedStream::Write(std::span<const asio::const_buffer> buffers) {
  std::string bytes;
  for (const asio::const_buffer& buffer : buffers) {
    bytes.append(static_cast<const char*>(buffer.data()), buffer.size());
  }
  if (!protected_) written_in_clear_ += bytes;
  if (ReachesEndOfMessage(bytes.size())) end_of_data_begun_ = true;
  const auto failure = co_await Begin(StreamOperation::Kind::kWrite);
  if (failure) co_return *failure;
  co_return TakeWritten(bytes);
}

bool ScriptedStream::ClosesAfterServerBytes() const {
  const auto end = std::find_if(steps_.begin() + static_cast<ptrdiff_t>(at_), steps_.end(),
                                [](const ScriptStep& s) { return s.kind != Kind::kServer; });
  return end != steps_.end() && end->kind == Kind::kClose;
}

bool ScriptedStream::ReachesEndOfMessage(size_t bytes) const {
  size_t offset = offset_;
  for (size_t at = at_; at < steps_.size(); ++at) {
    const ScriptStep& step = steps_[at];
    if (step.kind != Kind::kClient && step.kind != Kind::kMessage) return false;
    const size_t left = step.bytes.size() - std::exchange(offset, 0);
    if (bytes < left) return false;
    if (step.kind == Kind::kMessage) return true;
    bytes -= left;
  }
  return false;
}

bool ScriptedStream::LateForItsWrite() const {
  if (Step() == nullptr || at_ == 0 || offset_ != 0) return false;
  const bool clients = Step()->kind == Kind::kClient || Step()->kind == Kind::kMessage;
  return clients && steps_[at_ - 1].kind == Kind::kClient;
}

Result<void> ScriptedStream::TakeWritten(std::string_view bytes) {
  if (LateForItsWrite()) return Violation("in a write of its own: " + Quote(bytes));
  while (!bytes.empty()) {
    if (Step() == nullptr) return Violation("after the end of the dialog: " + Quote(bytes));
    const ScriptStep& step = *Step();
    switch (step.kind) {
      case Kind::kServer:
        if (ClosesAfterServerBytes()) return Lost();
        return Violation("wrote " + Quote(bytes) + " before reading " + Quote(step.bytes));
      case Kind::kClose:
        return Lost();
      case Kind::kSilence:
        return {};
      case Kind::kTls:
        return Violation("wrote " + Quote(bytes) + " instead of a handshake");
      case Kind::kClient:
      case Kind::kMessage:
        break;
    }
    const size_t size = std::min(bytes.size(), step.bytes.size() - offset_);
    if (bytes.substr(0, size) != std::string_view(step.bytes).substr(offset_, size)) {
      return Violation("wrote " + Quote(bytes) + " instead of " +
                       Quote(std::string_view(step.bytes).substr(offset_)));
    }
    bytes.remove_prefix(size);
    offset_ += size;
    const bool whole = offset_ == step.bytes.size();
    const bool enough = step.limit != 0 && offset_ >= step.limit;
    if (step.kind == Kind::kMessage && (whole || enough)) message_taken_ = true;
    if (whole || enough) NextStep();
    if (enough) return {};
  }
  return {};
}

asio::awaitable<Result<smtp::TlsInfo>> ScriptedStream::StartTls(const smtp::TlsSettings&,
                                                                const std::string&) {
  const auto failure = co_await Begin(StreamOperation::Kind::kTls);
  if (failure) co_return *failure;
  const auto failed = [](Cause cause) {
    return base::Failed(Stage::kTls, cause, ErrorClass::kPermanent, "handshake failed");
  };
  if (Step() != nullptr && Step()->kind == Kind::kServer) co_return failed(Cause::kTlsFailed);
  if (Step() == nullptr || Step()->kind != Kind::kTls) {
    co_return Violation("a handshake that the dialog does not have");
  }
  const std::optional<Cause> cause = Step()->cause;
  NextStep();
  if (cause) co_return failed(*cause);
  protected_ = true;
  smtp::TlsInfo info;
  info.version = "TLSv1.3";
  info.cipher = "TLS_AES_256_GCM_SHA384";
  info.subject = "CN=mail.example.net";
  co_return info;
}

}  // namespace sendstep::testing
