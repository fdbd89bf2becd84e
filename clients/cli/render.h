// Answers for people. Everything that comes from a server is made safe for a terminal.
#ifndef SENDSTEP_CLIENTS_CLI_RENDER_H_
#define SENDSTEP_CLIENTS_CLI_RENDER_H_

#include <google/protobuf/message.h>

#include <string>

#include "clients/cli/text.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::cli {

// Outcome, ids, one line per recipient, warnings.
std::string RenderSent(const v1::ExecuteResponse& answer, const Style& style);

// One line per recipient: what became of it, its address (else its place in the request) and the
// server's reply.
std::string RenderRecipients(
    const google::protobuf::RepeatedPtrField<v1::RecipientResult>& recipients, const Style& style);

// What became of a request_id: state, times, ids, recipients, and what to do where that is open.
std::string RenderExecution(const v1::Execution& execution, const Style& style);

// One line per execution.
std::string RenderExecutions(const v1::ListExecutionsResponse& answer);

// The stages as a table: stage, mark, duration, findings and the server's words.
std::string RenderTimeline(const google::protobuf::RepeatedPtrField<v1::Check>& checks,
                           const Style& style);

// Timeline, verdict, what went wrong, next steps, and the dialog when asked for.
std::string RenderTest(const v1::TestSendResponse& answer, bool transcript, const Style& style);

// Verdict, findings, timeline, what the settings come to.
std::string RenderValidation(const v1::ValidateConfigResponse& answer, const Style& style);

// Verdict first, then why as a tree, then the records to publish.
std::string RenderDeliverability(const v1::Deliverability& answer, const Style& style);

std::string RenderServer(const v1::DescribeResponse& answer, const Style& style);

// A table of all, and everything about one.
std::string RenderProviders(const v1::DescribeResponse& answer, const Style& style);
std::string RenderProvider(const v1::ProviderInfo& provider, const Style& style);

// The JSON mapping, fields without a value included, so that "valid": false is seen.
std::string RenderJson(const google::protobuf::Message& message);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_RENDER_H_
