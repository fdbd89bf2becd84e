#include "plugin/execution_mapping.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "plugin/request_mapping.h"
#include "providers/explain.h"

namespace sendstep::plugin {
namespace {

using google::protobuf::util::TimeUtil;
using ledger::Recipient;
using ledger::State;
using providers::Explained;
using providers::Fault;
using providers::Finding;
using providers::Retryable;
using providers::Severity;

constexpr uint32_t kDefaultPage = 100;
constexpr std::chrono::seconds kAskAgain{1};

google::protobuf::Timestamp ToTimestamp(ledger::Time time) {
  return TimeUtil::MillisecondsToTimestamp(time.time_since_epoch().count());
}

ledger::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return ledger::Time(std::chrono::milliseconds(TimeUtil::TimestampToMilliseconds(timestamp)));
}

// As timestamp.proto has it: the years 1 to 9999.
bool IsTime(const google::protobuf::Timestamp& timestamp) {
  return timestamp.seconds() >= TimeUtil::kTimestampMinSeconds &&
         timestamp.seconds() <= TimeUtil::kTimestampMaxSeconds && timestamp.nanos() >= 0 &&
         timestamp.nanos() < 1'000'000'000;
}

v1::ExecutionState StateOf(State state) {
  switch (state) {
    case State::kReserved:
      return v1::EXECUTION_STATE_RESERVED;
    case State::kCommitting:
      return v1::EXECUTION_STATE_COMMITTING;
    case State::kSent:
      return v1::EXECUTION_STATE_SENT;
    case State::kPending:
      return v1::EXECUTION_STATE_PENDING;
    case State::kFailed:
      return v1::EXECUTION_STATE_FAILED;
    case State::kUncertain:
      return v1::EXECUTION_STATE_UNCERTAIN;
  }
  return v1::EXECUTION_STATE_UNSPECIFIED;
}

std::optional<State> StateOf(v1::ExecutionState state) {
  for (const State one : {State::kReserved, State::kCommitting, State::kSent, State::kPending,
                          State::kFailed, State::kUncertain}) {
    if (StateOf(one) == state) return one;
  }
  return std::nullopt;
}

v1::RecipientStatus StatusOf(const Recipient& recipient) {
  switch (recipient.state) {
    case Recipient::State::kAccepted:
      return v1::RECIPIENT_STATUS_ACCEPTED;
    case Recipient::State::kOffered:
      return v1::RECIPIENT_STATUS_UNCERTAIN;
    case Recipient::State::kOpen:
    case Recipient::State::kDeferred:
    case Recipient::State::kRejected:
      break;
  }
  if (recipient.maybe) return v1::RECIPIENT_STATUS_UNCERTAIN;
  return recipient.state == Recipient::State::kOpen       ? v1::RECIPIENT_STATUS_OPEN
         : recipient.state == Recipient::State::kDeferred ? v1::RECIPIENT_STATUS_DEFERRED
                                                          : v1::RECIPIENT_STATUS_REJECTED;
}

// What is known of each recipient: of this attempt with the server's words, of earlier ones
// without.
std::vector<base::RecipientOutcome> OutcomesOf(const Executed& executed) {
  std::vector<base::RecipientOutcome> outcomes;
  for (const Recipient& recipient : executed.execution.recipients) {
    base::RecipientOutcome& outcome = outcomes.emplace_back();
    outcome.index = outcomes.size() - 1;
    outcome.accepted = recipient.state == Recipient::State::kAccepted;
    outcome.reply.code = recipient.code;
    outcome.reply.enhanced_code = recipient.enhanced_code;
  }
  for (const base::RecipientOutcome& heard : executed.recipients) {
    if (heard.index < outcomes.size()) outcomes[heard.index].reply = heard.reply;
  }
  return outcomes;
}

v1::ExecuteResponse ToResponse(const ExecutionRequest& request, const Executed& executed,
                               const std::vector<Finding>& findings) {
  Delivered delivered;
  delivered.recipients = OutcomesOf(executed);
  delivered.message_id = executed.execution.message_id;
  delivered.tls = executed.tls;
  if (const auto& receipt = executed.execution.receipt) {
    delivered.final_reply.code = receipt->code;
    delivered.final_reply.enhanced_code = receipt->enhanced_code;
    delivered.provider_message_id = receipt->provider_message_id;
    delivered.message_bytes = receipt->message_bytes;
    delivered.accepted_at = receipt->accepted_at;
  }
  if (executed.final_reply.code != 0) delivered.final_reply = executed.final_reply;
  const bool replayed = executed.kind == Executed::Kind::kReplayed;
  return SentResponse(request.command, delivered, replayed ? v1::DEDUPE_REPLAYED : v1::DEDUPE_FIRST,
                      findings);
}

// Some have the email. `failure`: why the attempt for the others did not come as far as them.
grpc::Status Pending(const ExecutionRequest& request, const Executed& executed,
                     const base::Error* failure) {
  std::vector<base::RecipientOutcome> outcomes = OutcomesOf(executed);
  const auto deferred = std::ranges::find_if(outcomes, [](const base::RecipientOutcome& outcome) {
    return !outcome.accepted && outcome.reply.Transient();
  });
  base::Error error =
      base::Failed(base::Stage::kRcptTo, base::Cause::kRefused, base::ErrorClass::kTransient);
  if (deferred != outcomes.end()) error.reply = deferred->reply;
  if (failure != nullptr) error = *failure;
  Explained explained = providers::Explain(error, request.command.account.resolved);
  const auto delivered = std::ranges::count(outcomes, true, &base::RecipientOutcome::accepted);
  explained.reason = "RECIPIENTS_PENDING";
  const std::string have =
      absl::StrCat(delivered, " of ", outcomes.size(), " recipients have the email; ");
  if (failure != nullptr) {
    explained.message =
        absl::StrCat(have, "the attempt to reach the others failed: ", explained.message);
    explained.what_to_do = absl::StrCat(
        explained.what_to_do, " Keep the same request_id: those who have it are left out.");
  } else {
    explained.retryable = Retryable::kTrue;
    explained.retry_after = std::max<std::chrono::milliseconds>(explained.retry_after, kAskAgain);
    explained.message = absl::StrCat(have, "the server refuses others for now.");
    explained.what_to_do = "Call again later with the same request_id: those alone are tried.";
  }
  error.recipients = std::move(outcomes);
  return ErrorStatus(error, explained, request.command.recipient_names,
                     executed.execution.message_id);
}

grpc::Status UncertainBefore(const ExecutionRequest& request, const Executed& executed) {
  const base::Error error =
      base::Failed(base::Stage::kData, base::Cause::kConnectionLost, base::ErrorClass::kUncertain);
  std::string message =
      "An earlier attempt sent the end of the message and has no usable answer: the email may have "
      "been sent.";
  if (executed.error) {
    absl::StrAppend(&message, " The attempt to send it again failed: ",
                    providers::Explain(*executed.error, request.command.account.resolved).message);
  }
  const Explained explained = {
      "DELIVERY_UNCERTAIN",
      executed.execution.reason == "OWNER_GONE" ? Fault::kPlugin : Fault::kNetwork,
      Retryable::kUncertain,
      std::chrono::milliseconds(0),
      message,
      "Look for the Message-ID at the recipient or in the provider's log, then settle it with "
      "ResolveExecution (sendstep resolve), or call with resend_on_uncertain and risk a second "
      "copy.",
      ""};
  return ErrorStatus(error, explained, request.command.recipient_names,
                     executed.execution.message_id);
}

grpc::Status Failed(const ExecutionRequest& request, const Executed& executed) {
  base::Error error = executed.error.value_or(base::Error());
  // Those who have it from an earlier attempt.
  for (const base::RecipientOutcome& outcome : OutcomesOf(executed)) {
    if (outcome.accepted && outcome.reply.code == 0) error.recipients.push_back(outcome);
  }
  return ErrorStatus(error, providers::Explain(error, request.command.account.resolved),
                     request.command.recipient_names, request.message_id);
}

Finding Wrong(std::string field, std::string reason, std::string message, std::string hint = "") {
  return {Severity::kError,   std::move(field), std::move(reason),
          std::move(message), std::move(hint),  {}};
}

// Of an execution that is asked for.
void CheckKnownId(const std::string& id, std::vector<Finding>& findings) {
  if (id.empty()) {
    findings.push_back(Wrong("request_id", "REQUEST_ID_REQUIRED", "Say which one."));
  }
  CheckRequestId(id, /*required=*/false, findings);
}

// "TIME ID" in base64.
std::string PageToken(const ledger::Entry& last) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(last.execution.updated_at.time_since_epoch().count(), " ", last.key.request_id));
}

