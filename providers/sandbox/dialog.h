// The server's half of an SMTP dialog (RFC 5321) as a state machine: a line goes in, a reply and
// what to do next come out. No I/O, no clock.
//
// Enhanced status codes (RFC 3463) are on every 2xx, 4xx and 5xx reply but the greeting and those
// to EHLO and HELO (RFC 2034 4). Threads: one at a time.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_DIALOG_H_
#define SENDSTEP_PROVIDERS_SANDBOX_DIALOG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "providers/sandbox/behavior.h"
#include "providers/sandbox/command.h"

namespace sendstep::providers::sandbox {

// The name in greeting, Received and file names.
inline constexpr std::string_view kHostName = "sandbox";

inline constexpr uint64_t kMaxMessageBytes = 58720256;  // 56 MiB, as in EHLO
inline constexpr size_t kMaxRecipients = 1000;
inline constexpr size_t kMaxCommandBytes = 2048;  // without CRLF
inline constexpr size_t kMaxAuthBytes = 12288;    // of a line within AUTH (RFC 4954 4)
inline constexpr int kMaxErrors = 20;             // per message; the next one closes

// Whose message, for whom: what a mail transaction has collected.
struct Transaction {
  std::optional<std::string> sender;    // "" for "<>"; unset: no transaction
  std::vector<std::string> recipients;  // accepted ones, in order
  bool smtp_utf8 = false;
  bool chunking = false;  // a BDAT was seen
  bool slow = false;
  bool drop_after_data = false;
  bool keeps_nothing = false;
  // RFC 3461.
  std::string envelope_id;                  // as xtext; "" where none was given
  std::vector<std::string> notify_success;  // of `recipients`
};

// How receiving a message ended; kForgotten: on purpose.
struct Received {
  enum class Outcome { kKept, kTooLarge, kNotWritten, kForgotten } outcome = Outcome::kKept;
  std::string id;  // for the reply, when kept
};

enum class Next {
  kLine,      // read the next line
  kStartTls,  // send the reply, shake hands, then OnTlsStarted()
  kData,      // read a message up to CRLF.CRLF, then OnMessage()
  kChunk,     // read `chunk` bytes of the message; after the last chunk OnMessage(), else OnChunk()
  kSkipChunk,  // read and forget `chunk` bytes, then send the reply
  kClose,      // send the reply, then close
};

struct Step {
  std::string reply;  // complete lines; may be empty
  Next next = Next::kLine;
  Chunk chunk = {};
};

class Dialog {
 public:
  // `greylist` must outlive the dialog.
  explicit Dialog(Greylist& greylist) : greylist_(greylist) {}

  std::string Greeting() const;

  // How long the next line may be.
  size_t line_limit() const { return auth_ == Auth::kNone ? kMaxCommandBytes : kMaxAuthBytes; }

  // A line without its CRLF.
  Step OnLine(std::string_view line);
  // A line longer than line_limit() was swallowed.
  Step OnLongLine();
  // A line ended with LF alone.
  Step OnBareLineFeed();
  // Bytes were waiting behind STARTTLS, in clear: a command injected by somebody else, or a client
  // that does not wait (RFC 3207 4.2). Closes.
  Step OnEarlyTlsBytes();
  // Everything learnt in clear is forgotten (RFC 3207 4.2).
  void OnTlsStarted();

  // A chunk that was not the last came in; `received` says how the message stands.
  Step OnChunk(uint64_t size, const Received& received);
  // The end of the message came; ends the transaction. `received` is to be kForgotten where the
  // transaction keeps_nothing. No reply with drop_after_data, which closes.
  Step OnMessage(const Received& received);

  // The session was idle for too long.
  static std::string TimeoutReply();
  // There are too many sessions.
  static std::string BusyReply();

  const Transaction& transaction() const { return transaction_; }
  // What the client called itself.
  const std::string& client_name() const { return client_name_; }
  // "ESMTPSA" and so on (RFC 3848, RFC 6531 4.3).
  std::string Protocol() const;

 private:
  enum class Hello { kNone, kHelo, kEhlo };
  enum class Auth { kNone, kPlain, kLoginUser, kLoginPassword };
  struct Verb;

  Step OnHello(const Command& command);
  Step OnStartTls(const Command& command);
  Step OnAuth(const Command& command);
  Step OnMail(const Command& command);
  Step OnRcpt(const Command& command);
  Step OnData(const Command& command);
  Step OnBdat(const Command& command);
  Step OnRset(const Command& command);
  Step OnNoop(const Command& command);
  Step OnVrfy(const Command& command);
  Step OnExpn(const Command& command);
  Step OnHelp(const Command& command);
  Step OnQuit(const Command& command);

  Step OnAuthLine(std::string_view line);
  Step OnPlainResponse(std::string_view decoded);
  // Any username but authfail with any password will do, but neither may be empty.
  Step OnCredentials(std::string_view username, bool has_password);
  // Nothing: the parameters are fine and taken over into `transaction`.
  std::optional<Step> TakeMailParameters(const std::vector<Parameter>& parameters,
                                         Transaction& transaction);
  // Nothing: the parameters are fine; `notify_success` as asked for.
  std::optional<Step> TakeRcptParameters(const std::vector<Parameter>& parameters,
                                         bool& notify_success);
  // Nothing: the recipient is accepted, and behaves from now on.
  std::optional<Step> ApplyBehavior(const std::string& recipient);
  Step NotReceived(Received::Outcome outcome);
  // A refusal that counts as an error of the client.
  Step Fail(std::string_view code, std::string_view text);
  Step SkipChunk(Step step, const Chunk& chunk) const;

  Greylist& greylist_;
  Hello hello_ = Hello::kNone;
  Auth auth_ = Auth::kNone;
  bool tls_ = false;
  bool authenticated_ = false;
  int errors_ = 0;
  std::string client_name_;
  std::string username_;  // while AUTH LOGIN goes on
  Transaction transaction_;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_DIALOG_H_
