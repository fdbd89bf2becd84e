// Why a message did not arrive, or whether it passed: from a bounce, a received message or a reply.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_AFTERMATH_H_
#define SENDSTEP_PROVIDERS_DOCTOR_AFTERMATH_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "providers/doctor/receiver_replies.h"

namespace sendstep::doctor {

// One thing that happened.
struct Event {
  std::string recipient;  // of a bounce; may be empty
  std::string reply;      // the server's words, or what the receiver found; may be empty
  std::string said_by;    // the server; may be empty
  std::string meaning;    // one sentence
  Side side = Side::kReceiver;
  bool final = true;  // not tried again by itself
  std::string what_to_do;
  std::string doc_url;  // may be empty
};

// What a receiver found of one method (RFC 8601).
struct Authentication {
  std::string method;  // "spf", "dkim", "dmarc"
  std::string result;  // "pass"; empty: it says nothing
  std::string domain;  // that was authenticated; may be empty
  std::string why;     // its own words; may be empty
};

struct Aftermath {
  enum class Kind { kBounce, kReceived, kReply } kind = Kind::kReply;
  std::string summary;   // one sentence
  std::string receiver;  // whose Authentication-Results these are
  std::vector<Event> events;
  std::vector<Authentication> authentication;
};

// "bounce", "received", "reply".
std::string KindName(Aftermath::Kind kind);

inline constexpr size_t kMaxAftermathBytes = size_t{32} << 20;

// `text`: a whole email, or a reply of an SMTP server. InvalidArgument: it is neither, or larger
// than kMaxAftermathBytes.
absl::StatusOr<Aftermath> ExplainAftermath(const std::string& text);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_AFTERMATH_H_
