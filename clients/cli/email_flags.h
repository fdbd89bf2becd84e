// The email's flags applied to an email: addresses parsed, files read, media types guessed.
#ifndef SENDSTEP_CLIENTS_CLI_EMAIL_FLAGS_H_
#define SENDSTEP_CLIENTS_CLI_EMAIL_FLAGS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "clients/cli/environment.h"
#include "clients/cli/options.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::cli {

// Errors as in request.h; they name the flag.
absl::Status ApplyEmailFlags(const EmailFlags& flags, Environment& environment, v1::Email& email);

// Media type by the name's extension; empty: unknown, and the server says octet-stream.
std::string GuessContentType(std::string_view filename);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_EMAIL_FLAGS_H_
