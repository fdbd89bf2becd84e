// What is known of one request_id, and the rules by which that changes: "gate the dot". Pure: no
// I/O, the time comes in.
//
//   RESERVED -> COMMITTING -> SENT | PENDING | FAILED | UNCERTAIN
//
// A server must drop a message whose end never came (RFC 5321 4.1.1.4). So nothing was delivered
// while an execution is RESERVED: whoever finds its owner gone takes it over, under the next epoch.
// The end of the message is sent in COMMITTING alone, which only the owner of the current epoch
// enters, by Gate(); a paused owner that was taken over is refused there and sends no end. What was
// COMMITTING when its owner went cannot be known (RFC 1047): it becomes UNCERTAIN and is not sent
// again unless the caller asks for that.
//
// An owner is gone once its lease has ended, and before that where Begin() knows it: see Claim.
#ifndef SENDSTEP_PLUGIN_LEDGER_EXECUTION_H_
#define SENDSTEP_PLUGIN_LEDGER_EXECUTION_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace sendstep::ledger {

// Of the system clock, which replicas share, in milliseconds.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

enum class State {
  kReserved,    // an owner is on its way to the end of the message
  kCommitting,  // the owner may have sent the end
  kSent,        // delivered to every recipient that was not refused for good, at least one
  kPending,     // delivered to some, others were refused for now: the next try sends to those
  kFailed,      // delivered to nobody: the next try sends whatever it brings
  kUncertain,   // nobody can know, until a person says so
};

// One recipient, known by its index in the request: no address is kept.
struct Recipient {
  enum class State {
    kOpen,      // not delivered
    kOffered,   // in the message whose end may have been sent
    kAccepted,  // delivered
    kDeferred,  // refused for now
    kRejected,  // refused for good
  };
  State state = State::kOpen;
  bool maybe = false;         // an earlier message may have been delivered
  int code = 0;               // of the last reply to its RCPT; 0: there was none, or it was taken
  std::string enhanced_code;  // of that reply

  friend bool operator==(const Recipient&, const Recipient&) = default;
};

// What the provider said when it took the message.
struct Receipt {
  int code = 0;  // of the reply to the end of the message
  std::string enhanced_code;
  std::string provider_message_id;
  uint64_t message_bytes = 0;
  Time accepted_at{};

  friend bool operator==(const Receipt&, const Receipt&) = default;
};

struct Execution {
  // A reply of the provider.
  struct Reply {
    int code = 0;
    std::string enhanced_code;

    friend bool operator==(const Reply&, const Reply&) = default;
  };

  State state = State::kReserved;
  uint64_t epoch = 0;       // grows with every Begin that may send; fences the owners before
  std::string owner;        // the process that holds it; of no meaning unless held
  Time lease_until{};       // when it may be taken for gone
  std::string fingerprint;  // keyed digest of content and envelope
  uint32_t attempts = 0;
  Time created_at{};
  Time updated_at{};
  std::string message_id;
  std::vector<Recipient> recipients;
  std::optional<Receipt> receipt;  // of the last message that was taken
  Reply last_reply;                // that decided the last attempt; code 0: none came
  std::string reason;              // why it failed or is uncertain

  friend bool operator==(const Execution&, const Execution&) = default;
};

struct Timing {
  // How long the owner may be silent before it is taken for gone.
  std::chrono::milliseconds lease{};
  // How long after the end of the message a reply may still come (RFC 5321 4.5.3.2.6).
  std::chrono::milliseconds reply_wait{};
};

// A request, as far as the ledger is concerned.
struct Claim {
  // The process: a name of this one run of it, which no other process has or had. It is at one
  // request_id once at a time, so what it still holds when it begins it has lost track of.
  std::string owner;
  // No other process uses the store (Store::Shared): any other owner is a process that has ended.
  bool sole = false;
  std::string fingerprint;
  std::string message_id;
  size_t recipients = 0;
  bool resend_on_uncertain = false;
  Timing timing;
};

// What a claim comes to.
struct Proceed {
  Execution execution;          // to be stored in place of the one known
  std::vector<size_t> send_to;  // the recipients that do not have it
};
struct Busy {          // another owner is at it, for all that is known
  Time look_again_at;  // when it may have to be taken for gone
};
struct Replay {  // nothing is to be sent
  Execution execution;
  bool changed = false;  // to be stored: COMMITTING was found without its owner
};
struct Reused {};  // the id stands for another email
using Decision = std::variant<Proceed, Busy, Replay, Reused>;

// `known` is null where the id is new.
Decision Begin(const Execution* known, const Claim& claim, Time now);

// What the owner of `epoch` does. Nothing: it is the owner no longer, and may send nothing more.
//
// Before the end of a message to `offered`, indexes of recipients that the server took, or may
// take: where their replies come only after the end, Settle is told of those refused.
std::optional<Execution> Gate(const Execution& known, uint64_t epoch,
                              std::span<const size_t> offered, const Timing& timing, Time now);
// The owner is alive.
std::optional<Execution> Renew(const Execution& known, uint64_t epoch, const Timing& timing,
                               Time now);

// How an attempt ended.
struct Verdict {
  enum class Kind {
    kTaken,      // the provider took the message for those that were offered
    kNotTaken,   // it was refused, or its end was never sent
    kUncertain,  // the end was sent and no usable reply came
  };
  Kind kind = Kind::kNotTaken;
  // The recipients that this attempt tried and the server refused, by index, whether they were
  // offered or not.
  struct Refused {
    size_t index = 0;
    int code = 0;
    std::string enhanced_code;
  };
  std::vector<Refused> refused;
  std::optional<Receipt> receipt;  // with kTaken
  Execution::Reply last_reply;     // that decided it, with any kind; code 0: none came
  std::string reason;              // with the others
};
// Also heeds an owner who learns late what has meanwhile been called uncertain, as long as nobody
// began anew.
std::optional<Execution> Settle(const Execution& known, uint64_t epoch, const Verdict& verdict,
                                Time now);

// Looked at by process `owner` (and `sole`: see Claim), which is not about to begin it: as it is
// when its owner is gone. Nothing: nobody has it, or its owner may be at it.
std::optional<Execution> Abandon(const Execution& known, const std::string& owner, bool sole,
                                 Time now);

// A person settles what is uncertain. Nothing: it is not.
std::optional<Execution> Resolve(const Execution& known, bool sent, Time now);

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_EXECUTION_H_
