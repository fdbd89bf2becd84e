#include "plugin/email_service.h"

#include <grpc/support/time.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/account.h"
#include "plugin/deliverability.h"
#include "plugin/deliverability_mapping.h"
#include "plugin/describe.h"
#include "plugin/execution_mapping.h"
#include "plugin/executions.h"
#include "plugin/fingerprint.h"
#include "plugin/ledger/clock.h"
#include "plugin/limits.h"
#include "plugin/logging.h"
#include "plugin/message_id.h"
#include "plugin/request_mapping.h"
#include "plugin/response_mapping.h"
#include "plugin/rpc_call.h"
#include "plugin/send_email.h"
#include "plugin/status_details.h"
#include "plugin/timeline.h"
#include "plugin/units.h"
#include "plugin/with_server.h"
#include "transport/dns/submission.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
using providers::Finding;

constexpr std::string_view kTest = "test";  // as kExecute

AccountCatalog CatalogOf(const Dependencies& deps, Discovery discovery = {}) {
  return {deps.registry, deps.relays, deps.sandbox,        deps.ehlo_name,
          deps.limits,   deps.tokens, std::move(discovery)};
}

// Asks DNS where the settings want that; else neither server nor error.
asio::awaitable<Discovery> Discover(const Dependencies& deps, const v1::Config& config,
                                    base::Deadline deadline) {
  Discovery discovery;
  const auto need = NeedsDiscovery(config, CatalogOf(deps));
  if (!need) co_return discovery;
  const dns::SubmissionQuestion question{need->domain, need->implicit_tls, need->starttls};
  const base::Deadline limit = deadline.Within(smtp::StageTimeouts().dns);
  const auto found = co_await dns::FindSubmission(*deps.lookup, question, limit);
  if (!found) {
    discovery.error = found.error();
    co_return discovery;
  }
  const dns::SubmissionServer& first = found->front();
  discovery.server = {first.host, first.port,
                      first.implicit_tls ? smtp::TlsPolicy::kImplicit : smtp::TlsPolicy::kStartTls};
  co_return discovery;
}

// When the work must have ended so that the answer still reaches the caller.
base::Deadline WorkDeadline(const grpc::CallbackServerContext& context) {
  using std::chrono::milliseconds;
  const gpr_timespec given = context.raw_deadline();
  if (gpr_time_cmp(given, gpr_inf_future(given.clock_type)) == 0) {
    return base::Deadline::After(kDefaultDeadline);
  }
  // In gRPC's own time: context.deadline() overflows where a caller allows centuries. Saturates.
  const milliseconds allowed(gpr_time_to_millis(gpr_time_sub(given, gpr_now(given.clock_type))));
  const milliseconds left = std::min<milliseconds>(allowed, kMaxDeadline);
  const milliseconds margin = std::max(kMinAnswerMargin, left * kAnswerMarginPercent / 100);
  return base::Deadline::After(left - margin);
}

// One request in the metrics and in the log: counted from its start, told once at its end.
class RequestRecord {
 public:
  RequestRecord(std::string method, const v1::Context& context, const std::string& request_id,
                Metrics* metrics)
      : method_(std::move(method)), metrics_(metrics) {
    metrics_->RequestStarted(method_);
    Add("method", method_);
    AddGiven("request_id", request_id);
    AddGiven("workflow_id", context.workflow_id());
    AddGiven("run_id", context.run_id());
    AddGiven("step_id", context.step_id());
    if (context.attempt() != 0) Add("attempt", context.attempt());
  }
  RequestRecord(const RequestRecord&) = delete;
  RequestRecord& operator=(const RequestRecord&) = delete;

  ~RequestRecord() {
    const auto took = base::Clock::now() - start_;
    metrics_->RequestFinished(method_, outcome_, reason_);
    metrics_->RequestTook(method_, took);
    Add("outcome", outcome_);
    AddGiven("reason", reason_);
    Add("took_ms", std::chrono::duration<double, std::milli>(took).count());
    Log(outcome_ == "uncertain" ? Level::kError : Level::kInfo, "request", fields_);
  }

