// The contract's values as words.
#ifndef SENDSTEP_CLIENTS_CLI_WORDS_H_
#define SENDSTEP_CLIENTS_CLI_WORDS_H_

#include <google/protobuf/generated_enum_reflection.h>

#include <chrono>
#include <string>

#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::cli {

// Name of `value` without what stands before "UNSPECIFIED" in its type: "AUTH_REFUSED". Empty for
// 0. A value of a newer server is its number.
std::string Word(const google::protobuf::EnumDescriptor& type, int value);

// The same in lower case: "mail_from".
std::string LowerWord(const google::protobuf::EnumDescriptor& type, int value);

template <class Enum>
std::string Word(Enum value) {
  return Word(*google::protobuf::GetEnumDescriptor<Enum>(), value);
}

template <class Enum>
std::string LowerWord(Enum value) {
  return LowerWord(*google::protobuf::GetEnumDescriptor<Enum>(), value);
}

// "0.3 ms", "12 ms", "1.5 s", "2 min".
std::string Took(std::chrono::nanoseconds time);

// "535 5.7.8 the server's words", safe for a terminal.
std::string ReplyText(const v1::SmtpReply& reply);

// "Ann <ann@example.com>", safe for a terminal.
std::string MailboxText(const v1::Address& address);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_WORDS_H_
