#include "clients/cli/app.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "clients/cli/commands.h"

namespace sendstep::cli {
namespace {

void Describe(CLI::App& app, Session& session) {
  app.set_version_flag("--version", "sendstep " SENDSTEP_VERSION);
  app.require_subcommand(1);
  app.footer(kExitCodesHelp);
  AddGlobalOptions(app, session.options());
  AddSend(app, session);
  AddTest(app, session);
  AddValidate(app, session);
  AddDescribe(app, session);
  AddProviders(app, session);
  AddInbox(app, session);
  for (CLI::App* verb : app.get_subcommands({})) {
    verb->fallthrough();  // global flags are understood after the verb too
    verb->footer("--server, --json and --timeout as in sendstep --help.\n" +
                 std::string(kExitCodesHelp));
  }
}

}  // namespace

int RunApp(int argc, const char* const* argv, Environment& environment) {
  CLI::App app("Sends email through your own mail provider, by way of a sendstep server.",
               "sendstep");
  Session session(environment);
  Describe(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, environment.out, environment.err);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  environment.out.flush();
  return static_cast<int>(session.exit_code());
}

}  // namespace sendstep::cli
