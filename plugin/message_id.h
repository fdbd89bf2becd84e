// Message-IDs (RFC 5322 3.6.4). One request_id always gives the same one, so that a receiver can
// tell a second copy; nobody without the key can guess it or learn the request_id from it.
#ifndef SENDSTEP_PLUGIN_MESSAGE_ID_H_
#define SENDSTEP_PLUGIN_MESSAGE_ID_H_

#include <string>
#include <string_view>

#include "plugin/keyed_digest.h"

namespace sendstep::plugin {

// "<" HMAC-SHA-256(key, space, tenant, request_id), 128 bits of it in hex "@" domain ">". `space`
// keeps Execute and TestSend apart. An empty request_id gives a random one.
std::string MakeMessageId(const KeyedDigest& digest, std::string_view space,
                          std::string_view tenant, std::string_view request_id,
                          std::string_view domain);

// `bytes` random bytes from the system's generator, in hex.
std::string RandomHex(size_t bytes);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_MESSAGE_ID_H_
