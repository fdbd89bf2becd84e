// Executions -> the wire, and what is asked about them.
#ifndef SENDSTEP_PLUGIN_EXECUTION_MAPPING_H_
#define SENDSTEP_PLUGIN_EXECUTION_MAPPING_H_

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "plugin/command.h"
#include "plugin/executions.h"
#include "plugin/ledger/store.h"
#include "plugin/response_mapping.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::plugin {

// What a call to Execute came to: OK with `response`, or
//   partly delivered, others refused for now     UNAVAILABLE, RECIPIENTS_PENDING
//   uncertain                                    DATA_LOSS, DELIVERY_UNCERTAIN
//   the id stands for another email              FAILED_PRECONDITION, REQUEST_ID_REUSED
//   not over in time                             ABORTED, REQUEST_IN_PROGRESS
//   the ledger cannot record                     UNAVAILABLE, LEDGER_UNAVAILABLE
//   the attempt failed                           as ErrorStatus
grpc::Status ExecutedStatus(const ExecutionRequest& request, const Executed& executed,
                            const std::vector<providers::Finding>& findings,
                            v1::ExecuteResponse& response);

// The ledger, asked or told something, failed.
grpc::Status LedgerUnavailable();
grpc::Status ExecutionNotFound(const std::string& request_id);
grpc::Status NotUncertain(const std::string& request_id, const ledger::Execution& execution);

v1::Execution ToExecution(const std::string& request_id, const ledger::Execution& execution);

// What a person says of an uncertain execution.
struct ResolveCommand {
  std::string request_id;
  bool sent = false;
};
Checked<ResolveCommand> MapResolve(const v1::ResolveExecutionRequest& request);
Checked<std::string> MapGet(const v1::GetExecutionRequest& request);
Checked<ledger::Query> MapList(const v1::ListExecutionsRequest& request, std::string_view space,
                               std::string_view tenant);
v1::ListExecutionsResponse ToPage(const ledger::Query& query,
                                  const std::vector<ledger::Entry>& entries);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_EXECUTION_MAPPING_H_
