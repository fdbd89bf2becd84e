// The grammar of SMTP commands (RFC 5321 4.1), as a server reads it. No I/O, no state.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_COMMAND_H_
#define SENDSTEP_PROVIDERS_SANDBOX_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::providers::sandbox {

// Views point into the line.
struct Command {
  std::string verb;           // upper case
  std::string_view argument;  // without surrounding blanks
};
Command ParseCommand(std::string_view line);

struct Parameter {
  std::string keyword;  // upper case
  std::optional<std::string> value;
};

// The argument of MAIL or RCPT.
struct PathArgument {
  std::string address;  // without brackets and source route; "<>" gives an empty one
  std::vector<Parameter> parameters;
};
// `prefix` is "FROM:" or "TO:", any case; no blank may follow it (RFC 5321 3.3). Nothing where
// brackets, quotes or parameters are malformed or a parameter is named twice. The address itself is
// not checked.
std::optional<PathArgument> ParsePathArgument(std::string_view argument, std::string_view prefix);

// The argument of BDAT (RFC 3030 2).
struct Chunk {
  uint64_t size = 0;
  bool last = false;
};
std::optional<Chunk> ParseChunk(std::string_view argument);

// Digits only, at most 20 (RFC 1870 3); what does not fit becomes the largest value.
std::optional<uint64_t> ParseSize(std::string_view digits);

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_COMMAND_H_
