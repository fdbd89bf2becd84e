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

}  // namespace sendstep::base
