#include "providers/sandbox/command.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace sendstep::providers::sandbox {
namespace {

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// The first word of `text`; both lose it and the blanks after it.
std::string_view TakeWord(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text = Trim(text.substr(word.size()));
  return word;
}

// Where the ">" is that ends a path beginning with "<": not one within a quoted local part.
size_t EndOfPath(std::string_view text) {
  bool quoted = false;
  for (size_t i = 1; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == '>') {
      return i;
    }
  }
  return std::string_view::npos;
}

// Source routes are accepted and ignored (RFC 5321 4.1.1.3): "@a,@b:user@c" is "user@c".
std::string_view WithoutSourceRoute(std::string_view path) {
  const size_t colon = path.find(':');
  return path.starts_with('@') && colon != std::string_view::npos ? path.substr(colon + 1) : path;
}

bool IsKeyword(std::string_view text) {
  return !text.empty() && text.front() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-'; });
}

std::optional<Parameter> ParseParameter(std::string_view word) {
  const size_t equals = word.find('=');
  const std::string_view keyword = word.substr(0, equals);
  if (!IsKeyword(keyword)) return std::nullopt;
  Parameter parameter{.keyword = absl::AsciiStrToUpper(ToAbsl(keyword)), .value = {}};
  if (equals != std::string_view::npos) {
    parameter.value = std::string(word.substr(equals + 1));
    if (parameter.value->empty() || absl::StrContains(*parameter.value, '=')) return std::nullopt;
  }
  return parameter;
}

bool Names(const std::vector<Parameter>& parameters, std::string_view keyword) {
  return std::any_of(parameters.begin(), parameters.end(),
                     [&](const Parameter& parameter) { return parameter.keyword == keyword; });
}

}  // namespace

Command ParseCommand(std::string_view line) {
  std::string_view rest = Trim(line);
  const std::string_view verb = TakeWord(rest);
  return {.verb = absl::AsciiStrToUpper(ToAbsl(verb)), .argument = rest};
}

std::optional<PathArgument> ParsePathArgument(std::string_view argument, std::string_view prefix) {
  if (!absl::StartsWithIgnoreCase(ToAbsl(argument), ToAbsl(prefix))) return std::nullopt;
  std::string_view rest = argument.substr(prefix.size());
  if (!rest.starts_with('<')) return std::nullopt;
  const size_t end = EndOfPath(rest);
  if (end == std::string_view::npos) return std::nullopt;

  PathArgument parsed;
  parsed.address = std::string(WithoutSourceRoute(rest.substr(1, end - 1)));
  rest.remove_prefix(end + 1);
  if (!rest.empty() && !rest.starts_with(' ')) return std::nullopt;
  rest = Trim(rest);
  while (!rest.empty()) {
    std::optional<Parameter> parameter = ParseParameter(TakeWord(rest));
    if (!parameter || Names(parsed.parameters, parameter->keyword)) return std::nullopt;
    parsed.parameters.push_back(*std::move(parameter));
  }
  return parsed;
}

std::optional<Chunk> ParseChunk(std::string_view argument) {
  const std::optional<uint64_t> size = ParseSize(TakeWord(argument));
  if (!size) return std::nullopt;
  const bool last = absl::EqualsIgnoreCase(ToAbsl(argument), "LAST");
  if (!last && !argument.empty()) return std::nullopt;
  return Chunk{.size = *size, .last = last};
}

std::optional<uint64_t> ParseSize(std::string_view digits) {
  constexpr size_t kMaxDigits = 20;
  if (digits.size() > kMaxDigits) return std::nullopt;
  uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value);
  if (error == std::errc::invalid_argument || stopped != end) return std::nullopt;
  return error == std::errc::result_out_of_range ? std::numeric_limits<uint64_t>::max() : value;
}

}  // namespace sendstep::providers::sandbox
