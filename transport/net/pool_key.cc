#include "transport/net/pool_key.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <memory>
#include <string_view>
#include <vector>

namespace sendstep::net {
namespace {

std::string Salt() {
  std::string salt(32, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), static_cast<int>(salt.size()));
  return salt;
}

void AppendSize(std::string_view field, std::string& out) {
  const size_t size = field.size();
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
}

}  // namespace

std::string PoolKey(const smtp::SmtpSettings& settings) {
  static const std::string salt = Salt();
  // Found once: OpenSSL takes longer to find it than to digest.
  static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> sha256(
      EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free);

  // All but credentials, each field behind its size: no two lists give the same bytes.
  std::string fields = salt;
  const auto add = [&fields](std::string_view field) {
    AppendSize(field, fields);
    fields += field;
  };
  add(settings.tenant);
  add(settings.host);
  add(std::to_string(settings.port));
  add(std::to_string(static_cast<int>(settings.tls.policy)));
  add(settings.tls.verify ? "+" : "-");
  add(settings.tls.ca_pem);
  add(settings.tls.pinned_key_sha256);
  add(settings.tls.tls13_only ? "+" : "-");
  add(settings.tls.server_name);
  add(settings.ehlo_name);
  add(settings.allow_plaintext_auth ? "+" : "-");
  add(settings.swallows_refused_chunk ? "+" : "-");
  add(std::to_string(settings.mechanisms.size()));
  for (const smtp::SaslMechanism mechanism : settings.mechanisms) {
    add(smtp::MechanismName(mechanism));
  }
  // Of secrets the sizes; they themselves go from where they are into the hash.
  std::vector<std::string_view> secrets;
  if (const auto& credentials = settings.credentials) {
    add(credentials->username_is_secret ? "+" : "-");
    add(credentials->token_of);
    secrets = {credentials->username, credentials->password.Reveal()};
    if (credentials->token_of.empty()) secrets.push_back(credentials->oauth2_token.Reveal());
  }
  if (const auto& proxy = settings.proxy) {
    add(std::to_string(static_cast<int>(proxy->kind)));
    add(proxy->host);
    add(std::to_string(proxy->port));
    add(proxy->username);
    secrets.push_back(proxy->password.Reveal());
  }
  for (const std::string_view secret : secrets) AppendSize(secret, fields);

  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  EVP_DigestInit_ex(hash.get(), sha256.get(), nullptr);
  EVP_DigestUpdate(hash.get(), fields.data(), fields.size());
  for (const std::string_view secret : secrets) {
    EVP_DigestUpdate(hash.get(), secret.data(), secret.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned int size = 0;
  EVP_DigestFinal_ex(hash.get(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

}  // namespace sendstep::net
