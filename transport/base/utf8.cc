#include "transport/base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "transport/base/address.h"

namespace sendstep::base {
namespace {

bool NarrowsToLineBreak(char32_t unit) {
  const char32_t low = unit & 0xFF;
  return low == 0 || low == '\n' || low == '\r';
}

// The bytes that a sequence beginning with `lead` has; 0 for a byte that begins none.
size_t SequenceSize(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// How many bytes of ASCII it begins with.
size_t LeadingAscii(std::string_view text) {
  size_t at = 0;
  for (uint64_t word = 0; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if ((word & 0x8080808080808080) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

CodePoint DecodeUtf8(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t size = SequenceSize(lead);
  if (size == 0 || size > text.size()) return {};
  if (size == 1) return {lead, 1};
  char32_t value = lead & (0x7F >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {};
    value = value << 6 | (byte & 0x3F);
  }
  if (size == 3 && (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))) return {};
  if (size == 4 && (value < 0x10000 || value > 0x10FFFF)) return {};
  return {value, size};
}

std::string_view Cut(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

bool IsControl(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029;
}

bool IsAscii(std::string_view text) { return LeadingAscii(text) == text.size(); }

bool IsUtf8(std::string_view text) {
  for (;;) {
    text.remove_prefix(LeadingAscii(text));
    if (text.empty()) return true;
    const CodePoint c = DecodeUtf8(text);
    if (c.size == 0) return false;
    text.remove_prefix(c.size);
  }
}

bool HasControlCharacter(std::string_view utf8) {
  while (!utf8.empty()) {
    const CodePoint c = DecodeUtf8(utf8);
    if (c.size == 0 || (IsControl(c.value) && c.value != '\t')) return true;
    utf8.remove_prefix(c.size);
  }
  return false;
}

bool NarrowsToLineBreak(std::string_view utf8) {
  while (!utf8.empty()) {
    const CodePoint c = DecodeUtf8(utf8);
    if (c.size != 0 && NarrowsToLineBreak(c.value)) return true;
    // Programs that hold UTF-16 narrow each half of a surrogate pair; the low half keeps the low
    // byte.
    if (c.value > 0xFFFF && NarrowsToLineBreak((c.value - 0x10000) >> 10)) return true;
    utf8.remove_prefix(std::max<size_t>(c.size, 1));
  }
  return false;
}

}  // namespace sendstep::base
