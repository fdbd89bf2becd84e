#include "clients/cli/mail_text.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "absl/strings/escaping.h"

namespace sendstep::cli {
namespace {

bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

// The entries of a list, separated by commas outside of quoted strings.
std::vector<std::string_view> SplitList(std::string_view value) {
  std::vector<std::string_view> entries;
  bool quoted = false;
  size_t start = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (quoted && value[i] == '\\') {
      ++i;
    } else if (value[i] == '"') {
      quoted = !quoted;
    } else if (value[i] == ',' && !quoted) {
      entries.push_back(value.substr(start, i - start));
      start = i + 1;
    }
  }
  entries.push_back(value.substr(start));
  return entries;
}

std::string_view TrimBlanks(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The Q encoding (RFC 2047 4.2).
std::optional<std::string> DecodeQ(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      bytes += ' ';
    } else if (text[i] != '=') {
      bytes += text[i];
    } else {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      bytes += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return bytes;
}

std::optional<std::string> DecodeB(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

std::string FromLatin1(const std::string& bytes) {
  std::string utf8;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      utf8 += c;
    } else {
      utf8 += static_cast<char>(0xC0 | (byte >> 6));
      utf8 += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return utf8;
}

// An encoded word that starts at `text[0]`.
struct EncodedWord {
  std::string text;
  size_t length = 0;
};

std::optional<EncodedWord> ReadEncodedWord(std::string_view text) {
  if (text.substr(0, 2) != "=?") return std::nullopt;
  const size_t encoding = text.find('?', 2);
  if (encoding == std::string_view::npos || encoding + 3 > text.size()) return std::nullopt;
  if (text[encoding + 2] != '?') return std::nullopt;
  const size_t start = encoding + 3;
  const size_t end = text.find("?=", start);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view content = text.substr(start, end - start);
  if (content.find_first_of(" ?") != std::string_view::npos) return std::nullopt;
  // RFC 2231 5: a language may follow the charset.
  const std::string_view charset = text.substr(2, encoding - 2).substr(0, text.substr(2).find('*'));
  const char kind = static_cast<char>(std::toupper(static_cast<unsigned char>(text[encoding + 1])));
  std::optional<std::string> bytes;
  if (kind == 'B') bytes = DecodeB(content);
  if (kind == 'Q') bytes = DecodeQ(content);
  if (!bytes) return std::nullopt;
  if (SameWord(charset, "iso-8859-1")) {
    bytes = FromLatin1(*bytes);
  } else if (!SameWord(charset, "utf-8") && !SameWord(charset, "us-ascii")) {
    return std::nullopt;
  }
  return EncodedWord{*std::move(bytes), end + 2};
}

}  // namespace

std::string_view HeaderSection(std::string_view mail) {
  for (size_t line = 0; line < mail.size();) {
    const size_t end = mail.find('\n', line);
    if (end == std::string_view::npos) return mail;
    if (end == line || (end == line + 1 && mail[line] == '\r')) return mail.substr(0, line);
    line = end + 1;
  }
  return mail;
}

std::vector<std::pair<std::string, std::string>> HeaderFields(std::string_view mail) {
  std::vector<std::pair<std::string, std::string>> fields;
  const std::string_view section = HeaderSection(mail);
  for (size_t at = 0; at < section.size();) {
    const size_t end = std::min(section.find('\n', at), section.size());
    std::string_view line = section.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    at = end + 1;
    const size_t colon = line.find(':');
    if (!line.empty() && (line[0] == ' ' || line[0] == '\t')) {
      if (!fields.empty()) fields.back().second += line;
    } else if (colon != std::string_view::npos) {
      fields.emplace_back(TrimBlanks(line.substr(0, colon)), TrimBlanks(line.substr(colon + 1)));
    }
  }
  return fields;
}

std::string HeaderValue(const std::vector<std::pair<std::string, std::string>>& fields,
                        std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (SameWord(key, name)) return DecodeWords(TrimBlanks(value));
  }
  return "";
}

std::vector<std::string> HeaderList(const std::vector<std::pair<std::string, std::string>>& fields,
                                    std::string_view name) {
  std::vector<std::string> list;
  for (const auto& [key, value] : fields) {
    if (!SameWord(key, name)) continue;
    for (const std::string_view entry : SplitList(value)) {
      list.push_back(DecodeWords(TrimBlanks(entry)));
    }
    break;
  }
  return list;
}

std::string DecodeWords(std::string_view value) {
  std::string text;
  bool after_word = false;
  size_t blanks = 0;  // at the end of `text`, since the last encoded word
  for (size_t i = 0; i < value.size();) {
    if (const auto word = ReadEncodedWord(value.substr(i))) {
      if (after_word) text.resize(text.size() - blanks);
      text += word->text;
      i += word->length;
      after_word = true;
      blanks = 0;
      continue;
    }
    const bool blank = value[i] == ' ' || value[i] == '\t';
    after_word = after_word && blank;
    blanks = blank ? blanks + 1 : 0;
    text += value[i++];
  }
  return text;
}

}  // namespace sendstep::cli