  template <class T>
  void Add(std::string_view key, T value) {
    fields_.emplace_back(key, value);
  }
  void AddAccount(const Account& account) {
    if (account.resolved.profile != nullptr) Add("provider", account.resolved.profile->id());
    AddGiven("relay", account.relay);
    AddGiven("host", account.resolved.settings.host);
    Add("port", account.resolved.settings.port);
  }
  void Refused(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      if (finding.severity != providers::Severity::kError) continue;
      Add("field", finding.field);
      return Refused(finding.reason);
    }
  }
  void Refused(std::string reason) {
    outcome_ = "refused";
    reason_ = std::move(reason);
  }
  void Failed(const base::Error& error, const providers::Explained& explained) {
    outcome_ = error.error_class == base::ErrorClass::kUncertain ? "uncertain"
               : error.cause == base::Cause::kCancelled          ? "cancelled"
                                                                 : "failed";
    reason_ = explained.reason;
    AddError(error);
  }
  void AddError(const base::Error& error) {
    Add("stage", base::StageName(error.stage));
    AddGiven("detail", error.detail);
    if (!error.reply) return;
    Add("smtp_code", error.reply->code);
    AddGiven("enhanced_code", error.reply->enhanced_code);
  }
  // A status that is not OK.
  void Failed(const grpc::Status& status) {
    outcome_ = status.error_code() == grpc::StatusCode::DATA_LOSS   ? "uncertain"
               : status.error_code() == grpc::StatusCode::CANCELLED ? "cancelled"
                                                                    : "failed";
    if (const auto details = ParseDetails(status)) reason_ = details->reason;
  }
  void Done(std::string outcome) { outcome_ = std::move(outcome); }

 private:
  void AddGiven(std::string_view key, const std::string& value) {
    if (!value.empty()) Add(key, value);
  }

  std::string method_;
  Metrics* metrics_;
  base::Clock::time_point start_ = base::Clock::now();
  std::string outcome_ = "failed";
  std::string reason_ = "";
  std::vector<Field> fields_;
};

grpc::Status InternalError(std::exception_ptr exception) {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const std::exception& e) {
    Log(Level::kError, "internal_error", {{"what", e.what()}});
  } catch (...) {
    Log(Level::kError, "internal_error", {});
  }
  return SimpleStatus(grpc::StatusCode::INTERNAL, "INTERNAL", providers::Fault::kPlugin,
                      "uncertain", "sendstep failed.",
                      "The operator finds the reason in the server's log.");
}

// The server stopped while the call had not sent anything yet.
bool BrokenByStop(const base::Error& error) {
  return error.cause == base::Cause::kStopped && error.error_class != base::ErrorClass::kUncertain;
}

grpc::Status TooLate() {
  return SimpleStatus(grpc::StatusCode::UNAVAILABLE, "DEADLINE_TOO_SHORT",
                      providers::Fault::kCaller, "true",
                      "The deadline leaves no time to send an email; nothing was sent.",
                      "Give the call 30 seconds or more.");
}

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, grpc::Status status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(std::move(status));
  return reactor;
}

// A send that the ledger has nothing to do with.
struct Sending {
  std::string message_id;
  Timeline timeline;
  base::Result<SentEmail> result;
};

asio::awaitable<void> Send(const Dependencies& deps, const SendCommand& command,
                           std::string_view space, base::Deadline deadline, RequestRecord& record,
                           Sending& sending) {
  co_await asio::this_coro::throw_if_cancelled(false);
  record.AddAccount(command.account);
  record.Add("recipients", command.envelope.recipients.size());
  sending.message_id = MakeMessageId(deps.digest, space, kTenant, command.request_id,
                                     command.message.from.address.domain());
  record.Add("message_id", sending.message_id);
  smtp::SendOptions options{command.all_or_nothing, nullptr};
  options.own_connection = space == kTest;  // a test shows the whole way
  sending.result = co_await SendEmail(command, command.envelope, options, sending.message_id,
                                      deadline, *deps.mailer, sending.timeline);
  if (!sending.result) co_return;
  const smtp::DeliveryReport& report = sending.result->report;
  deps.metrics->BytesSent(report.message_bytes);
  const bool all = std::ranges::all_of(report.recipients, &base::RecipientOutcome::accepted);
  record.Done(all ? "sent" : "partially_sent");
  record.Add("bytes", report.message_bytes);
  record.Add("smtp_code", report.final_reply.code);
}

