// What receivers of mail say when they refuse it, and what that means.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_RECEIVER_REPLIES_H_
#define SENDSTEP_PROVIDERS_DOCTOR_RECEIVER_REPLIES_H_

#include <span>
#include <string>

namespace sendstep::doctor {

// Whose a failure behind the provider is.
enum class Side { kDomain, kRecipient, kMessage, kReputation, kAccount, kReceiver };

// "the sender's domain", "the recipient", ...
std::string SideName(Side side);

struct ReceiverReply {
  const char* receiver;  // "Gmail"; empty: any
  const char* pattern;   // RE2, case-insensitive, searched in "CODE ENHANCED TEXT"
  const char* example;   // which the pattern matches
  Side side;
  const char* meaning;     // one sentence
  const char* what_to_do;  // one or two sentences
  const char* doc_url;     // the receiver's page; may be empty
};

// The first that matches counts.
std::span<const ReceiverReply> ReceiverReplies();

// Null: none matches.
const ReceiverReply* FindReceiverReply(const std::string& reply);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_RECEIVER_REPLIES_H_
