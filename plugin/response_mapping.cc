#include "plugin/response_mapping.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "plugin/status_details.h"
#include "transport/base/utf8.h"

namespace sendstep::plugin {
namespace {

using google::protobuf::util::TimeUtil;
using providers::Finding;
using providers::Severity;

// Kept short enough that all details fit a trailer (4 kB).
constexpr size_t kMaxRecipientsInStatus = 1024;
constexpr std::chrono::seconds kSimpleRetry{1};
constexpr std::string_view kTooLarge = "MESSAGE_TOO_LARGE";

bool IsServerState(const std::string& reason) {
  static constexpr std::array<std::string_view, 6> kReasons = {
      "RELAY_UNKNOWN", "NO_DEFAULT_RELAY",   "SENDER_NOT_ALLOWED",
      "SANDBOX_OFF",   "SECRET_UNAVAILABLE", "REQUEST_ID_REUSED"};
  return std::ranges::find(kReasons, reason) != kReasons.end();
}

providers::Fault FaultOfFinding(const Finding& finding) {
  if (finding.field == "request_id" || finding.field.starts_with("context.")) {
    return providers::Fault::kCaller;
  }
  const bool operators = finding.reason == "NO_DEFAULT_RELAY" ||
                         finding.reason == "SECRET_UNAVAILABLE" ||
                         finding.reason == "SANDBOX_OFF" ||
                         (finding.field == "config.relay" && finding.reason != "RELAY_UNKNOWN");
  return operators ? providers::Fault::kPlugin : providers::Fault::kConfig;
}

std::string FaultName(providers::Fault fault) {
  return v1::Fault_Name(FaultOf(fault)).substr(std::string_view("FAULT_").size());
}

std::string RetryableName(providers::Retryable retryable) {
  switch (retryable) {
    case providers::Retryable::kTrue:
      return "true";
    case providers::Retryable::kFalse:
      return "false";
    case providers::Retryable::kUncertain:
      return "uncertain";
  }
  return "false";
}

v1::Retryable RetryableOf(providers::Retryable retryable) {
  switch (retryable) {
    case providers::Retryable::kTrue:
      return v1::RETRYABLE_TRUE;
    case providers::Retryable::kFalse:
      return v1::RETRYABLE_FALSE;
    case providers::Retryable::kUncertain:
      return v1::RETRYABLE_UNCERTAIN;
  }
  return v1::RETRYABLE_UNSPECIFIED;
}

// The request itself is wrong.
bool IsBadRequest(const base::Error& error, const providers::Explained& explained) {
  const bool refused_here =
      error.stage == base::Stage::kConfig && error.error_class == base::ErrorClass::kPermanent;
  return refused_here || explained.reason == kTooLarge;
}

grpc::StatusCode CodeOf(const base::Error& error, const providers::Explained& explained) {
  if (error.error_class == base::ErrorClass::kUncertain) return grpc::StatusCode::DATA_LOSS;
  if (error.cause == base::Cause::kCancelled) return grpc::StatusCode::CANCELLED;
  if (IsBadRequest(error, explained)) return grpc::StatusCode::INVALID_ARGUMENT;
  if (explained.retryable != providers::Retryable::kTrue)
    return grpc::StatusCode::FAILED_PRECONDITION;
  if (explained.reason == "QUOTA_EXCEEDED" || explained.reason == "RATE_LIMITED" ||
      explained.reason == "HELD_BACK") {
    return grpc::StatusCode::RESOURCE_EXHAUSTED;
  }
  return grpc::StatusCode::UNAVAILABLE;
}

v1::TlsInfo ToTlsInfo(const smtp::TlsInfo& info) {
  v1::TlsInfo out;
  out.set_version(info.version);
  out.set_cipher(info.cipher);
  out.set_subject(info.subject);
  *out.mutable_expires_at() =
      TimeUtil::SecondsToTimestamp(std::chrono::system_clock::to_time_t(info.not_after));
  return out;
}

std::string ReplyLine(const base::Reply& reply) {
  return absl::StrCat(reply.code, reply.enhanced_code.empty() ? "" : " ", reply.enhanced_code, " ",
                      reply.Text(200));
}

std::string RecipientsLine(const base::Error& error, const std::vector<std::string>& names) {
  std::string line;
  for (const base::RecipientOutcome& outcome : error.recipients) {
    if (outcome.index >= names.size()) continue;
    absl::StrAppend(&line, line.empty() ? "" : "; ", names[outcome.index], ": ",
                    outcome.reply.code == 0 ? "has the email" : ReplyLine(outcome.reply));
    if (line.size() > kMaxRecipientsInStatus)
      return std::string(base::Cut(line, kMaxRecipientsInStatus)) + " ...";
  }
  return line;
}

v1::Check ToCheck(const Timeline::Entry& entry, const Timeline& timeline) {
  v1::Check check;
  check.set_stage(StageOf(entry.stage));
  check.set_status(entry.status == Timeline::Status::kFail ? v1::CHECK_STATUS_FAIL
                                                           : v1::CHECK_STATUS_PASS);
  if (entry.reply) *check.mutable_reply() = ToReply(*entry.reply);
  check.set_detail(entry.detail);
  *check.mutable_took() = TimeUtil::NanosecondsToDuration(
      std::chrono::duration_cast<std::chrono::nanoseconds>(entry.took).count());
  if (entry.stage == base::Stage::kTls && timeline.tls()) {
    *check.mutable_tls() = ToTlsInfo(*timeline.tls());
  }
  return check;
}

}  // namespace

v1::SmtpReply ToReply(const base::Reply& reply) {
  v1::SmtpReply out;
  out.set_code(static_cast<uint32_t>(reply.code));
  out.set_enhanced_code(reply.enhanced_code);
  out.set_text(reply.Text());
  return out;
}

v1::RecipientResult ToRecipient(const base::RecipientOutcome& outcome,
                                const std::vector<std::string>& recipient_names) {
  v1::RecipientResult out;
  out.set_index(static_cast<uint32_t>(outcome.index));
  if (outcome.index < recipient_names.size()) out.set_email(recipient_names[outcome.index]);
  out.set_status(outcome.accepted            ? v1::RECIPIENT_STATUS_ACCEPTED
                 : outcome.reply.Transient() ? v1::RECIPIENT_STATUS_DEFERRED
                                             : v1::RECIPIENT_STATUS_REJECTED);
  if (outcome.reply.code != 0) *out.mutable_reply() = ToReply(outcome.reply);
  return out;
}

v1::Reason ReasonOf(const std::string& name) {
  v1::Reason reason = v1::REASON_UNSPECIFIED;
  v1::Reason_Parse(absl::StrCat("REASON_", name), &reason);
  return reason;
}

v1::Stage StageOf(base::Stage stage) {
  switch (stage) {
    case base::Stage::kConfig:
      return v1::STAGE_CONFIG;
    case base::Stage::kDns:
      return v1::STAGE_DNS;
    case base::Stage::kTcp:
      return v1::STAGE_TCP;
    case base::Stage::kTls:
      return v1::STAGE_TLS;
    case base::Stage::kEhlo:
      return v1::STAGE_EHLO;
    case base::Stage::kAuth:
      return v1::STAGE_AUTH;
    case base::Stage::kMailFrom:
      return v1::STAGE_MAIL_FROM;
    case base::Stage::kRcptTo:
      return v1::STAGE_RCPT_TO;
    case base::Stage::kData:
      return v1::STAGE_DATA;
  }
  return v1::STAGE_UNSPECIFIED;
}

v1::Fault FaultOf(providers::Fault fault) {
  switch (fault) {
    case providers::Fault::kConfig:
      return v1::FAULT_CONFIG;
    case providers::Fault::kProvider:
      return v1::FAULT_PROVIDER;
    case providers::Fault::kNetwork:
      return v1::FAULT_NETWORK;
    case providers::Fault::kCaller:
      return v1::FAULT_CALLER;
    case providers::Fault::kPlugin:
      return v1::FAULT_PLUGIN;
  }
  return v1::FAULT_UNSPECIFIED;
}

grpc::Status FindingsStatus(const std::vector<Finding>& findings) {
  Details details;
  std::string message;
  bool server_state = false;
  for (const Finding& finding : findings) {
    if (finding.severity != Severity::kError) continue;
    const std::string sentence =
        finding.hint.empty() ? finding.message : absl::StrCat(finding.message, " ", finding.hint);
    if (details.reason.empty()) {
      details.reason = finding.reason;
      details.metadata = {
          {"fault", FaultName(FaultOfFinding(finding))},
          {"retryable", "false"},
          {"phase", "config"},
          {"what_to_do", finding.hint.empty() ? "Correct the field." : finding.hint}};
      message = absl::StrCat(finding.field, ": ", finding.message);
      server_state = IsServerState(finding.reason);
      if (!finding.doc_url.empty())
        details.links.push_back({"Provider's documentation", finding.doc_url});
    }
    details.violations.push_back({finding.field, sentence, finding.reason});
  }
  if (details.violations.size() > 1) {
    absl::StrAppend(&message, " (and ", details.violations.size() - 1, " more)");
  }
  return MakeStatus(
      server_state ? grpc::StatusCode::FAILED_PRECONDITION : grpc::StatusCode::INVALID_ARGUMENT,
      message, details);
}

grpc::Status ErrorStatus(const base::Error& error, const providers::Explained& explained,
                         const std::vector<std::string>& recipient_names,
                         const std::string& message_id) {
  Details details;
  details.reason = explained.reason;
  details.metadata = {{"fault", FaultName(explained.fault)},
                      {"retryable", RetryableName(explained.retryable)},
                      {"phase", std::string(base::StageName(error.stage))},
                      {"what_to_do", explained.what_to_do}};
  if (!message_id.empty()) details.metadata["message_id"] = message_id;
  if (error.reply) {
    details.metadata["smtp_code"] = std::to_string(error.reply->code);
    if (!error.reply->enhanced_code.empty()) {
      details.metadata["enhanced_code"] = error.reply->enhanced_code;
    }
    details.metadata["reply"] = error.reply->Text();
  }
  if (std::string line = RecipientsLine(error, recipient_names); !line.empty()) {
    details.metadata["recipients"] = std::move(line);
  }
  if (IsBadRequest(error, explained)) {
    details.violations.push_back({"email", explained.message, explained.reason});
  }
  if (explained.retryable == providers::Retryable::kTrue)
    details.retry_after = explained.retry_after;
  if (!explained.doc_url.empty())
    details.links.push_back({"Provider's documentation", explained.doc_url});
  return MakeStatus(CodeOf(error, explained),
                    absl::StrCat(explained.message, " ", explained.what_to_do), details);
}

grpc::Status SimpleStatus(grpc::StatusCode code, const std::string& reason, providers::Fault fault,
                          const std::string& retryable, const std::string& message,
                          const std::string& what_to_do) {
  Details details;
  details.reason = reason;
  details.metadata = {{"fault", FaultName(fault)},
                      {"retryable", retryable},
                      {"phase", std::string(base::StageName(base::Stage::kConfig))},
                      {"what_to_do", what_to_do}};
  if (retryable == "true") details.retry_after = kSimpleRetry;
  return MakeStatus(code, absl::StrCat(message, " ", what_to_do), details);
}

grpc::Status OverloadedStatus(const std::string& message) {
  Details details;
  details.reason = "OVERLOADED";
  details.metadata = {
      {"fault", FaultName(providers::Fault::kPlugin)},
      {"retryable", "true"},
      {"what_to_do", "Try again in a moment, more slowly; the operator may raise the limit."}};
  details.retry_after = kSimpleRetry;
  return MakeStatus(grpc::StatusCode::RESOURCE_EXHAUSTED,
                    absl::StrCat(message, " ", details.metadata["what_to_do"]), details);
}

v1::ExecuteResponse SentResponse(const SendCommand& command, const Delivered& delivered,
                                 v1::Dedupe dedupe, const std::vector<Finding>& findings) {
  v1::ExecuteResponse out;
  const bool all = std::ranges::all_of(delivered.recipients, &base::RecipientOutcome::accepted);
  out.set_outcome(all ? v1::OUTCOME_SENT : v1::OUTCOME_PARTIALLY_SENT);
  out.set_request_id(command.request_id);
  out.set_dedupe(dedupe);
  out.set_message_id(delivered.message_id);
  out.set_provider_message_id(delivered.provider_message_id);
  out.mutable_from_used()->set_email(command.message.from.address.Spec());
  out.mutable_from_used()->set_name(command.message.from.name);
  for (const base::RecipientOutcome& outcome : delivered.recipients) {
    *out.add_recipients() = ToRecipient(outcome, command.recipient_names);
  }
  if (delivered.final_reply.code != 0) *out.mutable_final_reply() = ToReply(delivered.final_reply);
  out.set_size_bytes(delivered.message_bytes);
  *out.mutable_accepted_at() =
      TimeUtil::MillisecondsToTimestamp(std::chrono::duration_cast<std::chrono::milliseconds>(
                                            delivered.accepted_at.time_since_epoch())
                                            .count());
  if (delivered.tls) *out.mutable_tls() = ToTlsInfo(*delivered.tls);
  for (const Finding& finding : findings) *out.add_warnings() = ToDiagnostic(finding);
  return out;
}

v1::Failure ToFailure(const base::Error& error, const providers::Explained& explained,
                      const std::vector<std::string>& recipient_names,
                      const std::string& message_id) {
  v1::Failure out;
  out.set_reason(ReasonOf(explained.reason));
  out.set_fault(FaultOf(explained.fault));
  out.set_stage(StageOf(error.stage));
  out.set_retryable(RetryableOf(explained.retryable));
  if (explained.retryable == providers::Retryable::kTrue) {
    *out.mutable_retry_after() = TimeUtil::MillisecondsToDuration(explained.retry_after.count());
  }
  if (error.reply) *out.mutable_reply() = ToReply(*error.reply);
  out.set_message(explained.message);
  out.set_what_to_do(explained.what_to_do);
  out.set_doc_url(explained.doc_url);
  out.set_message_id(message_id);
  for (const base::RecipientOutcome& outcome : error.recipients) {
    v1::RecipientResult& result = *(out.add_recipients()) = ToRecipient(outcome, recipient_names);
    // Nobody has the message for certain, whatever was said of the recipient.
    if (outcome.accepted) {
      result.set_status(error.error_class == base::ErrorClass::kUncertain
                            ? v1::RECIPIENT_STATUS_UNCERTAIN
                            : v1::RECIPIENT_STATUS_OPEN);
    }
  }
  return out;
}

v1::Diagnostic ToDiagnostic(const Finding& finding) {
  v1::Diagnostic out;
  out.set_severity(finding.severity == Severity::kError ? v1::SEVERITY_ERROR
                                                        : v1::SEVERITY_WARNING);
  out.set_field(finding.field);
  out.set_reason(ReasonOf(finding.reason));
  out.set_message(finding.message);
  out.set_hint(finding.hint);
  out.set_doc_url(finding.doc_url);
  out.set_fault(FaultOf(FaultOfFinding(finding)));
  return out;
}

void AddChecks(const Timeline& timeline, base::Stage last, bool with_tls,
               google::protobuf::RepeatedPtrField<v1::Check>& out) {
  static constexpr base::Stage kStages[] = {
      base::Stage::kConfig,   base::Stage::kDns,    base::Stage::kTcp,
      base::Stage::kTls,      base::Stage::kEhlo,   base::Stage::kAuth,
      base::Stage::kMailFrom, base::Stage::kRcptTo, base::Stage::kData};
  for (const base::Stage stage : kStages) {
    const auto entry = std::ranges::find(timeline.entries(), stage, &Timeline::Entry::stage);
    if (entry != timeline.entries().end()) {
      *out.Add() = ToCheck(*entry, timeline);
      continue;
    }
    const bool expected =
        stage != base::Stage::kConfig && stage <= last && (stage != base::Stage::kTls || with_tls);
    if (!expected) continue;
    v1::Check& check = *out.Add();
    check.set_stage(StageOf(stage));
    check.set_status(v1::CHECK_STATUS_SKIPPED);
  }
}

void AddRecipients(const smtp::DeliveryReport& report,
                   google::protobuf::RepeatedPtrField<v1::Check>& checks) {
  const auto check = std::ranges::find(checks, v1::STAGE_RCPT_TO, &v1::Check::stage);
  if (check == checks.end() || report.recipients.empty()) return;
  const auto refused =
      std::ranges::find(report.recipients, false, &base::RecipientOutcome::accepted);
  const bool all = refused == report.recipients.end();
  const auto good = std::ranges::count(report.recipients, true, &base::RecipientOutcome::accepted);
  check->set_detail(
      absl::StrCat(good, " of ", report.recipients.size(), " recipients not refused"));
  if (!all) check->set_status(v1::CHECK_STATUS_WARN);
  *check->mutable_reply() = ToReply(all ? report.recipients.back().reply : refused->reply);
}

void AddRefusedRecipients(const smtp::DeliveryReport& report,
                          const std::vector<std::string>& recipient_names,
                          google::protobuf::RepeatedPtrField<v1::Diagnostic>& out) {
  for (const base::RecipientOutcome& outcome : report.recipients) {
    if (outcome.accepted || outcome.index >= recipient_names.size()) continue;
    v1::Diagnostic& diagnostic = *out.Add();
    diagnostic.set_severity(v1::SEVERITY_WARNING);
    diagnostic.set_field("email");
    diagnostic.set_reason(v1::REASON_RECIPIENTS_REFUSED);
    diagnostic.set_message(
        absl::StrCat(recipient_names[outcome.index], " is refused: ", ReplyLine(outcome.reply)));
    diagnostic.set_hint("Check the recipient's address; the others would get the email.");
    diagnostic.set_fault(v1::FAULT_CONFIG);
  }
}

}  // namespace sendstep::plugin
