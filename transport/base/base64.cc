#include "transport/base/base64.h"

#include <openssl/evp.h>

namespace sendstep::base {
namespace {

size_t DigitsOf(size_t bytes) { return (bytes + 2) / 3 * 4; }

// Also writes a NUL behind the digits. The end of the digits.
char* Encode(std::string_view bytes, char* to) {
  return to + EVP_EncodeBlock(reinterpret_cast<unsigned char*>(to),
                              reinterpret_cast<const unsigned char*>(bytes.data()),
                              static_cast<int>(bytes.size()));
}

}  // namespace

void AppendBase64(std::string_view bytes, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + DigitsOf(bytes.size()));
  Encode(bytes, out.data() + begin);
}

void AppendBase64Lines(std::string_view bytes, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + Base64LinesSize(bytes.size()));
  // Each NUL is overwritten by what follows it, the last one is the string's own.
  char* to = out.data() + begin;
  for (; bytes.size() > kBase64LineBytes; bytes.remove_prefix(kBase64LineBytes)) {
    to = Encode(bytes.substr(0, kBase64LineBytes), to);
    *to++ = '\r';
    *to++ = '\n';
  }
  Encode(bytes, to);
}

size_t Base64LinesSize(size_t bytes) {
  if (bytes == 0) return 0;
  return DigitsOf(bytes) + (bytes - 1) / kBase64LineBytes * 2;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr size_t kMaxText = size_t{1} << 30;  // OpenSSL counts in int
  if (text.size() % 4 != 0 || text.size() > kMaxText) return std::nullopt;
  if (text.empty()) return std::string();
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (text.substr(0, text.size() - padding).find_first_not_of(kDigits) != text.npos) {
    return std::nullopt;
  }
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

}  // namespace sendstep::base
