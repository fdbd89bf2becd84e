#include "clients/cli/app.h"

#include <CLI/CLI.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "clients/cli/commands.h"
#include "clients/cli/text.h"

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
  AddGet(app, session);
  AddResolve(app, session);
  AddList(app, session);
  AddDoctor(app, session);
  for (CLI::App* verb : app.get_subcommands({})) {
    verb->fallthrough();  // global flags are understood after the verb too
    verb->footer("--server, --json and --timeout as in sendstep --help.\n" +
                 std::string(kExitCodesHelp));
  }
}

// The word that stands where a verb is wanted; empty where there is none. What follows a flag that
// nobody knows may be a secret: it is no verb.
std::string UnknownCommand(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  if (at->get_require_subcommand_min() == 0) return "";
  const std::vector<std::string> words = app.remaining(true);
  return words.empty() || words[0].substr(0, 1) == "-" ? "" : words[0];
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
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)) {
      if (const std::string word = UnknownCommand(app); !word.empty()) {
        environment.err << "there is no command \"" << Shown(word)
                        << "\"\nRun with --help for more information.\n";
        return static_cast<int>(ExitCode::kUsage);
      }
    }
    const int code = app.exit(error, environment.out, environment.err);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  environment.out.flush();
  return static_cast<int>(session.exit_code());
}

}  // namespace sendstep::cli