std::optional<ledger::Entry> FromPageToken(const std::string& token) {
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text)) return std::nullopt;
  const size_t blank = text.find(' ');
  if (blank == std::string::npos) return std::nullopt;
  int64_t time = 0;
  const char* end = text.data() + blank;
  if (std::from_chars(text.data(), end, time).ptr != end || blank == 0) return std::nullopt;
  ledger::Entry entry;
  entry.key.request_id = text.substr(blank + 1);
  std::vector<Finding> wrong;
  CheckRequestId(entry.key.request_id, /*required=*/true, wrong);
  if (!wrong.empty()) return std::nullopt;
  entry.execution.updated_at = ledger::Time(std::chrono::milliseconds(time));
  return entry;
}

}  // namespace

grpc::Status ExecutedStatus(const ExecutionRequest& request, const Executed& executed,
                            const std::vector<Finding>& findings, v1::ExecuteResponse& response) {
  switch (executed.kind) {
    case Executed::Kind::kReused:
      return FindingsStatus({Wrong("request_id", "REQUEST_ID_REUSED",
                                   "It stands for another email, which was sent or may have been.",
                                   "Give each email a request_id of its own.")});
    case Executed::Kind::kInProgress:
      return SimpleStatus(grpc::StatusCode::ABORTED, "REQUEST_IN_PROGRESS", Fault::kCaller, "true",
                          "The email of this request_id is still being sent.",
                          "Call again with the same request_id: the call joins the send or gets "
                          "its outcome.");
    case Executed::Kind::kLedgerUnavailable:
      return LedgerUnavailable();
    case Executed::Kind::kLeft:
      return {grpc::StatusCode::CANCELLED, "The caller has left."};
    case Executed::Kind::kEnded:
    case Executed::Kind::kReplayed:
      break;
  }
  const State state = executed.execution.state;
  // Refused for now, by a server that was asked for nothing but those.
  const bool refused = !executed.error || (executed.error->stage == base::Stage::kRcptTo &&
                                           executed.error->cause == base::Cause::kRefused);
  if (state == State::kSent) {
    response = ToResponse(request, executed, findings);
    return grpc::Status::OK;
  }
  if (state == State::kPending) {
    return Pending(request, executed, refused ? nullptr : &*executed.error);
  }
  // Also where a resend failed: what the attempt before came to is no better known.
  if (state == State::kUncertain &&
      (!executed.error || executed.error->error_class != base::ErrorClass::kUncertain)) {
    return UncertainBefore(request, executed);
  }
  return Failed(request, executed);
}

