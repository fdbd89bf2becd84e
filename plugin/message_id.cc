#include "plugin/message_id.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <stdexcept>
#include <vector>

#include "absl/strings/escaping.h"

namespace sendstep::plugin {
namespace {

constexpr size_t kIdBytes = 16;

// Length before each part: no two triples give the same bytes.
void AppendPart(std::string& out, std::string_view part) {
  out += std::to_string(part.size());
  out += ':';
  out += part;
}

}  // namespace

std::string RandomHex(size_t bytes) {
  std::string raw(bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes)) != 1) {
    throw std::runtime_error("the system's random generator failed");
  }
  return absl::BytesToHexString(raw);
}

std::string MakeMessageId(const base::Secret& key, std::string_view space, std::string_view tenant,
                          std::string_view request_id, std::string_view domain) {
  std::string id;
  if (request_id.empty()) {
    id = RandomHex(kIdBytes);
  } else {
    std::string input;
    AppendPart(input, space);
    AppendPart(input, tenant);
    AppendPart(input, request_id);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(EVP_sha256(), key.Reveal().data(), static_cast<int>(key.Reveal().size()),
         reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest, &size);
    id = absl::BytesToHexString(absl::string_view(reinterpret_cast<char*>(digest), kIdBytes));
  }
  return "<" + id + "@" + std::string(domain) + ">";
}

}  // namespace sendstep::plugin
