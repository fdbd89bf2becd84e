// HMAC-SHA-256 (RFC 2104) under this server's key, of several parts told apart.
#ifndef SENDSTEP_PLUGIN_KEYED_DIGEST_H_
#define SENDSTEP_PLUGIN_KEYED_DIGEST_H_

#include <openssl/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "transport/base/secret.h"

namespace sendstep::plugin {

// Made once for each key: OpenSSL takes longer to begin with a key than to digest a short text.
//
// Threads: thread-safe.
class KeyedDigest {
 public:
  explicit KeyedDigest(const base::Secret& key = {});

  // 32 bytes. `purpose` keeps the digests of one use apart from those of another.
  std::string operator()(std::string_view purpose, std::span<const std::string_view> parts) const;

 private:
  std::shared_ptr<const EVP_MAC_CTX> begun_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_KEYED_DIGEST_H_