v1::ExecuteResponse ResponseOf(const Checked<SendCommand>& command, const Sending& sending) {
  const smtp::DeliveryReport& report = sending.result->report;
  const providers::Profile& profile = *command.value.account.resolved.profile;
  return SentResponse(command.value,
                      {report.recipients, report.final_reply, sending.message_id,
                       providers::ProviderMessageId(profile, report.final_reply),
                       report.message_bytes, sending.result->accepted_at, sending.timeline.tls()},
                      v1::DEDUPE_NONE, command.findings);
}

Sending NewSending(const Dependencies& deps, bool keep_transcript) {
  return {{}, Timeline(deps.metrics, keep_transcript), base::Error{}};
}

ledger::Key KeyOf(const std::string& request_id) {
  return {std::string(kExecute), std::string(kTenant), request_id};
}

// At most once.
asio::awaitable<grpc::Status> ExecuteOnce(const Dependencies& deps, base::Deadline deadline,
                                          Checked<SendCommand> command, InFlight::Room room,
                                          RequestRecord& record, v1::ExecuteResponse& response) {
  const auto request = std::make_shared<ExecutionRequest>();
  request->room = std::move(room);
  request->command = std::move(command.value);
  request->command.account.resolved.settings.timeouts.data_done = deps.reply_wait;
  request->key = KeyOf(request->command.request_id);
  request->fingerprint = Fingerprint(deps.digest, request->command);
  request->message_id = MakeMessageId(deps.digest, kExecute, kTenant, request->command.request_id,
                                      request->command.message.from.address.domain());
  record.AddAccount(request->command.account);
  record.Add("recipients", request->command.envelope.recipients.size());
  record.Add("message_id", request->message_id);
  const std::shared_ptr<const Executed> executed =
      co_await deps.executions->Execute(request, deadline);
  const grpc::Status status = ExecutedStatus(*request, *executed, command.findings, response);
  if (executed->error) record.AddError(*executed->error);
  if (!status.ok()) {
    record.Failed(status);
    co_return status;
  }
  record.Done(response.outcome() == v1::OUTCOME_SENT ? "sent" : "partially_sent");
  record.Add("bytes", response.size_bytes());
  record.Add("smtp_code", response.final_reply().code());
  record.Add("dedupe", response.dedupe() == v1::DEDUPE_REPLAYED ? "replayed" : "first");
  co_return status;
}

asio::awaitable<grpc::Status> RunExecute(const Dependencies& deps, base::Deadline deadline,
                                         v1::ExecuteRequest& request, v1::ExecuteResponse& response,
                                         InFlight::Room room) {
  RequestRecord record("Execute", request.context(), request.request_id(), deps.metrics);
  if (deadline.Passed()) {
    record.Refused("DEADLINE_TOO_SHORT");
    co_return TooLate();
  }
  Discovery discovery = co_await Discover(deps, request.config(), deadline);
  Checked<SendCommand> command = MapExecute(
      std::move(request), CatalogOf(deps, std::move(discovery)), deps.request_id_required);
  if (!command.ok()) {
    record.Refused(command.findings);
    co_return FindingsStatus(command.findings);
  }
  if (deps.executions != nullptr && !command.value.request_id.empty()) {
    co_return co_await ExecuteOnce(deps, deadline, std::move(command), std::move(room), record,
                                   response);
  }
  Sending sending = NewSending(deps, /*keep_transcript=*/false);
  co_await Send(deps, command.value, kExecute, deadline, record, sending);
  if (!sending.result) {
    const base::Error& error = sending.result.error();
    const providers::Explained explained =
        providers::Explain(error, command.value.account.resolved);
    record.Failed(error, explained);
    co_return ErrorStatus(error, explained, command.value.recipient_names, sending.message_id);
  }
  response = ResponseOf(command, sending);
  co_return grpc::Status::OK;
}

