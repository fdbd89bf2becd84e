// sendstep send: sends one email.
#include <CLI/CLI.hpp>
#include <memory>

#include "clients/cli/commands.h"
#include "clients/cli/render.h"

namespace sendstep::cli {
namespace {

ExitCode CodeOf(const v1::ExecuteResponse& answer) {
  switch (answer.outcome()) {
    case v1::OUTCOME_SENT:
      return ExitCode::kOk;
    case v1::OUTCOME_PARTIALLY_SENT:
      return ExitCode::kPartiallySent;
    default:
      return ExitCode::kUnexpected;
  }
}

void Send(const StepOptions& options, Session& session) {
  absl::StatusOr<v1::ExecuteRequest> request = BuildRequest(options, session.environment());
  if (!request.ok()) return session.Report(FromInput(request.status()), "not sent");
  if (request->request_id().empty()) request->set_request_id(NewRequestId());
  session.WarnIfReadable(request->config());
  v1::ExecuteResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::Execute, *request, &answer, "not sent", Sends::kOnce,
                    request->request_id())) {
    return;
  }
  session.Answer(
      answer, [&] { return RenderSent(answer, session.style()); }, CodeOf(answer));
}

}  // namespace

void AddSend(CLI::App& app, Session& session) {
  auto options = std::make_shared<StepOptions>();
  CLI::App* verb = app.add_subcommand("send", "Send one email");
  AddStepOptions(*verb, *options);
  verb->add_option("--request-id", options->request_id,
                   "Key of this email, the same in every retry; else a random one")
      ->type_name("ID");
  verb->add_flag("--all-or-nothing", options->all_or_nothing,
                 "Send to nobody unless the provider accepts every recipient");
  verb->add_flag("--resend-on-uncertain", options->resend_on_uncertain,
                 "Send although an earlier try with this request id may have been delivered");
  verb->callback([options, &session] { Send(*options, session); });
}

}  // namespace sendstep::cli
