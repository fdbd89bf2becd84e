// Commands out, replies in, over one Stream: keeps count of the replies owed, tells the observer
// every line without credentials, and puts the stage into errors.
//
// Every Reply and Error it returns is redacted. Lifetime, threads: as Session. Its coroutines run
// where asio::this_coro::throw_if_cancelled is false.
#ifndef SENDSTEP_TRANSPORT_SMTP_DIALOG_H_
#define SENDSTEP_TRANSPORT_SMTP_DIALOG_H_

#include <array>
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "transport/base/result.h"
#include "transport/base/secret.h"
#include "transport/smtp/observer.h"
#include "transport/smtp/redactor.h"
#include "transport/smtp/reply_parser.h"
#include "transport/smtp/settings.h"
#include "transport/smtp/stream.h"

namespace sendstep::smtp {

class Dialog {
 public:
  // The greeting is owed from the start.
  Dialog(Stream& stream, Observer& observer, const std::optional<Credentials>& credentials)
      : stream_(stream), observer_(&observer), redactor_(credentials) {}

  // Tells another one from now on.
  void Observe(Observer& observer) { observer_ = &observer; }

  // The stage that follows; errors carry it.
  void Enter(base::Stage stage);
  void Detail(std::string_view detail) { observer_->StageDetail(redactor_.Line(detail)); }
  void Expire(base::Deadline until) { stream_.Expire(until); }

  // Writes command lines (see IsCommandLine) in one write; one reply each is then owed.
  asio::awaitable<base::Result<void>> Write(std::span<const std::string> commands);
  // The same, and in the same write message bytes, which the observer does not see. A refusal that
  // came before the write failed is left to Read().
  asio::awaitable<base::Result<void>> Write(std::span<const std::string> commands,
                                            std::span<const asio::const_buffer> message);
  // Writes a line that holds a secret, or answers a 334; the observer sees `shown`.
  asio::awaitable<base::Result<void>> WriteSecret(const base::Secret& line, std::string shown);
  // Writes message bytes, which the observer does not see.
  asio::awaitable<base::Result<void>> WriteData(std::span<const asio::const_buffer> buffers);
  // Tells the observer that they are, as after DATA or as a chunk.
  void DataWritten(size_t message_bytes, bool chunk);

  // The next reply. 3xx leaves one owed, 421 ends the dialog (RFC 5321 3.8).
  asio::awaitable<base::Result<base::Reply>> Read();
  // The last reply as it came, to be understood and never to be shown.
  const base::Reply& raw_reply() const { return raw_reply_; }
  // Write and Read of one command.
  asio::awaitable<base::Result<base::Reply>> Ask(std::string command);

  // Succeeds where nothing has arrived that nobody asked for. Such bytes could be taken for the
  // reply to the next command; a refusal among them is returned as such.
  asio::awaitable<base::Result<void>> ExpectSilence();
  // The same, and of what has arrived at the socket too.
  asio::awaitable<base::Result<void>> ExpectSilenceOnWire();
  // Whether nothing has come since the last reply, as far as is known without waiting: no farewell
  // and no end of the connection.
  bool IsQuiet();

  // A server that gives up may say why before it stops reading: after a failed write, its refusal
  // if there is one to read, else `error`.
  asio::awaitable<base::Error> LastWords(base::Error error);

  asio::awaitable<base::Result<TlsInfo>> StartTls(const TlsSettings& settings,
                                                  std::string server_name);

  base::Error Failure(base::Cause cause, base::ErrorClass error_class,
                      std::string_view detail) const;
  // The server said something that has no meaning here; the dialog is over.
  base::Error Unexpected(const base::Reply& reply);

  // The dialog ends with `error`, which is returned redacted and with the stage.
  base::Error Broken(base::Error error);

  // Every command has its reply and nothing failed.
  bool IsOpen() const { return open_ && owed_ == 0; }
  // And nothing is left over.
  bool InStep() const { return IsOpen() && input_.empty(); }
  // Bytes beyond the last reply have been read.
  bool HasLeftover() const { return !input_.empty(); }
  // The server has sent something.
  bool heard() const { return heard_; }
  // When it last sent something.
  base::Clock::time_point heard_at() const { return heard_at_; }

 private:
  void Arrived(size_t bytes);
  base::Error Malformed(ReplyParser::Event event);
  asio::awaitable<base::Result<void>> SendLines(std::string_view lines);
  // The commands as one text, counted and told to the observer.
  asio::awaitable<base::Result<std::string>> Compile(std::span<const std::string> commands);
  asio::awaitable<base::Result<void>> Send(std::span<const asio::const_buffer> buffers);

  Stream& stream_;
  Observer* observer_;
  const Redactor redactor_;
  base::Stage stage_ = base::Stage::kTcp;
  ReplyParser parser_;
  std::array<char, 4096> buffer_;
  base::Reply raw_reply_;
  std::string_view input_;  // bytes of buffer_ not parsed yet
  size_t owed_ = 1;
  size_t answered_ = 0;  // since the last write
  bool open_ = true;
  bool heard_ = false;
  base::Clock::time_point heard_at_;
  bool greeted_ = false;
};

inline bool Completed(const base::Reply& reply) { return reply.code / 100 == 2; }
inline bool Refusing(const base::Reply& reply) { return reply.code / 100 >= 4; }

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_DIALOG_H_
