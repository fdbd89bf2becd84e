// Mailboxes as people type them.
#ifndef SENDSTEP_CLIENTS_CLI_MAILBOX_H_
#define SENDSTEP_CLIENTS_CLI_MAILBOX_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::cli {

// "ann@example.com", "<ann@example.com>", "Ann Lee <ann@example.com>" or "\"Lee, Ann\" <ann@...>".
// Only the form is read here; whether the address itself is good is the server's to say.
// InvalidArgument says what is wrong with the form.
absl::StatusOr<v1::Address> ParseMailbox(std::string_view text);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_MAILBOX_H_
