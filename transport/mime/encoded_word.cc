#include "transport/mime/encoded_word.h"

#include <algorithm>

#include "transport/base/address.h"
#include "transport/base/base64.h"
#include "transport/base/utf8.h"

namespace sendstep::mime {
namespace {

constexpr std::string_view kQPrefix = "=?UTF-8?Q?";
constexpr std::string_view kBPrefix = "=?UTF-8?B?";
constexpr std::string_view kSuffix = "?=";
constexpr size_t kFrame = kQPrefix.size() + kSuffix.size();

// What "Q" writes as it is in a phrase (RFC 2047 5 (3)).
bool IsQLiteral(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '!' ||
         c == '*' || c == '+' || c == '-' || c == '/';
}

size_t QSize(std::string_view text) {
  size_t size = 0;
  for (char c : text) size += c == ' ' || IsQLiteral(c) ? 1 : 3;
  return size;
}

std::string QWord(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string word(kQPrefix);
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ') {
      word += '_';
    } else if (IsQLiteral(c)) {
      word += c;
    } else {
      word += {'=', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return word.append(kSuffix);
}

std::string BWord(std::string_view text) {
  std::string word(kBPrefix);
  base::AppendBase64(text, word);
  return word.append(kSuffix);
}

size_t BSize(size_t bytes) { return (bytes + 2) / 3 * 4; }

}  // namespace

bool NeedsEncoding(std::string_view text) {
  return !text.empty() && (!base::IsAscii(text) || text.find("=?") != std::string_view::npos ||
                           text.front() == ' ' || text.back() == ' ');
}

std::vector<std::string> EncodedWords(std::string_view text, size_t first_room) {
  const bool q = QSize(text) <= BSize(text.size());
  std::vector<std::string> words;
  size_t room = std::min(first_room, kMaxEncodedWord) - kFrame;
  while (!text.empty()) {
    size_t bytes = 0;
    size_t q_size = 0;
    while (bytes < text.size()) {
      const size_t next = std::max<size_t>(base::DecodeUtf8(text.substr(bytes)).size, 1);
      q_size += QSize(text.substr(bytes, next));
      if ((q ? q_size : BSize(bytes + next)) > room) break;
      bytes += next;
    }
    words.push_back(q ? QWord(text.substr(0, bytes)) : BWord(text.substr(0, bytes)));
    text.remove_prefix(bytes);
    room = kMaxEncodedWord - kFrame;
  }
  return words;
}

}  // namespace sendstep::mime