// What DNS says of the sender; unset where there is nothing to ask.
asio::awaitable<std::optional<doctor::Diagnosis>> Diagnosed(
    const Dependencies& deps, std::optional<doctor::Question> question, base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!question || !deps.diagnoses || deps.lookup == nullptr) co_return std::nullopt;
  std::optional<doctor::Diagnosis> diagnosis =
      co_await DiagnoseInTime(*deps.lookup, *std::move(question), deadline);
  co_return diagnosis;
}

std::optional<doctor::Question> QuestionAbout(const Dependencies& deps,
                                              const SendCommand& command) {
  std::optional<doctor::Question> question = DeliverabilityOf(
      command.account, *deps.registry, command.message.from.address, command.envelope.sender);
  const auto& unsubscribe = command.message.unsubscribe;
  if (question) question->one_click_unsubscribe = unsubscribe && unsubscribe->one_click;
  return question;
}

void AddAcceptedSteps(const Account& account, bool all, v1::TestSendResponse& response) {
  if (!all) response.add_next_steps("Correct the refused recipients; the others have the email.");
  for (const std::string& step : account.resolved.profile->after_accepted()) {
    response.add_next_steps(step);
  }
}

asio::awaitable<grpc::Status> RunTestSend(const Dependencies& deps, base::Deadline deadline,
                                          v1::TestSendRequest& request,
                                          v1::TestSendResponse& response, InFlight::Room /*room*/) {
  RequestRecord record("TestSend", request.context(), request.request_id(), deps.metrics);
  if (deadline.Passed()) {
    record.Refused("DEADLINE_TOO_SHORT");
    co_return TooLate();
  }
  const bool diagnose = !request.skip_deliverability();
  Discovery discovery = co_await Discover(deps, request.config(), deadline);
  const Checked<SendCommand> command =
      MapTestSend(std::move(request), CatalogOf(deps, std::move(discovery)));
  if (!command.ok()) {
    record.Refused(command.findings);
    co_return FindingsStatus(command.findings);
  }
  const Account& account = command.value.account;
  Sending sending = NewSending(deps, /*keep_transcript=*/true);
  std::optional<doctor::Diagnosis> diagnosis;
  if (diagnose) {
    using asio::experimental::awaitable_operators::operator&&;
    diagnosis = co_await (Send(deps, command.value, kTest, deadline, record, sending) &&
                          Diagnosed(deps, QuestionAbout(deps, command.value), deadline));
  } else {
    co_await Send(deps, command.value, kTest, deadline, record, sending);
  }
  if (diagnosis) *response.mutable_deliverability() = ToDeliverability(*diagnosis);
  for (const Finding& finding : command.findings)
    *response.add_diagnostics() = ToDiagnostic(finding);
  AddChecks(sending.timeline, base::Stage::kData,
            account.resolved.settings.tls.policy != smtp::TlsPolicy::kNone,
            *response.mutable_checks());
  for (const std::string& line : sending.timeline.transcript()) response.add_transcript(line);
  if (!sending.result) {
    const base::Error& error = sending.result.error();
    const providers::Explained explained = providers::Explain(error, account.resolved);
    record.Failed(error, explained);
    if (BrokenByStop(error)) {
      co_return ErrorStatus(error, explained, command.value.recipient_names, sending.message_id);
    }
    *response.mutable_failure() =
        ToFailure(error, explained, command.value.recipient_names, sending.message_id);
    response.set_verdict(explained.message);
    response.add_next_steps(explained.what_to_do);
    co_return grpc::Status::OK;
  }
  response.set_accepted(true);
  AddRecipients(sending.result->report, *response.mutable_checks());
  *response.mutable_result() = ResponseOf(command, sending);
  const bool all = response.result().outcome() == v1::OUTCOME_SENT;
  response.set_verdict(absl::StrCat(account.resolved.settings.host, " accepted the email for ",
                                    all ? "every recipient." : "some of the recipients."));
  AddAcceptedSteps(account, all, response);
  if (diagnosis && diagnosis->verdict.dmarc == doctor::CanPass::kNo) {
    response.add_next_steps(absl::StrCat(diagnosis->verdict.summary, " See deliverability.fixes."));
  }
  co_return grpc::Status::OK;
}