grpc::Status LedgerUnavailable() {
  return SimpleStatus(grpc::StatusCode::UNAVAILABLE, "LEDGER_UNAVAILABLE", Fault::kPlugin, "true",
                      "The server's ledger cannot be used, and nothing is sent that it cannot "
                      "record.",
                      "Try again later; the operator finds the reason in the server's log.");
}

grpc::Status ExecutionNotFound(const std::string& request_id) {
  return SimpleStatus(grpc::StatusCode::NOT_FOUND, "EXECUTION_NOT_FOUND", Fault::kCaller, "false",
                      absl::StrCat("Nothing is known of the request_id \"", request_id, "\"."),
                      "It was never used, or so long ago that it was forgotten.");
}

grpc::Status NotUncertain(const std::string& request_id, const ledger::Execution& execution) {
  const std::string state = v1::ExecutionState_Name(StateOf(execution.state));
  return SimpleStatus(grpc::StatusCode::FAILED_PRECONDITION, "NOT_UNCERTAIN", Fault::kCaller,
                      "false",
                      absl::StrCat("The execution \"", request_id, "\" is ", state,
                                   ": there is nothing to settle."),
                      "Ask GetExecution what is known of it.");
}

v1::Execution ToExecution(const std::string& request_id, const ledger::Execution& execution) {
  v1::Execution out;
  out.set_request_id(request_id);
  out.set_state(StateOf(execution.state));
  out.set_attempts(execution.attempts);
  *out.mutable_created_at() = ToTimestamp(execution.created_at);
  *out.mutable_updated_at() = ToTimestamp(execution.updated_at);
  out.set_message_id(execution.message_id);
  for (const Recipient& recipient : execution.recipients) {
    v1::RecipientResult& result = *out.add_recipients();
    result.set_index(static_cast<uint32_t>(out.recipients_size() - 1));
    result.set_status(StatusOf(recipient));
    if (recipient.code == 0) continue;
    result.mutable_reply()->set_code(static_cast<uint32_t>(recipient.code));
    result.mutable_reply()->set_enhanced_code(recipient.enhanced_code);
  }
  if (execution.last_reply.code != 0) {
    out.mutable_last_reply()->set_code(static_cast<uint32_t>(execution.last_reply.code));
    out.mutable_last_reply()->set_enhanced_code(execution.last_reply.enhanced_code);
  }
  if (execution.receipt) {
    out.set_provider_message_id(execution.receipt->provider_message_id);
    out.set_size_bytes(execution.receipt->message_bytes);
    *out.mutable_accepted_at() = ToTimestamp(execution.receipt->accepted_at);
  }
  out.set_reason(execution.reason);
  return out;
}

