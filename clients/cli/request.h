// Flags and step file as requests.
//
// The step file is an ExecuteRequest in YAML or JSON. Flags win over it: single values and the
// lists of recipients replace the file's, attachments and headers are added. Secret references in
// the file
// ("password: {env: NAME}", "{file: PATH}") are looked up here, on the client's side: a server
// refuses them from callers. Files that flags and references name are relative to the working
// folder.
//
// Errors. InvalidArgument: what is in the files or flags is malformed. NotFound: a file or variable
// that they name is not there. None holds a secret.
#ifndef SENDSTEP_CLIENTS_CLI_REQUEST_H_
#define SENDSTEP_CLIENTS_CLI_REQUEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "clients/cli/environment.h"
#include "clients/cli/options.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::cli {

// Bytes of one request, as the server's own limit.
inline constexpr size_t kMaxRequestBytes = 40 * 1024 * 1024;

// The step as an ExecuteRequest. A password that nothing names comes from SENDSTEP_PASSWORD, where
// the settings want one: a username is given, or a provider that has accounts.
absl::StatusOr<v1::ExecuteRequest> BuildRequest(const StepOptions& options,
                                                Environment& environment);

// The step as a test. Recipients named by flags take the place of the email's. The server brings
// the body where there is none.
v1::TestSendRequest ToTestRequest(v1::ExecuteRequest step, const StepOptions& options);

// The step as something to check; the email is left out where there is none.
v1::ValidateConfigRequest ToValidateRequest(v1::ExecuteRequest step, v1::ValidateDepth depth);

// A random UUID (RFC 9562, version 4).
std::string NewRequestId();

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_REQUEST_H_
