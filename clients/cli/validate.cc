// sendstep validate: checks settings, never sends.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "clients/cli/commands.h"
#include "clients/cli/render.h"

namespace sendstep::cli {
namespace {

v1::ValidateDepth DepthOf(const std::string& word) {
  if (word == "connect") return v1::VALIDATE_DEPTH_CONNECT;
  return word == "sender" ? v1::VALIDATE_DEPTH_SENDER : v1::VALIDATE_DEPTH_STATIC;
}

void Validate(const StepOptions& options, const std::string& depth, Session& session) {
  absl::StatusOr<v1::ExecuteRequest> step = BuildRequest(options, session.environment());
  if (!step.ok()) return session.Report(FromInput(step.status()), "not checked");
  v1::ValidateConfigRequest request = ToValidateRequest(*std::move(step), DepthOf(depth));
  request.set_deliverability(options.deliverability);
  session.WarnIfReadable(request.config());
  v1::ValidateConfigResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::ValidateConfig, request, &answer, "not checked")) {
    return;
  }
  session.Answer(
      answer, [&] { return RenderValidation(answer, session.style()); },
      answer.valid() ? ExitCode::kOk : ExitCode::kInvalidInput);
}

}  // namespace

void AddValidate(CLI::App& app, Session& session) {
  auto options = std::make_shared<StepOptions>();
  auto depth = std::make_shared<std::string>("static");
  CLI::App* verb = app.add_subcommand("validate", "Check settings, and an email; never sends");
  AddStepOptions(*verb, *options);
  verb->add_option("--depth", *depth,
                   "static (no network), connect (to AUTH) or sender (to MAIL and RCPT)")
      ->type_name("DEPTH")
      ->check(CLI::IsMember({"static", "connect", "sender"}))
      ->capture_default_str();
  verb->add_flag("--deliverability", options->deliverability,
                 "Ask DNS too whether mail from the sender can pass at receivers");
  verb->callback([options, depth, &session] { Validate(*options, *depth, session); });
}

}  // namespace sendstep::cli