Checked<std::string> MapGet(const v1::GetExecutionRequest& request) {
  Checked<std::string> result{request.request_id(), {}};
  CheckKnownId(request.request_id(), result.findings);
  return result;
}

Checked<ResolveCommand> MapResolve(const v1::ResolveExecutionRequest& request) {
  Checked<ResolveCommand> result;
  CheckKnownId(request.request_id(), result.findings);
  if (request.resolution() != v1::RESOLUTION_SENT &&
      request.resolution() != v1::RESOLUTION_NOT_SENT) {
    result.findings.push_back(
        Wrong("resolution", "FIELD_REQUIRED", "Say RESOLUTION_SENT or RESOLUTION_NOT_SENT."));
  }
  result.value = {request.request_id(), request.resolution() == v1::RESOLUTION_SENT};
  return result;
}

Checked<ledger::Query> MapList(const v1::ListExecutionsRequest& request, std::string_view space,
                               std::string_view tenant) {
  Checked<ledger::Query> result;
  ledger::Query& query = result.value;
  query.space = space;
  query.tenant = tenant;
  query.state = StateOf(request.state());
  if (!query.state && request.state() != v1::EXECUTION_STATE_UNSPECIFIED) {
    result.findings.push_back(Wrong("state", "FIELD_INVALID", "No such state."));
  }
  const auto time = [&result](const char* field, const google::protobuf::Timestamp& given,
                              ledger::Time& into) {
    if (IsTime(given)) {
      into = FromTimestamp(given);
    } else {
      result.findings.push_back(
          Wrong(field, "FIELD_INVALID", "Not a time of the years 1 to 9999."));
    }
  };
  if (request.has_updated_from()) time("updated_from", request.updated_from(), query.from);
  if (request.has_updated_until()) time("updated_until", request.updated_until(), query.until);
  if (request.page_size() >= ledger::Store::kMaxPage + 1) {
    result.findings.push_back(
        Wrong("page_size", "LIMIT_EXCEEDED", absl::StrCat("More than ", ledger::Store::kMaxPage)));
  }
  query.limit = request.page_size() == 0 ? kDefaultPage : request.page_size();
  if (!request.page_token().empty()) {
    query.after = FromPageToken(request.page_token());
    if (!query.after) {
      result.findings.push_back(
          Wrong("page_token", "FIELD_INVALID", "Not the next_page_token of an earlier answer."));
    }
  }
  return result;
}

v1::ListExecutionsResponse ToPage(const ledger::Query& query,
                                  const std::vector<ledger::Entry>& entries) {
  v1::ListExecutionsResponse out;
  for (const ledger::Entry& entry : entries) {
    *out.add_executions() = ToExecution(entry.key.request_id, entry.execution);
  }
  // A full page may have been the last; the next one is then empty.
  if (!entries.empty() && entries.size() == query.limit) {
    out.set_next_page_token(PageToken(entries.back()));
  }
  return out;
}

}  // namespace sendstep::plugin