asio::awaitable<grpc::Status> RunValidate(const Dependencies& deps, base::Deadline deadline,
                                          v1::ValidateConfigRequest& request,
                                          v1::ValidateConfigResponse& response,
                                          InFlight::Room /*room*/) {
  RequestRecord record("ValidateConfig", request.context(), "", deps.metrics);
  if (deadline.Passed()) {
    record.Refused("DEADLINE_TOO_SHORT");
    co_return TooLate();
  }
  Discovery discovery;
  if (ReachesServer(request)) discovery = co_await Discover(deps, request.config(), deadline);
  const Checked<ValidateCommand> command =
      MapValidate(std::move(request), CatalogOf(deps, std::move(discovery)));
  const ValidateCommand& value = command.value;
  for (const Finding& finding : command.findings)
    *response.add_diagnostics() = ToDiagnostic(finding);
  *response.mutable_effective() = value.effective;
  response.set_valid(command.ok());
  if (!command.ok()) {
    record.Refused(command.findings);
    co_return grpc::Status::OK;
  }
  record.AddAccount(value.account);
  record.Done("ok");
  if (value.diagnose_from) {
    const auto diagnosis =
        co_await Diagnosed(deps,
                           DeliverabilityOf(value.account, *deps.registry, *value.diagnose_from,
                                            value.diagnose_sender),
                           deadline);
    if (diagnosis) *response.mutable_deliverability() = ToDeliverability(*diagnosis);
  }
  if (!value.connect) co_return grpc::Status::OK;
  Timeline timeline(deps.metrics);
  const providers::Resolved& resolved = value.account.resolved;
  auto check = [&](const smtp::SmtpSettings& settings) {
    return deps.mailer->Check(settings, value.envelope, deadline, timeline);
  };
  const auto checked = co_await WithServer(value.account, deadline, timeline, check);
  AddChecks(timeline, value.envelope ? base::Stage::kRcptTo : base::Stage::kAuth,
            resolved.settings.tls.policy != smtp::TlsPolicy::kNone, *response.mutable_checks());
  if (checked) {
    AddRecipients(*checked, *response.mutable_checks());
    AddRefusedRecipients(*checked, value.recipient_names, *response.mutable_diagnostics());
  } else {
    const providers::Explained explained = providers::Explain(checked.error(), resolved);
    record.Failed(checked.error(), explained);
    if (BrokenByStop(checked.error())) {
      co_return ErrorStatus(checked.error(), explained, value.recipient_names, "");
    }
    response.set_valid(false);
    *response.mutable_failure() =
        ToFailure(checked.error(), explained, value.recipient_names, /*message_id=*/"");
  }
  co_return grpc::Status::OK;
}

grpc::Status NoLedger() {
  return SimpleStatus(grpc::StatusCode::UNIMPLEMENTED, "NO_LEDGER", providers::Fault::kPlugin,
                      "false", "This server keeps no ledger of request ids.",
                      "Keep the answer of Execute.");
}

// What is asked of the ledger: `run(record)` in the frame that all these methods share.
template <class Run>
asio::awaitable<grpc::Status> AskLedger(const Dependencies& deps, std::string method,
                                        std::string request_id, Run run) {
  RequestRecord record(std::move(method), {}, request_id, deps.metrics);
  grpc::Status status = NoLedger();
  if (deps.ledger != nullptr) status = co_await run();
  if (status.ok()) {
    record.Done("ok");
  } else {
    record.Failed(status);
  }
  co_return status;
}

grpc::Status LedgerFailed(const absl::Status& status) {
  Log(Level::kError, "ledger_failed",
      {{"doing", "ask"}, {"detail", std::string(status.message())}});
  return LedgerUnavailable();
}

