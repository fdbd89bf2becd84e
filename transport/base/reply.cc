#include "transport/base/reply.h"

#include <algorithm>
#include <string_view>

#include "transport/base/utf8.h"

namespace sendstep::base {
namespace {

// Appends what fits within `max_bytes`; false when something did not.
bool AppendPrintable(std::string_view line, size_t max_bytes, std::string& out) {
  while (!line.empty()) {
    const CodePoint c = DecodeUtf8(line);
    const bool printable = c.size != 0 && !IsControl(c.value);
    const size_t size = std::max<size_t>(c.size, 1);
    const std::string_view piece = printable ? line.substr(0, size) : "?";
    if (out.size() + piece.size() > max_bytes) return false;
    out += piece;
    line.remove_prefix(size);
  }
  return true;
}

}  // namespace

std::string Reply::Text(size_t max_bytes) const {
  std::string text;
  for (const std::string& line : lines) {
    if (line.empty()) continue;
    if (!text.empty() && !AppendPrintable(" ", max_bytes, text)) break;
    if (!AppendPrintable(line, max_bytes, text)) break;
  }
  return text;
}

void Reply::Shorten(size_t max_bytes) {
  size_t kept = 0;
  for (; kept < lines.size() && lines[kept].size() <= max_bytes; ++kept) {
    max_bytes -= lines[kept].size();
  }
  if (kept == lines.size()) return;
  lines[kept].resize(Cut(lines[kept], max_bytes).size());
  lines[kept].shrink_to_fit();
  lines.resize(kept + 1);
  lines.shrink_to_fit();
}

}  // namespace sendstep::base
