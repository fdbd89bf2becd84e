#include "plugin/message_id.h"

#include <openssl/rand.h>

#include <stdexcept>

#include "absl/strings/escaping.h"

namespace sendstep::plugin {
namespace {

constexpr size_t kIdBytes = 16;

}  // namespace

std::string RandomHex(size_t bytes) {
  std::string raw(bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes)) != 1) {
    throw std::runtime_error("the system's random generator failed");
  }
  return absl::BytesToHexString(raw);
}

std::string MakeMessageId(const KeyedDigest& digest, std::string_view space,
                          std::string_view tenant, std::string_view request_id,
                          std::string_view domain) {
  std::string id;
  if (request_id.empty()) {
    id = RandomHex(kIdBytes);
  } else {
    const std::string_view parts[] = {tenant, request_id};
    id = absl::BytesToHexString(digest(space, parts).substr(0, kIdBytes));
  }
  return "<" + id + "@" + std::string(domain) + ">";
}

}  // namespace sendstep::plugin
