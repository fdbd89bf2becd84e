#include "plugin/keyed_digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>
#include <stdexcept>

namespace sendstep::plugin {
namespace {

struct Free {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

void Check(bool worked) {
  if (!worked) throw std::runtime_error("OpenSSL cannot compute an HMAC");
}

void Update(EVP_MAC_CTX* context, std::string_view bytes) {
  Check(EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(bytes.data()),
                       bytes.size()) == 1);
}

// Length before each part: no two lists give the same bytes.
void UpdatePart(EVP_MAC_CTX* context, std::string_view part) {
  Update(context, std::to_string(part.size()) + ":");
  Update(context, part);
}

}  // namespace

KeyedDigest::KeyedDigest(const base::Secret& key) {
  const std::unique_ptr<EVP_MAC, Free> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  Check(mac != nullptr);
  const std::shared_ptr<EVP_MAC_CTX> context(EVP_MAC_CTX_new(mac.get()), Free());
  char hash[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
                                   OSSL_PARAM_construct_end()};
  const std::string_view secret = key.Reveal();
  Check(context != nullptr &&
        EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(secret.data()),
                     secret.size(), parameters) == 1);
  begun_ = context;
}

std::string KeyedDigest::operator()(std::string_view purpose,
                                    std::span<const std::string_view> parts) const {
  const std::unique_ptr<EVP_MAC_CTX, Free> context(EVP_MAC_CTX_dup(begun_.get()));
  Check(context != nullptr);
  UpdatePart(context.get(), purpose);
  for (const std::string_view part : parts) UpdatePart(context.get(), part);
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  size_t size = 0;
  Check(EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                      digest.size()) == 1);
  digest.resize(size);
  return digest;
}

}  // namespace sendstep::plugin
