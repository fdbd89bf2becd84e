// The verbs. Each Add... function describes one to the parser; its callback does the work and
// leaves the exit code in the session.
#ifndef SENDSTEP_CLIENTS_CLI_COMMANDS_H_
#define SENDSTEP_CLIENTS_CLI_COMMANDS_H_

#include "clients/cli/session.h"

namespace CLI {
class App;
}

namespace sendstep::cli {

// `session` outlives the parsing.
void AddSend(CLI::App& app, Session& session);
void AddTest(CLI::App& app, Session& session);
void AddValidate(CLI::App& app, Session& session);
void AddDescribe(CLI::App& app, Session& session);
void AddProviders(CLI::App& app, Session& session);
void AddInbox(CLI::App& app, Session& session);
void AddGet(CLI::App& app, Session& session);
void AddResolve(CLI::App& app, Session& session);
void AddList(CLI::App& app, Session& session);
void AddDoctor(CLI::App& app, Session& session);
void AddDoctorExplain(CLI::App& group, Session& session);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_COMMANDS_H_
