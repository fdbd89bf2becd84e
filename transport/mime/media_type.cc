#include "transport/mime/media_type.h"

#include <algorithm>

namespace sendstep::mime {
namespace {

constexpr size_t kMaxSize = 998;
constexpr size_t kMaxToken = 127;  // of a type or subtype (RFC 6838 4.2)

// token of RFC 2045 5.1.
bool IsTokenCharacter(char c) {
  return c > ' ' && c <= '~' &&
         std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

// A name without the marks of RFC 2231.
bool IsPlainName(std::string_view name) {
  return name.find_first_of("*'%") == std::string_view::npos;
}

// Takes the parts of a media type off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool Done() const { return rest_.empty(); }

  void SkipBlanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }

  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Empty where there is none.
  std::string_view Token() {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), IsTokenCharacter);
    const std::string_view token = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
    rest_.remove_prefix(token.size());
    return token;
  }

  // A token or a quoted string.
  std::optional<std::string> Value() {
    if (Take('"')) return QuotedRest();
    const std::string_view token = Token();
    if (token.empty()) return std::nullopt;
    return std::string(token);
  }

 private:
  // Behind the opening quotation mark.
  std::optional<std::string> QuotedRest() {
    std::string value;
    while (!rest_.empty()) {
      if (Take('"')) return value;
      if (Take('\\') && rest_.empty()) break;
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "name=value" behind the ";".
bool TakeParameter(Scanner& scanner, MediaType& media_type) {
  const std::string name = Lower(scanner.Token());
  if (name.empty() || name.size() > kMaxToken || !IsPlainName(name)) return false;
  scanner.SkipBlanks();
  if (!scanner.Take('=')) return false;
  scanner.SkipBlanks();
  auto value = scanner.Value();
  if (!value) return false;
  for (const auto& [known, unused] : media_type.parameters) {
    if (known == name) return false;
  }
  media_type.parameters.emplace_back(name, *std::move(value));
  return true;
}

}  // namespace

std::optional<MediaType> ParseMediaType(std::string_view text) {
  const bool printable = std::all_of(text.begin(), text.end(),
                                     [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
  if (!printable || text.size() > kMaxSize) return std::nullopt;
  MediaType media_type;
  Scanner scanner(text);
  scanner.SkipBlanks();
  media_type.type = Lower(scanner.Token());
  if (!scanner.Take('/')) return std::nullopt;
  media_type.subtype = Lower(scanner.Token());
  for (const std::string& token : {media_type.type, media_type.subtype}) {
    if (token.empty() || token.size() > kMaxToken) return std::nullopt;
  }
  scanner.SkipBlanks();
  while (!scanner.Done()) {
    if (!scanner.Take(';')) return std::nullopt;
    scanner.SkipBlanks();
    if (scanner.Done()) break;  // a trailing ";" is common and harmless
    if (!TakeParameter(scanner, media_type)) return std::nullopt;
    scanner.SkipBlanks();
  }
  return media_type;
}

}  // namespace sendstep::mime