asio::awaitable<grpc::Status> RunGet(const Dependencies& deps,
                                     const v1::GetExecutionRequest& request,
                                     v1::GetExecutionResponse& response) {
  const Checked<std::string> id = MapGet(request);
  if (!id.ok()) co_return FindingsStatus(id.findings);
  const auto found = co_await deps.ledger->Read(KeyOf(id.value));
  if (!found.ok()) co_return LedgerFailed(found.status());
  if (!*found) co_return ExecutionNotFound(id.value);
  *response.mutable_execution() = ToExecution(id.value, **found);
  co_return grpc::Status::OK;
}

asio::awaitable<grpc::Status> RunResolve(const Dependencies& deps,
                                         const v1::ResolveExecutionRequest& request,
                                         v1::ResolveExecutionResponse& response) {
  const Checked<ResolveCommand> command = MapResolve(request);
  if (!command.ok()) co_return FindingsStatus(command.findings);
  const std::string& id = command.value.request_id;
  std::optional<ledger::Execution> found, resolved;
  const ledger::Store::Change change = [&](const ledger::Execution* known) {
    found = known == nullptr ? std::nullopt : std::optional(*known);
    resolved = found ? ledger::Resolve(*found, command.value.sent, ledger::Now()) : std::nullopt;
    return resolved;
  };
  const absl::Status status = co_await deps.ledger->Update(KeyOf(id), change);
  if (!status.ok()) co_return LedgerFailed(status);
  if (!found) co_return ExecutionNotFound(id);
  if (!resolved) co_return NotUncertain(id, *found);
  Log(Level::kInfo, "resolved", {{"request_id", id}, {"sent", command.value.sent}});
  *response.mutable_execution() = ToExecution(id, *resolved);
  co_return grpc::Status::OK;
}

asio::awaitable<grpc::Status> RunList(const Dependencies& deps,
                                      const v1::ListExecutionsRequest& request,
                                      v1::ListExecutionsResponse& response) {
  const Checked<ledger::Query> query = MapList(request, kExecute, kTenant);
  if (!query.ok()) co_return FindingsStatus(query.findings);
  const auto entries = co_await deps.ledger->List(query.value);
  if (!entries.ok()) co_return LedgerFailed(entries.status());
  response = ToPage(query.value, *entries);
  co_return grpc::Status::OK;
}

grpc::Status NoRoom(InFlight::Limit limit, const InFlightLimits& limits, size_t bytes) {
  if (limit == InFlight::Limit::kCalls) {
    return OverloadedStatus(absl::StrCat("The server works on ", limits.calls,
                                         " calls at once (--max-in-flight); nothing was sent."));
  }
  return OverloadedStatus(absl::StrCat("The server has no room for a request of ", bytes,
                                       " bytes now: it works on ", SizeText(limits.bytes),
                                       " at once (--max-in-flight-bytes); nothing was sent."));
}

// Never finds room, however often it comes.
std::vector<Finding> NeverRoom(const InFlightLimits& limits, size_t bytes) {
  return {{providers::Severity::kError,
           "email",
           "LIMIT_EXCEEDED",
           absl::StrCat("The request has ", bytes, " bytes; this server works on ",
                        SizeText(limits.bytes), " at once (--max-in-flight-bytes)."),
           {},
           {}}};
}

// What a method does with an email or settings: `request` may be taken apart; the room is given
// back when the frame ends, unless something else keeps it.
template <class Request, class Response>
using Body = asio::awaitable<grpc::Status> (*)(const Dependencies&, base::Deadline, Request&,
                                               Response&, InFlight::Room);

