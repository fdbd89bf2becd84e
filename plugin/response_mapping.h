// Outcomes -> the wire. The only place that knows which outcome is which gRPC status.
#ifndef SENDSTEP_PLUGIN_RESPONSE_MAPPING_H_
#define SENDSTEP_PLUGIN_RESPONSE_MAPPING_H_

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plugin/command.h"
#include "plugin/timeline.h"
#include "protos/sendstep/v1/email_action.pb.h"
#include "providers/explain.h"
#include "transport/base/error.h"
#include "transport/smtp/envelope.h"
#include "transport/smtp/stream.h"

namespace sendstep::plugin {

// INVALID_ARGUMENT with every error among `findings` as a field violation; FAILED_PRECONDITION
// where the first is about the server's own state (no such relay, sender not allowed there, no
// sandbox, ...). Warnings are left out. There must be an error.
grpc::Status FindingsStatus(const std::vector<providers::Finding>& findings);

// A send that failed.
//   uncertain                                  DATA_LOSS
//   cancelled by the caller                    CANCELLED
//   message too large, message not composable  INVALID_ARGUMENT
//   try again, quota or rate                   RESOURCE_EXHAUSTED
//   try again                                  UNAVAILABLE
//   anything else                              FAILED_PRECONDITION
grpc::Status ErrorStatus(const base::Error& error, const providers::Explained& explained,
                         const std::vector<std::string>& recipient_names,
                         const std::string& message_id);

// What went before any coroutine: "reason", one sentence each.
grpc::Status SimpleStatus(grpc::StatusCode code, const std::string& reason, providers::Fault fault,
                          const std::string& retryable, const std::string& message,
                          const std::string& what_to_do);

// The call would go beyond a limit of what is in flight, which `message` names: it was not begun.
grpc::Status OverloadedStatus(const std::string& message);

// An email that a provider took, for one recipient at least.
struct Delivered {
  std::vector<base::RecipientOutcome> recipients;
  base::Reply final_reply;
  std::string message_id;
  std::string provider_message_id;
  uint64_t message_bytes = 0;
  std::chrono::system_clock::time_point accepted_at;
  std::optional<smtp::TlsInfo> tls;
};

v1::ExecuteResponse SentResponse(const SendCommand& command, const Delivered& delivered,
                                 v1::Dedupe dedupe,
                                 const std::vector<providers::Finding>& findings);

// `message_id`: empty where none was made.
v1::Failure ToFailure(const base::Error& error, const providers::Explained& explained,
                      const std::vector<std::string>& recipient_names,
                      const std::string& message_id);

v1::Diagnostic ToDiagnostic(const providers::Finding& finding);

// The stages up to `last` in their order, those that did not happen as SKIPPED. STAGE_CONFIG only
// where it failed.
void AddChecks(const Timeline& timeline, base::Stage last, bool with_tls,
               google::protobuf::RepeatedPtrField<v1::Check>& out);

// What was said of each recipient, into the check of STAGE_RCPT_TO: WARN where some were refused.
// "Not refused" is all that a reply to RCPT TO says; the message may still be refused.
void AddRecipients(const smtp::DeliveryReport& report,
                   google::protobuf::RepeatedPtrField<v1::Check>& checks);

// A warning for each recipient that a probe was refused.
void AddRefusedRecipients(const smtp::DeliveryReport& report,
                          const std::vector<std::string>& recipient_names,
                          google::protobuf::RepeatedPtrField<v1::Diagnostic>& out);

// A reply that was not kept, code 0, is left unset.
v1::RecipientResult ToRecipient(const base::RecipientOutcome& outcome,
                                const std::vector<std::string>& recipient_names);
v1::SmtpReply ToReply(const base::Reply& reply);

// Names of the contract for what the layers below call otherwise.
v1::Reason ReasonOf(const std::string& name);
v1::Stage StageOf(base::Stage stage);
v1::Fault FaultOf(providers::Fault fault);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_RESPONSE_MAPPING_H_
