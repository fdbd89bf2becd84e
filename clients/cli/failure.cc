#include "clients/cli/failure.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "clients/cli/words.h"

namespace sendstep::cli {

const char kExitCodesHelp[] =
    "Exit codes:\n"
    "  0  sent, valid, accepted\n"
    "  1  unexpected failure\n"
    "  2  wrong command line, or something that it names is not there\n"
    "  3  the settings or the email are wrong\n"
    "  4  refused for good\n"
    "  5  not sent to everyone yet: try again later, with the same request id\n"
    "  6  sent to some of the recipients only\n"
    "  7  uncertain: the email may have been sent\n"
    "  8  no sendstep server answers\n";

namespace {

using grpc::StatusCode;

std::string Get(const Failure& failure, const std::string& key) {
  const auto found = failure.details.metadata.find(key);
  return found == failure.details.metadata.end() ? "" : found->second;
}

const char* CodeName(StatusCode code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

ExitCode ExitCodeOf(StatusCode code) {
  switch (code) {
    case StatusCode::OK:
      return ExitCode::kOk;
    case StatusCode::INVALID_ARGUMENT:
      return ExitCode::kInvalidInput;
    case StatusCode::NOT_FOUND:
      return ExitCode::kUsage;
    case StatusCode::FAILED_PRECONDITION:
      return ExitCode::kRefused;
    case StatusCode::UNAVAILABLE:
    case StatusCode::RESOURCE_EXHAUSTED:
    case StatusCode::ABORTED:
    case StatusCode::DEADLINE_EXCEEDED:
      return ExitCode::kTryLater;
    case StatusCode::DATA_LOSS:
      return ExitCode::kUncertain;
    default:
      return ExitCode::kUnexpected;
  }
}

// Codes that gRPC itself makes when a call breaks off midway.
bool BrokeOff(StatusCode code) {
  return code == StatusCode::UNAVAILABLE || code == StatusCode::DEADLINE_EXCEEDED ||
         code == StatusCode::CANCELLED || code == StatusCode::UNKNOWN ||
         code == StatusCode::INTERNAL;
}

std::string ReplyLine(const Failure& failure) {
  std::string line;
  for (const char* key : {"smtp_code", "enhanced_code", "reply"}) {
    const std::string part = Shown(Get(failure, key));
    if (!part.empty()) line += (line.empty() ? "" : " ") + part;
  }
  return line;
}

// "a@x: 550 no; b@x: 451 later" as one line a recipient. A reply may hold "; " too: only one that
// an address and ": " follow ends a recipient.
std::vector<std::string> RecipientLines(const std::string& text) {
  std::vector<std::string> lines;
  size_t start = 0;
  for (size_t at = 0; (at = text.find("; ", at)) != std::string::npos;) {
    const size_t next = at + 2;
    const std::string word = text.substr(next, text.find(' ', next) - next);
    if (word.find('@') != std::string::npos && word.back() == ':') {
      lines.push_back(text.substr(start, at - start));
      start = next;
    }
    at = next;
  }
  lines.push_back(text.substr(start));
  return lines;
}

// The command that tries the same email again.
std::string SameCommand(const std::string& request_id) {
  return "the same command with --request-id " + ShellWord(request_id);
}

// What another try with the same request id comes to, beyond sending what was not sent.
std::string RetryEffect(const std::string& reason) {
  if (reason == "RECIPIENTS_PENDING") return " sends to those who wait, and to nobody twice";
  if (reason == "REQUEST_IN_PROGRESS") return " waits for its end and gets its outcome";
  return "";
}

// `request_id`: empty where the ledger has nothing to do with the call.
std::string RetryLine(const Failure& failure, const std::string& request_id) {
  const std::string retryable = Get(failure, "retryable");
  if (retryable == "uncertain") {
    return request_id.empty() ? "may have been sent; another try may send it twice"
                              : "look first: it may have been sent";
  }
  if (retryable == "false") return "no: the same request fails again";
  if (retryable != "true" && failure.exit_code != ExitCode::kTryLater) return "";
  const std::string when =
      failure.details.retry_after ? "yes, in " + Took(*failure.details.retry_after) : "yes, later";
  if (request_id.empty()) return when;
  return when + ": " + SameCommand(request_id) + RetryEffect(failure.details.reason);
}

// Whether the ledger knows more than the failure says.
bool IsWorthALook(const Failure& failure) {
  const std::string& reason = failure.details.reason;
  return Get(failure, "retryable") == "uncertain" || reason == "RECIPIENTS_PENDING" ||
         reason == "REQUEST_IN_PROGRESS" || reason == "REQUEST_ID_REUSED";
}

// Where "not sent" would be wrong.
std::string Headline(const Failure& failure, const std::string& headline, const Style& style) {
  if (failure.exit_code == ExitCode::kUncertain) return style.Odd("uncertain");
  if (failure.details.reason == "RECIPIENTS_PENDING") return style.Odd("not sent to everyone yet");
  if (failure.details.reason == "REQUEST_IN_PROGRESS") return style.Odd("in progress");
  return style.Bad(headline);
}

std::string FaultLine(const std::string& fault) {
  if (fault == "CONFIG") return "the step's settings or email";
  if (fault == "PROVIDER") return "the mail provider, or the account there";
  if (fault == "NETWORK") return "the network between sendstep and the provider";
  if (fault == "CALLER") return "the caller of sendstep";
  if (fault == "PLUGIN") return "sendstep or its operator";
  return Shown(fault);
}

}  // namespace

std::vector<std::vector<std::string>> WaysOutOfUncertain(const std::string& request_id) {
  const std::string id = ShellWord(request_id);
  return {{"it arrived", "sendstep resolve " + id + " --sent"},
          {"it did not", "sendstep resolve " + id + " --not-sent, then " + SameCommand(request_id)},
          {"send anyway", SameCommand(request_id) + " --resend-on-uncertain"}};
}

Failure FromStatus(const grpc::Status& status, Sends sends) {
  Failure failure{status.error_code(),
                  status.error_message(),
                  {},
                  ExitCode::kUnexpected,
                  sends == Sends::kOnce};
  if (std::optional<plugin::Details> details = plugin::ParseDetails(status)) {
    failure.details = *std::move(details);
    failure.exit_code = ExitCodeOf(failure.code);
  } else if (sends != Sends::kNo && BrokeOff(failure.code)) {
    failure.exit_code = ExitCode::kUncertain;
    failure.message = "the call broke off before sendstep answered (" + failure.message + ")";
    failure.details.metadata = {{"retryable", "uncertain"}};
  } else if (failure.code == StatusCode::UNAVAILABLE) {
    failure.exit_code = ExitCode::kUnreachable;
  } else {
    failure.exit_code = ExitCodeOf(failure.code);
  }
  return failure;
}

Failure FromAnswer(const v1::Failure& answer) {
  Failure failure;
  failure.message = answer.message();
  auto& metadata = failure.details.metadata;
  const auto set = [&](const char* key, std::string value) {
    if (!value.empty()) metadata[key] = std::move(value);
  };
  failure.details.reason = Word(answer.reason());
  set("fault", Word(answer.fault()));
  set("phase", LowerWord(answer.stage()));
  set("retryable", LowerWord(answer.retryable()));
  set("what_to_do", answer.what_to_do());
  set("message_id", answer.message_id());
  if (answer.has_reply()) {
    set("smtp_code", std::to_string(answer.reply().code()));
    set("enhanced_code", answer.reply().enhanced_code());
    set("reply", answer.reply().text());
  }
  if (answer.has_retry_after()) {
    failure.details.retry_after = std::chrono::milliseconds(
        google::protobuf::util::TimeUtil::DurationToMilliseconds(answer.retry_after()));
  }
  if (!answer.doc_url().empty()) failure.details.links.push_back({"", answer.doc_url()});
  switch (answer.retryable()) {
    case v1::RETRYABLE_TRUE:
      failure.code = StatusCode::UNAVAILABLE;
      break;
    case v1::RETRYABLE_UNCERTAIN:
      failure.code = StatusCode::DATA_LOSS;
      break;
    default:
      // As send does: the size is the caller's own to change.
      failure.code = answer.reason() == v1::REASON_MESSAGE_TOO_LARGE
                         ? StatusCode::INVALID_ARGUMENT
                         : StatusCode::FAILED_PRECONDITION;
  }
  failure.exit_code = ExitCodeOf(failure.code);
  return failure;
}

Failure Unreachable(const std::string& address) {
  Failure failure{StatusCode::UNAVAILABLE,
                  "no sendstep server answers at " + address,
                  {},
                  ExitCode::kUnreachable};
  failure.details.metadata = {
      {"what_to_do", "Start one there with sendstepd, or name another with --server."}};
  return failure;
}

Failure FromInput(const absl::Status& status) {
  const bool content = absl::IsInvalidArgument(status);
  return {StatusCode::INVALID_ARGUMENT,
          std::string(status.message()),
          {},
          content ? ExitCode::kInvalidInput : ExitCode::kUsage};
}

std::string ExplainFurther(const Failure& failure, const std::string& said,
                           const std::string& request_id) {
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const char* name, std::string value) {
    if (!value.empty()) rows.push_back({name, std::move(value)});
  };
  for (const auto& violation : failure.details.violations) {
    const std::string field = violation.field + (violation.field.empty() ? "" : ": ");
    row("field", Shown(field + violation.description));
  }
  row("server said", ReplyLine(failure));
  const char* name = "recipients";
  for (const std::string& recipient : RecipientLines(Get(failure, "recipients"))) {
    row(std::exchange(name, ""), Shown(recipient));
  }
  row("reason", Shown(failure.details.reason));
  row("stage", Shown(Get(failure, "phase")));
  row("fault", FaultLine(Get(failure, "fault")));
  const std::string what_to_do = Get(failure, "what_to_do");
  if (said.find(what_to_do) == std::string::npos) row("what to do", Shown(what_to_do));
  const std::string key = failure.in_ledger ? request_id : "";
  row("try again", RetryLine(failure, key));
  if (!key.empty() && IsWorthALook(failure)) row("look", "sendstep get " + ShellWord(key));
  if (!key.empty() && failure.details.reason == "DELIVERY_UNCERTAIN") {
    for (const auto& way : WaysOutOfUncertain(key)) rows.push_back(way);
  }
  row("message id", Shown(Get(failure, "message_id")));
  row("request id", Shown(request_id));
  for (const auto& link : failure.details.links) {
    row("see", Shown(link.url + (link.description.empty() ? "" : "  " + link.description)));
  }
  return Table(rows, "  ");
}

std::string Explain(const Failure& failure, const std::string& headline, const Style& style,
                    const std::string& request_id) {
  return Headline(failure, headline, style) + ": " + Shown(failure.message) + "\n" +
         ExplainFurther(failure, failure.message, request_id);
}

std::string ToJson(const Failure& failure, const std::string& request_id) {
  nlohmann::ordered_json json = {{"code", CodeName(failure.code)}, {"message", failure.message}};
  if (!request_id.empty()) json["requestId"] = request_id;
  const plugin::Details& details = failure.details;
  if (!details.reason.empty()) json["reason"] = details.reason;
  if (!details.metadata.empty()) json["metadata"] = details.metadata;
  for (const auto& v : details.violations) {
    json["violations"].push_back(
        {{"field", v.field}, {"description", v.description}, {"reason", v.reason}});
  }
  if (details.retry_after) {
    json["retryAfter"] = google::protobuf::util::TimeUtil::ToString(
        google::protobuf::util::TimeUtil::MillisecondsToDuration(details.retry_after->count()));
  }
  for (const auto& link : details.links) {
    json["links"].push_back({{"description", link.description}, {"url", link.url}});
  }
  json["exitCode"] = static_cast<int>(failure.exit_code);
  return json.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace sendstep::cli
