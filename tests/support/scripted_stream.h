// A Stream that plays the server's part of a written dialog and checks the client's, without
// network and without time. It can split what it delivers and fail any operation. What the client
// has to send with no word of the server in between it must send in one write.
#ifndef SENDSTEP_TESTS_SUPPORT_SCRIPTED_STREAM_H_
#define SENDSTEP_TESTS_SUPPORT_SCRIPTED_STREAM_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "transport/smtp/stream.h"

namespace sendstep::testing {

struct ScriptStep {
  enum class Kind {
    kServer,   // the server sends `bytes`
    kClient,   // the client must send `bytes`
    kMessage,  // the client must send `bytes`, or with `limit` at least so many of them
    kTls,      // the handshake; with `cause` it fails
    kClose,    // the server closes
    kSilence,  // the server says nothing until the client's time is up
  };
  Kind kind = Kind::kServer;
  std::string bytes;
  size_t limit = 0;
  std::optional<base::Cause> cause;
};

// What happened in one operation.
struct StreamOperation {
  enum class Kind { kRead, kWrite, kTls };
  Kind kind = Kind::kRead;
  base::Deadline until;  // as set by Expire
};

class ScriptedStream : public smtp::Stream {
 public:
  explicit ScriptedStream(std::vector<ScriptStep> steps) : steps_(std::move(steps)) {}

  // The dialog goes on with `step`.
  void Append(ScriptStep step) { steps_.push_back(std::move(step)); }
  // Reads give one byte each.
  void ReadByteByByte() { byte_by_byte_ = true; }
  // No read crosses the end of a line.
  void ReadLineByLine() { line_by_line_ = true; }
  // No read crosses the server's byte `offset`.
  void SplitAt(size_t offset) { split_at_ = offset; }
  // Asked before each operation, with its number from 0. What it returns fails this and all later
  // ones.
  void FailWith(std::function<std::optional<base::Error>(size_t operation)> fault) {
    fault_ = std::move(fault);
  }

  smtp::asio::awaitable<base::Result<size_t>> ReadSome(smtp::asio::mutable_buffer buffer) override;
  base::Result<size_t> ReadAvailable(smtp::asio::mutable_buffer buffer) override;
  smtp::asio::awaitable<base::Result<void>> Write(
      std::span<const smtp::asio::const_buffer> buffers) override;
  smtp::asio::awaitable<base::Result<smtp::TlsInfo>> StartTls(
      const smtp::TlsSettings& settings, const std::string& server_name) override;
  void Expire(base::Deadline deadline) override { until_ = deadline; }
  void Close() override { closed_ = true; }

  // What the client did that the dialog does not have, or that no client may do.
  const std::vector<std::string>& violations() const { return violations_; }
  const std::vector<StreamOperation>& operations() const { return operations_; }
  bool finished() const;
  bool closed() const { return closed_; }
  // A write that holds the end of the message was begun.
  bool end_of_data_begun() const { return end_of_data_begun_; }
  // The server's words after the end of the message were delivered whole.
  bool final_reply_delivered() const { return final_reply_delivered_; }
  // Those that were delivered.
  const std::string& final_words() const { return final_words_; }
  // All that the client wrote without TLS, also in writes that failed.
  const std::string& written_in_clear() const { return written_in_clear_; }

 private:
  // The failure that this operation meets, before the script is looked at.
  smtp::asio::awaitable<std::optional<base::Error>> Begin(StreamOperation::Kind kind);
  const std::optional<base::Error>& Record(StreamOperation::Kind kind);
  // The server's next bytes; the step is one of kServer.
  size_t Deliver(smtp::asio::mutable_buffer buffer);
  base::Error Violation(std::string what);
  const ScriptStep* Step() const { return at_ < steps_.size() ? &steps_[at_] : nullptr; }
  void NextStep();
  bool ClosesAfterServerBytes() const;
  // A write of so many bytes now holds the end of the message.
  bool ReachesEndOfMessage(size_t bytes) const;
  // What the client sends now should have been in the write before.
  bool LateForItsWrite() const;
  base::Result<void> TakeWritten(std::string_view bytes);

  std::vector<ScriptStep> steps_;
  size_t at_ = 0;      // into steps_
  size_t offset_ = 0;  // into the step's bytes
  size_t delivered_ = 0;
  bool byte_by_byte_ = false;
  bool line_by_line_ = false;
  std::optional<size_t> split_at_;
  std::function<std::optional<base::Error>(size_t)> fault_;
  std::optional<base::Error> failure_;
  std::optional<base::Deadline> until_;
  std::vector<std::string> violations_;
  std::vector<StreamOperation> operations_;
  bool closed_ = false;
  bool protected_ = false;
  bool end_of_data_begun_ = false;
  bool message_taken_ = false;
  bool final_reply_delivered_ = false;
  std::string final_words_;
  std::string written_in_clear_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_SCRIPTED_STREAM_H_
