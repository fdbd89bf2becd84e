#include "transport/net/pool_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sendstep::net {

std::string PoolKey(const smtp::SmtpSettings& settings) {
  static const std::array<char, 32> salt = [] {
    std::array<char, 32> bytes = {};
    RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size());
    return bytes;
  }();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  EVP_DigestUpdate(hash.get(), salt.data(), salt.size());
  const auto add = [&hash](std::string_view field) {
    const uint64_t size = field.size();
    EVP_DigestUpdate(hash.get(), &size, sizeof size);
    EVP_DigestUpdate(hash.get(), field.data(), field.size());
  };
  add(settings.tenant);
  add(settings.host);
  add(std::to_string(settings.port));
  add(std::to_string(static_cast<int>(settings.tls.policy)));
  add(settings.tls.verify ? "+" : "-");
  add(settings.tls.ca_pem);
  add(settings.ehlo_name);
  add(settings.swallows_refused_chunk ? "+" : "-");
  add(std::to_string(settings.mechanisms.size()));
  for (const smtp::SaslMechanism mechanism : settings.mechanisms) {
    add(smtp::MechanismName(mechanism));
  }
  if (settings.credentials) {
    add(settings.credentials->username);
    add(settings.credentials->username_is_secret ? "+" : "-");
    add(settings.credentials->password.Reveal());
    add(settings.credentials->oauth2_token.Reveal());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned int size = 0;
  EVP_DigestFinal_ex(hash.get(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

}  // namespace sendstep::net
