// Small readers of what compose writes, after the RFCs and not after our encoders.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_MIME_DECODERS_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_MIME_DECODERS_H_

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/content.h"

namespace sendstep::mime {

// All bytes of a content.
inline std::string Flat(const base::Content& content) {
  std::string bytes;
  std::string scratch;
  scratch.reserve(content.size() + 100);
  base::ContentReader reader(content);
  while (!reader.done()) bytes += reader.Next(content.size() + 100, scratch);
  EXPECT_EQ(bytes.size(), content.size());
  return bytes;
}

inline int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Lines without their CRLF. A failure where the text has a bare CR or LF or ends without CRLF.
inline std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      lines.emplace_back();
      ++i;
    } else {
      if (text[i] == '\r' || text[i] == '\n') ADD_FAILURE() << "bare line break at " << i;
      lines.back() += text[i];
    }
  }
  if (!lines.back().empty()) ADD_FAILURE() << "no line break at the end";
  lines.pop_back();
  return lines;
}

// RFC 2045 6.7. Fails on what a strict reader refuses.
inline std::string DecodeQuotedPrintable(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      decoded += text[i];
    } else if (text.substr(i + 1, 2) == "\r\n") {
      i += 2;
    } else {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        ADD_FAILURE() << "broken escape at " << i;
        return decoded;
      }
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

// RFC 4648 4, line breaks skipped. Fails on what is not canonical.
inline std::string DecodeBase64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string decoded;
  unsigned bits = 0;
  int have = 0;
  size_t digits = 0;
  size_t padding = 0;
  for (char c : text) {
    if (c == '\r' || c == '\n') continue;
    ++digits;
    if (c == '=') {
      ++padding;
      continue;
    }
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos || padding > 0) {
      ADD_FAILURE() << "not base64: " << c;
      return decoded;
    }
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xFFFF;
    have += 6;
    if (have >= 8) {
      have -= 8;
      decoded += static_cast<char>(bits >> have & 0xFF);
    }
  }
  if (digits % 4 != 0 || padding > 2 || (bits & ((1u << have) - 1)) != 0) {
    ADD_FAILURE() << "base64 does not end as it should";
  }
  return decoded;
}

// RFC 2047: a whole header value, unfolded. Blanks between encoded words vanish.
inline std::string DecodeWords(std::string_view value) {
  std::string decoded;
  bool after_word = false;
  while (!value.empty()) {
    const size_t begin = std::min(value.find("=?UTF-8?"), value.size());
    const std::string_view plain = value.substr(0, begin);
    if (!after_word || begin == value.size() ||
        plain.find_first_not_of(" \r\n") != std::string_view::npos) {
      decoded += plain;
    }
    value.remove_prefix(begin);
    if (value.empty()) break;
    const size_t end = value.find("?=", 10);
    if (end == std::string_view::npos) {
      ADD_FAILURE() << "encoded word without an end";
      return decoded;
    }
    if (end + 2 > 75) ADD_FAILURE() << "encoded word of " << end + 2 << " bytes";
    std::string payload(value.substr(10, end - 10));
    std::string word;
    if (value[8] == 'B') {
      word = DecodeBase64(payload);
    } else {
      for (char& c : payload) {
        if (c == '_') c = ' ';
      }
      word = DecodeQuotedPrintable(payload);
    }
    decoded += word;
    after_word = true;
    value.remove_prefix(end + 2);
  }
  return decoded;
}

// The value of the first field `name` of a message or part, folds kept; "(none)" where there is
// none.
inline std::string Field(std::string_view bytes, std::string_view name) {
  const std::string head = "\r\n" + std::string(bytes.substr(0, bytes.find("\r\n\r\n") + 2));
  const std::string start = "\r\n" + std::string(name) + ":";
  size_t begin = head.find(start);
  if (begin == std::string::npos) return "(none)";
  begin += start.size();
  size_t end = head.find("\r\n", begin);
  while (end + 2 < head.size() && head[end + 2] == ' ') end = head.find("\r\n", end + 2);
  if (head[begin] == ' ') ++begin;
  return head.substr(begin, end - begin);
}

// RFC 5322 2.2.3.
inline std::string Unfolded(std::string value) {
  for (size_t at; (at = value.find("\r\n")) != std::string::npos;) value.erase(at, 2);
  return value;
}

}  // namespace sendstep::mime

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_MIME_DECODERS_H_
