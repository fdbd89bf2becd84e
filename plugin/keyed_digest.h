// HMAC-SHA-256 (RFC 2104) under this server's key, of several parts told apart.
#ifndef SENDSTEP_PLUGIN_KEYED_DIGEST_H_
#define SENDSTEP_PLUGIN_KEYED_DIGEST_H_

#include <span>
#include <string>
#include <string_view>

#include "transport/base/secret.h"

namespace sendstep::plugin {

// 32 bytes. `purpose` keeps the digests of one use apart from those of another.
std::string KeyedDigest(const base::Secret& key, std::string_view purpose,
                        std::span<const std::string_view> parts);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_KEYED_DIGEST_H_
