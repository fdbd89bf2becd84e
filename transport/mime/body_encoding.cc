#include "transport/mime/body_encoding.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sendstep::mime {
namespace {

constexpr size_t kMaxLine = 998;        // RFC 5322 2.1.1
constexpr size_t kMaxEncodedLine = 76;  // RFC 2045 6.7, 6.8
constexpr size_t kBytesPerBase64Line = kMaxEncodedLine / 4 * 3;

constexpr std::string_view kCrlf = "\r\n";
constexpr std::string_view kFrom = "From ";

constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Writes base64 of `bytes` to `to`, which has the room; returns its length.
size_t WriteBase64(std::string_view bytes, char* to) {
  char* const begin = to;
  const auto* from = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 3; left -= 3, from += 3) {
    const uint32_t group = uint32_t{from[0]} << 16 | uint32_t{from[1]} << 8 | from[2];
    *to++ = kBase64Alphabet[group >> 18];
    *to++ = kBase64Alphabet[group >> 12 & 63];
    *to++ = kBase64Alphabet[group >> 6 & 63];
    *to++ = kBase64Alphabet[group & 63];
  }
  if (left > 0) {
    const uint32_t group = uint32_t{from[0]} << 16 | (left == 2 ? uint32_t{from[1]} << 8 : 0);
    *to++ = kBase64Alphabet[group >> 18];
    *to++ = kBase64Alphabet[group >> 12 & 63];
    *to++ = left == 2 ? kBase64Alphabet[group >> 6 & 63] : '=';
    *to++ = '=';
  }
  return static_cast<size_t>(to - begin);
}

void AppendBase64Lines(std::string_view bytes, std::string& out) {
  std::array<char, kMaxEncodedLine> line;
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kBytesPerBase64Line);
    out.append(line.data(), WriteBase64(piece, line.data()));
    bytes.remove_prefix(piece.size());
    if (!bytes.empty()) out += kCrlf;
  }
}

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

size_t Base64Size(size_t bytes) {
  return (bytes + 2) / 3 * 4 + bytes / kBytesPerBase64Line * kCrlf.size();
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
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(kCrlf), text.size());
    lines += text.substr(0, end);
    text.remove_prefix(end);
    if (text.empty()) break;
    lines += kCrlf;
    text.remove_prefix(text.starts_with(kCrlf) ? 2 : 1);
  }
  return lines;
}

bool Is7Bit(std::string_view bytes) {
  size_t column = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte == '\r' && bytes.substr(i).starts_with(kCrlf)) {
      column = 0;
      ++i;
      continue;
    }
    if (byte == 0 || byte > 127 || byte == '\r' || byte == '\n' || ++column > kMaxLine)
      return false;
  }
  return true;
}

Encoding ChooseEncoding(std::string_view canonical) {
  if (Is7Bit(canonical) && !HasFromLine(canonical)) return Encoding::k7Bit;
  const bool q_is_shorter = QuotedPrintableSize(canonical) <= Base64Size(canonical.size());
  return q_is_shorter ? Encoding::kQuotedPrintable : Encoding::kBase64;
}

size_t EncodedSize(std::string_view content, Encoding encoding) {
  switch (encoding) {
    case Encoding::k7Bit:
      return content.size();
    case Encoding::kQuotedPrintable:
      return QuotedPrintableSize(content);
    case Encoding::kBase64:
      return Base64Size(content.size());
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
      AppendBase64Lines(content, out);
      break;
  }
}

void AppendBase64(std::string_view bytes, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + (bytes.size() + 2) / 3 * 4);
  WriteBase64(bytes, out.data() + begin);
}

}  // namespace sendstep::mime