// Begins it where there is room, else answers at once.
template <class Request, class Response>
grpc::ServerUnaryReactor* Work(const Dependencies& deps, std::string method,
                               grpc::CallbackServerContext* context, Request& request,
                               const std::string& request_id, Response* response,
                               Body<Request, Response> body) {
  const base::Deadline deadline = WorkDeadline(*context);
  const size_t bytes = request.ByteSizeLong();
  const InFlightLimits& limits = deps.in_flight->limits();
  if (bytes > limits.bytes) {
    RequestRecord record(std::move(method), request.context(), request_id, deps.metrics);
    const std::vector<Finding> findings = NeverRoom(limits, bytes);
    record.Refused(findings);
    return Answer(context, FindingsStatus(findings));
  }
  InFlight::Entry entry = deps.in_flight->Enter(bytes);
  if (!entry.room) {
    RequestRecord record(std::move(method), request.context(), request_id, deps.metrics);
    record.Refused("OVERLOADED");
    return Answer(context, NoRoom(entry.limit, limits, bytes));
  }
  auto work = [&deps, deadline, &request, response, body, room = std::move(entry.room)] {
    return body(deps, deadline, request, *response, room);
  };
  return RpcCall::Start(deps.executor, *deps.open_calls, std::move(work), InternalError);
}

}  // namespace

EmailService::EmailService(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      description_(plugin::Describe(CatalogOf(deps_), deps_.in_flight->limits())) {
  SetMessageAllocatorFor_ValidateConfig(&validate_messages_);
  SetMessageAllocatorFor_Execute(&execute_messages_);
  SetMessageAllocatorFor_TestSend(&test_messages_);
}

grpc::ServerUnaryReactor* EmailService::Describe(grpc::CallbackServerContext* context,
                                                 const v1::DescribeRequest* /*request*/,
                                                 v1::DescribeResponse* response) {
  RequestRecord record("Describe", {}, "", deps_.metrics);
  *response = description_;
  record.Done("ok");
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* EmailService::ValidateConfig(grpc::CallbackServerContext* context,
                                                       const v1::ValidateConfigRequest*,
                                                       v1::ValidateConfigResponse* response) {
  return Work(deps_, "ValidateConfig", context, ValidateMessages::RequestOf(*context), "", response,
              RunValidate);
}

grpc::ServerUnaryReactor* EmailService::Execute(grpc::CallbackServerContext* context,
                                                const v1::ExecuteRequest* request,
                                                v1::ExecuteResponse* response) {
  return Work(deps_, "Execute", context, ExecuteMessages::RequestOf(*context),
              request->request_id(), response, RunExecute);
}

grpc::ServerUnaryReactor* EmailService::TestSend(grpc::CallbackServerContext* context,
                                                 const v1::TestSendRequest* request,
                                                 v1::TestSendResponse* response) {
  return Work(deps_, "TestSend", context, TestMessages::RequestOf(*context), request->request_id(),
              response, RunTestSend);
}

grpc::ServerUnaryReactor* EmailService::GetExecution(grpc::CallbackServerContext* /*context*/,
                                                     const v1::GetExecutionRequest* request,
                                                     v1::GetExecutionResponse* response) {
  return RpcCall::Start(
      deps_.executor, *deps_.open_calls,
      [this, request, response] {
        auto run = [this, request, response] { return RunGet(deps_, *request, *response); };
        return AskLedger(deps_, "GetExecution", request->request_id(), run);
      },
      InternalError);
}

grpc::ServerUnaryReactor* EmailService::ResolveExecution(grpc::CallbackServerContext* /*context*/,
                                                         const v1::ResolveExecutionRequest* request,
                                                         v1::ResolveExecutionResponse* response) {
  return RpcCall::Start(
      deps_.executor, *deps_.open_calls,
      [this, request, response] {
        auto run = [this, request, response] { return RunResolve(deps_, *request, *response); };
        return AskLedger(deps_, "ResolveExecution", request->request_id(), run);
      },
      InternalError);
}

grpc::ServerUnaryReactor* EmailService::ListExecutions(grpc::CallbackServerContext* /*context*/,
                                                       const v1::ListExecutionsRequest* request,
                                                       v1::ListExecutionsResponse* response) {
  return RpcCall::Start(
      deps_.executor, *deps_.open_calls,
      [this, request, response] {
        auto run = [this, request, response] { return RunList(deps_, *request, *response); };
        return AskLedger(deps_, "ListExecutions", "", run);
      },
      InternalError);
}

}  // namespace sendstep::plugin
