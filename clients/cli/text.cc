#include "clients/cli/text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>

namespace sendstep::cli {
namespace {

struct Character {
  uint32_t code = 0;
  size_t length = 0;  // 0: not UTF-8
};

Character Decode(std::string_view text, size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF5 || lead < 0xC2 ? 0 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (length == 0 || text.size() - i < length) return {};
  uint32_t code = lead & (0xFFu >> (length + 1));
  for (size_t k = 1; k < length; ++k) {
    const auto next = static_cast<unsigned char>(text[i + k]);
    if ((next & 0xC0) != 0x80) return {};
    code = (code << 6) | (next & 0x3Fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (overlong || surrogate || code > 0x10FFFF) return {};
  return {code, length};
}

bool IsUnsafe(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) ||  // controls
         code == 0x2028 || code == 0x2029 ||               // line and paragraph separator
         code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);  // direction
}

std::string Escape(uint32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  char text[16];
  std::snprintf(text, sizeof text, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
  return text;
}

std::string Safe(std::string_view text, bool lines) {
  std::string safe;
  safe.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Character c = Decode(text, i);
    if (c.length == 0) {
      safe += Escape(static_cast<unsigned char>(text[i++]));
      continue;
    }
    const bool kept = lines && (c.code == '\n' || c.code == '\t');
    const bool line_end = lines && c.code == '\r' && text.substr(i + 1, 1) == "\n";
    if (kept || !IsUnsafe(c.code)) {
      safe += text.substr(i, c.length);
    } else if (!line_end) {
      safe += Escape(c.code);
    }
    i += c.length;
  }
  return safe;
}

}  // namespace

std::string Shown(std::string_view text) { return Safe(text, false); }
std::string ShownLines(std::string_view text) { return Safe(text, true); }

bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = Decode(text, i).length;
    if (length == 0) return false;
    i += length;
  }
  return true;
}

size_t Width(std::string_view utf8) {
  return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string Padded(std::string text, size_t width) {
  const size_t have = Width(text);
  if (have < width) text.append(width - have, ' ');
  return text;
}

std::string Clipped(std::string utf8, size_t width) {
  constexpr std::string_view kDots = "...";
  if (Width(utf8) <= width) return utf8;
  size_t kept = 0;
  for (size_t column = 0; column + kDots.size() < width; ++column) {
    kept += std::max<size_t>(Decode(utf8, kept).length, 1);
  }
  return utf8.substr(0, kept).append(kDots, 0, width);
}

std::string ShellWord(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("%+,-./:=@_").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  std::string word = "'";
  for (const char c : Shown(text)) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string Table(const std::vector<std::vector<std::string>>& rows, std::string_view indent) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line(indent);
    for (size_t i = 0; i < row.size(); ++i) line += Padded(row[i], widths[i]) + "  ";
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string Style::Paint(std::string_view code, std::string_view text) const {
  if (!colours_) return std::string(text);
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace sendstep::cli
