// UTF-8, one code point at a time (RFC 3629).
#ifndef SENDSTEP_TRANSPORT_BASE_UTF8_H_
#define SENDSTEP_TRANSPORT_BASE_UTF8_H_

#include <cstddef>
#include <string_view>

namespace sendstep::base {

struct CodePoint {
  char32_t value = 0;
  size_t size = 0;  // in bytes; 0: the text does not begin with valid UTF-8
};

// The first code point of `text`, which is not empty. Overlong forms, surrogates and values past
// U+10FFFF are not valid.
CodePoint DecodeUtf8(std::string_view text);

// The longest beginning of `text` of at most `max_bytes` that does not end within a code point.
std::string_view Cut(std::string_view text, size_t max_bytes);

// C0, DEL, C1, U+2028 and U+2029: what is no text, or may end a line.
bool IsControl(char32_t c);

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_UTF8_H_
