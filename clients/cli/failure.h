// A failure, whichever way it came: a gRPC status, a Failure inside an OK answer, or something
// wrong before any call. Explained to people, printed as JSON, turned into an exit code.
#ifndef SENDSTEP_CLIENTS_CLI_FAILURE_H_
#define SENDSTEP_CLIENTS_CLI_FAILURE_H_

#include <grpcpp/support/status.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clients/cli/text.h"
#include "plugin/status_details.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::cli {

// What the process exits with. Stable: scripts branch on it.
enum class ExitCode {
  kOk = 0,             // sent, valid, accepted
  kUnexpected = 1,     // none of the others
  kUsage = 2,          // the command line is wrong, or something it names is not there
  kInvalidInput = 3,   // the settings or the email are wrong
  kRefused = 4,        // refused for good
  kTryLater = 5,       // not done yet: the same again, with the same request id
  kPartiallySent = 6,  // sent to some of the recipients
  kUncertain = 7,      // may have been sent
  kUnreachable = 8,    // no sendstep server there
};

// The list above for --help.
extern const char kExitCodesHelp[];

struct Failure {
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  std::string message;
  // Empty or unset for a failure that sendstep did not describe. metadata as in the contract:
  // fault, retryable, phase, smtp_code, enhanced_code, reply, recipients, what_to_do, message_id.
  plugin::Details details;
  ExitCode exit_code = ExitCode::kUnexpected;
  // The call's request_id is a key of the server's ledger: another try does not send twice, and
  // `sendstep get` knows what became of it.
  bool in_ledger = false;
};

// Whether the call that failed could have sent an email without saying so: no; yes, and again with
// every call; yes, once for each request_id.
enum class Sends { kNo, kYes, kOnce };

// `status` is not OK. A status that sendstep did not make, on a call that sends, after the
// connection stood: nobody knows, so it is uncertain.
Failure FromStatus(const grpc::Status& status, Sends sends);

// A failure on the way to the provider, from an OK answer to `test` or `validate`.
Failure FromAnswer(const v1::Failure& failure);

// No sendstep server answered at `address`.
Failure Unreachable(const std::string& address);

// The command line or the files it names (errors of request.h).
Failure FromInput(const absl::Status& status);

// Lines for people: what happened, whose fault, what to do, whether to try again and with which
// command. `headline` opens the first line, e.g. "not sent"; it is "uncertain" where nobody knows,
// and another one where it would be wrong.
std::string Explain(const Failure& failure, const std::string& headline, const Style& style,
                    const std::string& request_id = "");

// The same without the first line, and without what `said` says already.
std::string ExplainFurther(const Failure& failure, const std::string& said,
                           const std::string& request_id = "");

// What a person can do about an email that is uncertain, as rows of name and command.
std::vector<std::vector<std::string>> WaysOutOfUncertain(const std::string& request_id);

// One JSON object: code, message, reason, metadata, violations, retryAfter, links, and requestId
// unless it is empty. ASCII only.
std::string ToJson(const Failure& failure, const std::string& request_id);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_FAILURE_H_
