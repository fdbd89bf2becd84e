// sendstep describe: what the server is and takes.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "clients/cli/commands.h"
#include "clients/cli/render.h"

namespace sendstep::cli {
namespace {

void Describe(bool schema, Session& session) {
  v1::DescribeResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::Describe, v1::DescribeRequest(), &answer,
                    "no description")) {
    return;
  }
  if (schema) {
    session.environment().out << ShownLines(answer.config_schema()) << "\n";
    return;
  }
  session.Answer(
      answer, [&] { return RenderServer(answer, session.style()); }, ExitCode::kOk);
}

}  // namespace

void AddDescribe(CLI::App& app, Session& session) {
  auto schema = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand("describe", "Show version, providers, limits and sandbox");
  verb->add_flag("--schema", *schema, "Print the JSON Schema of a step's settings instead");
  verb->callback([schema, &session] { Describe(*schema, session); });
}

}  // namespace sendstep::cli
