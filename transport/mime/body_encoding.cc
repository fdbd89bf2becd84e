#include "transport/mime/body_encoding.h"

#include <algorithm>

#include "transport/base/address.h"
#include "transport/base/base64.h"

namespace sendstep::mime {
namespace {

constexpr size_t kMaxLine = 998;        // RFC 5322 2.1.1
constexpr size_t kMaxEncodedLine = 76;  // RFC 2045 6.7

constexpr std::string_view kCrlf = "\r\n";
constexpr std::string_view kFrom = "From ";

bool IsQpLiteral(char c) { return (c >= ' ' && c <= '~' && c != '=') || c == '\t'; }

// Whether the byte that `rest` begins with can stay as it is.
bool StaysLiteral(std::string_view rest, bool at_line_end, bool at_line_begin) {
  const char c = rest.front();
  if (!IsQpLiteral(c)) return false;
  if (at_line_end && (c == ' ' || c == '\t')) return false;  // may be stripped on the way
  // A line that mailboxes change, and one that broken relays take for the end of the message.
  return !(at_line_begin && (rest.starts_with(kFrom) || c == '.'));
}

void AppendQuotedPrintable(std::string_view rest, std::string& out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  size_t column = 0;
  while (!rest.empty()) {
    if (rest.starts_with(kCrlf)) {
      out += kCrlf;
      column = 0;
      rest.remove_prefix(kCrlf.size());
      continue;
    }
    const bool at_line_end = rest.size() == 1 || rest.substr(1).starts_with(kCrlf);
    const bool literal = StaysLiteral(rest, at_line_end, column == 0);
    const size_t width = literal ? 1 : 3;
    if (column + width > kMaxEncodedLine - (at_line_end ? 0 : 1)) {
      out += "=\r\n";
      column = 0;
      continue;  // what begins a line has its own rule
    }
    if (literal) {
      out += rest.front();
    } else {
      const auto byte = static_cast<unsigned char>(rest.front());
      out += {'=', kHex[byte >> 4], kHex[byte & 15]};
    }
    column += width;
    rest.remove_prefix(1);
  }
}

size_t QuotedPrintableSize(std::string_view text) {
  size_t size = 0;
  for (char c : text) size += IsQpLiteral(c) || c == '\r' || c == '\n' ? 1 : 3;
  return size + size / (kMaxEncodedLine - 3) * 3;
}

bool HasFromLine(std::string_view text) {
  return text.starts_with(kFrom) || text.find("\nFrom ") != std::string_view::npos;
}

}  // namespace

std::string_view EncodingName(Encoding encoding) {
  switch (encoding) {
    case Encoding::k7Bit:
      return "7bit";
    case Encoding::kQuotedPrintable:
      return "quoted-printable";
    case Encoding::kBase64:
      return "base64";
  }
  return "binary";
}

std::string CanonicalLines(std::string_view text) {
  std::string lines;
  lines.reserve(text.size() + text.size() / 32);
  size_t cr = text.find('\r');
  for (size_t at = 0; at < text.size();) {
    if (cr < at) cr = text.find('\r', at);
    const size_t end = std::min({text.find('\n', at), cr, text.size()});
    lines += text.substr(at, end - at);
    at = end;
    if (at == text.size()) break;
    lines += kCrlf;
    at += text.substr(at).starts_with(kCrlf) ? 2 : 1;
  }
  return lines;
}

bool Is7Bit(std::string_view bytes) {
  if (!base::IsAscii(bytes) || bytes.find('\0') != bytes.npos) return false;
  for (bool last = false; !last;) {
    const size_t end = bytes.find('\n');
    std::string_view line = bytes.substr(0, end);
    last = end == bytes.npos;
    if (!last) {
      if (!line.ends_with('\r')) return false;
      line.remove_suffix(1);
      bytes.remove_prefix(end + 1);
    }
    if (line.size() > kMaxLine || line.find('\r') != line.npos) return false;
  }
  return true;
}

Encoding ChooseEncoding(std::string_view canonical) {
  if (Is7Bit(canonical) && !HasFromLine(canonical)) return Encoding::k7Bit;
  const bool q_is_shorter =
      QuotedPrintableSize(canonical) <= base::Base64LinesSize(canonical.size());
  return q_is_shorter ? Encoding::kQuotedPrintable : Encoding::kBase64;
}

size_t EncodedSize(std::string_view content, Encoding encoding) {
  switch (encoding) {
    case Encoding::k7Bit:
      return content.size();
    case Encoding::kQuotedPrintable:
      return QuotedPrintableSize(content);
    case Encoding::kBase64:
      return base::Base64LinesSize(content.size());
  }
  return 0;
}

void AppendEncoded(std::string_view content, Encoding encoding, std::string& out) {
  switch (encoding) {
    case Encoding::k7Bit:
      out += content;
      break;
    case Encoding::kQuotedPrintable:
      AppendQuotedPrintable(content, out);
      break;
    case Encoding::kBase64:
      base::AppendBase64Lines(content, out);
      break;
  }
}

}  // namespace sendstep::mime
