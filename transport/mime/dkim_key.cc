#include "transport/mime/dkim_key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <utility>

#include "transport/base/address.h"

namespace sendstep::mime {
namespace {

constexpr size_t kMaxLabel = 63;  // RFC 1035 2.3.4

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

base::Error Invalid(std::string detail) {
  // What OpenSSL noted of it would be taken for TLS's own failure on this thread.
  ERR_clear_error();
  return base::Failed(base::Stage::kConfig, base::Cause::kInvalid, base::ErrorClass::kPermanent,
                      std::move(detail));
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Called only where a key is encrypted: there is no passphrase.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

base::Result<std::shared_ptr<EVP_PKEY>> ReadPem(const base::Secret& pem) {
  const std::string_view text = pem.Reveal();
  // Reads in place.
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  bool encrypted = false;
  std::shared_ptr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, &encrypted), Free());
  if (encrypted) return Invalid("the private key is encrypted: write it without a passphrase");
  if (key == nullptr) return Invalid("the private key is not one in PEM");
  return key;
}

}  // namespace

bool IsDkimSelector(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string_view label = text.substr(begin, end - begin);
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-' ||
        !std::ranges::all_of(label, is_plain)) {
      return false;
    }
    begin = end + 1;
  }
  return true;
}

bool DkimCovers(std::string_view domain, std::string_view from_domain) {
  if (!from_domain.ends_with(domain)) return false;
  from_domain.remove_suffix(domain.size());
  return from_domain.empty() || from_domain.ends_with('.');
}

base::Result<DkimKey> DkimKey::Load(std::string_view domain, std::string_view selector,
                                    const base::Secret& pem) {
  auto ascii = base::ToAsciiDomain(domain);
  if (!ascii) return ascii.error();
  if (!IsDkimSelector(selector)) {
    return Invalid("the selector is not letters, digits and hyphens between dots");
  }
  auto read = ReadPem(pem);
  if (!read) return read.error();
  DkimKey key;
  key.domain_ = *std::move(ascii);
  key.selector_ = selector;
  key.key_ = *std::move(read);
  key.bits_ = EVP_PKEY_get_bits(key.key_.get());
  const int type = EVP_PKEY_get_base_id(key.key_.get());
  key.ed25519_ = type == EVP_PKEY_ED25519;
  if (key.ed25519_) return key;
  if (type != EVP_PKEY_RSA) return Invalid("the private key is neither RSA nor Ed25519");
  if (key.bits_ < kMinDkimRsaBits || key.bits_ > kMaxDkimRsaBits) {
    return Invalid("the private key has " + std::to_string(key.bits_) + " bits: RSA needs " +
                   std::to_string(kMinDkimRsaBits) + " to " + std::to_string(kMaxDkimRsaBits));
  }
  return key;
}

base::Result<std::string> DkimKey::Sign(std::string_view text) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
  unsigned int hash_size = 0;
  std::string_view signed_text = text;
  if (ed25519_) {
    // RFC 8463 3: Ed25519 signs the hash as its message.
    if (EVP_Digest(text.data(), text.size(), hash.data(), &hash_size, EVP_sha256(), nullptr) != 1) {
      return Invalid("SHA-256 fails");
    }
    signed_text = {reinterpret_cast<const char*>(hash.data()), hash_size};
  }
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::string signature(static_cast<size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  size_t size = signature.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, ed25519_ ? nullptr : EVP_sha256(), nullptr,
                         key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     Bytes(signed_text), signed_text.size()) != 1) {
    return Invalid("the DKIM key of " + selector_ + "._domainkey." + domain_ + " cannot sign");
  }
  signature.resize(size);
  return signature;
}

}  // namespace sendstep::mime
