// sendstep get, resolve and list: what the ledger knows of request ids.
#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>

#include "absl/strings/ascii.h"
#include "clients/cli/commands.h"
#include "clients/cli/render.h"
#include "clients/cli/time_flag.h"

namespace sendstep::cli {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

constexpr uint32_t kMaxPage = 1000;     // the contract's
constexpr uint32_t kMaxListed = 10000;  // they are all held in memory

struct ListOptions {
  std::string state;
  std::string since;
  std::string until;
  uint32_t limit = 100;
};

struct ResolveOptions {
  std::string request_id;
  bool sent = false;
  bool not_sent = false;
};

// What `send` would have exited with.
ExitCode CodeOf(const v1::Execution& execution) {
  const auto& all = execution.recipients();
  switch (execution.state()) {
    case v1::EXECUTION_STATE_SENT: {
      const bool rejected = std::any_of(all.begin(), all.end(), [](const auto& recipient) {
        return recipient.status() != v1::RECIPIENT_STATUS_ACCEPTED;
      });
      return rejected ? ExitCode::kPartiallySent : ExitCode::kOk;
    }
    case v1::EXECUTION_STATE_RESERVED:
    case v1::EXECUTION_STATE_COMMITTING:
    case v1::EXECUTION_STATE_PENDING:
    case v1::EXECUTION_STATE_FAILED:
      return ExitCode::kTryLater;
    case v1::EXECUTION_STATE_UNCERTAIN:
      return ExitCode::kUncertain;
    default:
      return ExitCode::kUnexpected;
  }
}

// gRPC would break the call off without a word of why.
bool IsText(const std::string& request_id, const std::string& headline, Session& session) {
  if (IsUtf8(request_id)) return true;
  session.Report(FromInput(absl::InvalidArgumentError("request_id is not UTF-8 text")), headline);
  return false;
}

void Get(const std::string& request_id, Session& session) {
  const std::string headline = "nothing known";
  if (!IsText(request_id, headline, session)) return;
  v1::GetExecutionRequest request;
  request.set_request_id(request_id);
  v1::GetExecutionResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::GetExecution, request, &answer, headline, Sends::kNo,
                    request_id)) {
    return;
  }
  session.Answer(
      answer, [&] { return RenderExecution(answer.execution(), session.style()); },
      CodeOf(answer.execution()));
}

void Resolve(const ResolveOptions& options, Session& session) {
  const std::string headline = "not resolved";
  if (!IsText(options.request_id, headline, session)) return;
  v1::ResolveExecutionRequest request;
  request.set_request_id(options.request_id);
  request.set_resolution(options.sent ? v1::RESOLUTION_SENT : v1::RESOLUTION_NOT_SENT);
  v1::ResolveExecutionResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::ResolveExecution, request, &answer, headline,
                    Sends::kNo, options.request_id)) {
    return;
  }
  session.Answer(
      answer, [&] { return RenderExecution(answer.execution(), session.style()); }, ExitCode::kOk);
}

// Reads pages until there are `limit` executions or no more. next_page_token of `all` is then the
// last page's.
bool ReadPages(v1::ListExecutionsRequest request, uint32_t limit, Session& session,
               v1::ListExecutionsResponse& all) {
  const auto read = [&](Client& client) {
    for (;;) {
      const auto have = static_cast<uint32_t>(all.executions_size());
      request.set_page_size(std::min(kMaxPage, limit - have));
      v1::ListExecutionsResponse page;
      const grpc::Status status =
          client.Call(&v1::EmailAction::Stub::ListExecutions, request, &page);
      if (!status.ok()) return status;
      all.mutable_executions()->MergeFrom(page.executions());
      all.set_next_page_token(page.next_page_token());
      if (page.next_page_token().empty()) return status;
      if (static_cast<uint32_t>(all.executions_size()) >= limit) return status;
      request.set_page_token(page.next_page_token());
    }
  };
  return session.Run(read, "no list");
}

void List(const ListOptions& options, Session& session) {
  const Timestamp now = TimeUtil::GetCurrentTime();
  v1::ListExecutionsRequest request;
  v1::ExecutionState state = v1::EXECUTION_STATE_UNSPECIFIED;
  v1::ExecutionState_Parse("EXECUTION_STATE_" + absl::AsciiStrToUpper(options.state), &state);
  request.set_state(state);
  // The parser has checked both.
  if (!options.since.empty()) *request.mutable_updated_from() = *ParseTime(options.since, now);
  if (!options.until.empty()) *request.mutable_updated_until() = *ParseTime(options.until, now);
  v1::ListExecutionsResponse answer;
  if (!ReadPages(std::move(request), options.limit, session, answer)) return;
  Environment& environment = session.environment();
  if (answer.executions().empty() && !session.options().json) {
    environment.err << "none\n";
    return;
  }
  session.Answer(
      answer, [&] { return RenderExecutions(answer); }, ExitCode::kOk);
  if (!answer.next_page_token().empty() && !session.options().json) {
    environment.err << "there are more: see --limit and --since\n";
  }
}

void AddRequestId(CLI::App& verb, std::string& request_id) {
  verb.add_option("request_id", request_id, "Key of the email, as send printed it")
      ->type_name("REQUEST_ID")
      ->required();
}

void AddTime(CLI::App& verb, const char* name, std::string& value, const char* help) {
  verb.add_option(name, value, help)->type_name("TIME")->check([](const std::string& text) {
    const absl::StatusOr<Timestamp> time = ParseTime(text, TimeUtil::GetCurrentTime());
    return time.ok() ? "" : std::string(time.status().message());
  });
}

}  // namespace

void AddGet(CLI::App& app, Session& session) {
  auto request_id = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("get", "Show what became of an email; exits as its send");
  AddRequestId(*verb, *request_id);
  verb->callback([request_id, &session] { Get(*request_id, session); });
}

void AddResolve(CLI::App& app, Session& session) {
  auto options = std::make_shared<ResolveOptions>();
  CLI::App* verb = app.add_subcommand("resolve", "Say what became of an email that is uncertain");
  AddRequestId(*verb, options->request_id);
  auto* group = verb->add_option_group("Resolution", "Exactly one");
  group->add_flag("--sent", options->sent, "It arrived, and is not sent again");
  group->add_flag("--not-sent", options->not_sent, "It did not arrive, and the next send sends it");
  group->require_option(1);
  verb->callback([options, &session] { Resolve(*options, session); });
}

void AddList(CLI::App& app, Session& session) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* verb = app.add_subcommand("list", "One line per email, by last change, oldest first");
  verb->add_option("--state", options->state, "Only those in this state")
      ->type_name("NAME")
      ->check(CLI::IsMember({"reserved", "committing", "sent", "pending", "failed", "uncertain"},
                            CLI::ignore_case));
  AddTime(*verb, "--since", options->since,
          "Changed at or after: 2026-05-01T09:00:00Z, or an age such as 2h or 7d");
  AddTime(*verb, "--until", options->until, "Changed before");
  verb->add_option("--limit", options->limit, "How many at most, 1 to 10000")
      ->type_name("N")
      ->check(CLI::Range(1u, kMaxListed))
      ->capture_default_str();
  verb->callback([options, &session] { List(*options, session); });
}

}  // namespace sendstep::cli
