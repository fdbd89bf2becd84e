// What a command sees of the process around it. Commands touch nothing else, so that tests can give
// them streams, variables and a prompt of their own.
#ifndef SENDSTEP_CLIENTS_CLI_ENVIRONMENT_H_
#define SENDSTEP_CLIENTS_CLI_ENVIRONMENT_H_

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace sendstep::cli {

struct Environment {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  // Colours may be used there: a terminal, and NO_COLOR is not set.
  bool colour_out = false;
  bool colour_err = false;
  // Nothing: the variable is not set.
  std::function<std::optional<std::string>(const std::string& name)> variable;
  // Asks on the terminal with echo off. NotFound: there is no terminal.
  std::function<absl::StatusOr<std::string>(const std::string& question)> ask_secret;
};

// The process's own.
Environment ProcessEnvironment();

// The bytes of a file; "-" is `in`. Errors name `what` and the path, never the content: NotFound
// for a file that cannot be read, InvalidArgument for one of more than `max_bytes`.
absl::StatusOr<std::string> ReadFile(Environment& environment, const std::string& path,
                                     const std::string& what, size_t max_bytes);

// A secret kept in a file: at most 64 KiB, its last line break removed.
absl::StatusOr<std::string> ReadSecretFile(Environment& environment, const std::string& path,
                                           const std::string& what);

// A secret kept in a variable. NotFound: not set, or empty.
absl::StatusOr<std::string> ReadSecretVariable(const Environment& environment,
                                               const std::string& name, const std::string& what);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_ENVIRONMENT_H_
