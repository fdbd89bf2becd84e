// The sendstep command.
#ifndef SENDSTEP_CLIENTS_CLI_APP_H_
#define SENDSTEP_CLIENTS_CLI_APP_H_

#include "clients/cli/environment.h"

namespace sendstep::cli {

// Parses the arguments and runs the verb they name. Returns the process's exit code (failure.h).
int RunApp(int argc, const char* const* argv, Environment& environment);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_APP_H_
