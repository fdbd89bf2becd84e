// sendstep test: sends one email and shows every stage of it.
#include <CLI/CLI.hpp>
#include <memory>

#include "clients/cli/commands.h"
#include "clients/cli/render.h"

namespace sendstep::cli {
namespace {

ExitCode CodeOf(const v1::TestSendResponse& answer) {
  if (answer.accepted()) {
    const bool partial = answer.result().outcome() == v1::OUTCOME_PARTIALLY_SENT;
    return partial ? ExitCode::kPartiallySent : ExitCode::kOk;
  }
  return answer.has_failure() ? FromAnswer(answer.failure()).exit_code : ExitCode::kInvalidInput;
}

void Test(const StepOptions& options, bool transcript, Session& session) {
  absl::StatusOr<v1::ExecuteRequest> step = BuildRequest(options, session.environment());
  if (!step.ok()) return session.Report(FromInput(step.status()), "not tested");
  const v1::TestSendRequest request = ToTestRequest(*std::move(step), options);
  session.WarnIfReadable(request.config());
  v1::TestSendResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::TestSend, request, &answer, "not tested", Sends::kYes,
                    request.request_id())) {
    return;
  }
  session.Answer(
      answer, [&] { return RenderTest(answer, transcript, session.style()); }, CodeOf(answer));
}

}  // namespace

void AddTest(CLI::App& app, Session& session) {
  auto options = std::make_shared<StepOptions>();
  auto transcript = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand(
      "test", "Send a test email and show every stage; without a body the server brings a message");
  AddStepOptions(*verb, *options);
  verb->add_option("--request-id", options->request_id, "Key of this email")->type_name("ID");
  verb->add_flag("--no-deliverability", options->no_deliverability,
                 "Do not ask DNS whether the email can pass at receivers");
  verb->add_flag("--transcript", *transcript, "Show the SMTP dialog too, secrets blanked");
  verb->callback([options, transcript, &session] { Test(*options, *transcript, session); });
}

}  // namespace sendstep::cli
