#include "providers/sandbox/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string_view>

#include "absl/status/status.h"

namespace sendstep::providers::sandbox {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using MemoryBio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

constexpr long kBackdatedSeconds = 3600;
constexpr int kValidDays = 3650;

absl::Status OpenSslError() {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  return absl::InternalError(text);
}

Key MakeKey() { return Key(EVP_EC_gen("P-256")); }

bool SetSerialNumber(X509* certificate) {
  unsigned char bytes[8];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) return false;
  uint64_t serial = 0;
  for (unsigned char byte : bytes) serial = serial << 8 | byte;
  // Positive and not zero (RFC 5280 4.1.2.2).
  serial = (serial >> 1) | 1;
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Version 3, with everything but its extensions and signature.
Certificate MakeUnsigned(EVP_PKEY* key, std::string_view common_name, X509* issuer) {
  Certificate certificate(X509_new());
  if (!certificate) return nullptr;
  X509* x509 = certificate.get();
  X509_NAME* name = X509_get_subject_name(x509);
  const bool ok =
      X509_set_version(x509, X509_VERSION_3) == 1 && SetSerialNumber(x509) &&
      X509_gmtime_adj(X509_getm_notBefore(x509), -kBackdatedSeconds) != nullptr &&
      X509_time_adj_ex(X509_getm_notAfter(x509), kValidDays, 0, nullptr) != nullptr &&
      X509_set_pubkey(x509, key) == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) == 1 &&
      X509_set_issuer_name(x509, issuer ? X509_get_subject_name(issuer) : name) == 1;
  return ok ? std::move(certificate) : nullptr;
}

Certificate MakeAuthority(EVP_PKEY* key) {
  Certificate ca = MakeUnsigned(key, "sendstep sandbox CA", nullptr);
  const bool ok =
      ca && AddExtension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      AddExtension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign") &&
      AddExtension(ca.get(), ca.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(ca.get(), key, EVP_sha256()) > 0;
  return ok ? std::move(ca) : nullptr;
}

Certificate MakeLeaf(EVP_PKEY* key, X509* ca, EVP_PKEY* ca_key) {
  Certificate leaf = MakeUnsigned(key, "localhost", ca);
  const bool ok =
      leaf && AddExtension(leaf.get(), ca, NID_basic_constraints, "critical,CA:FALSE") &&
      AddExtension(leaf.get(), ca, NID_key_usage, "critical,digitalSignature") &&
      AddExtension(leaf.get(), ca, NID_ext_key_usage, "serverAuth") &&
      AddExtension(leaf.get(), ca, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost") &&
      AddExtension(leaf.get(), ca, NID_subject_key_identifier, "hash") &&
      AddExtension(leaf.get(), ca, NID_authority_key_identifier, "keyid:always") &&
      X509_sign(leaf.get(), ca_key, EVP_sha256()) > 0;
  return ok ? std::move(leaf) : nullptr;
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

std::string Pem(X509* certificate) {
  MemoryBio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return {};
  return Contents(bio.get());
}

std::string Pem(EVP_PKEY* key) {
  MemoryBio bio(BIO_new(BIO_s_secmem()));
  if (!bio ||
      PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return {};
  }
  return Contents(bio.get());
}

}  // namespace

absl::StatusOr<ServerIdentity> MakeServerIdentity() {
  const Key ca_key = MakeKey();
  const Key leaf_key = MakeKey();
  if (!ca_key || !leaf_key) return OpenSslError();
  const Certificate ca = MakeAuthority(ca_key.get());
  if (!ca) return OpenSslError();
  const Certificate leaf = MakeLeaf(leaf_key.get(), ca.get(), ca_key.get());
  if (!leaf) return OpenSslError();

  ServerIdentity identity;
  identity.ca_pem = Pem(ca.get());
  identity.certificate_pem = Pem(leaf.get());
  std::string key_pem = Pem(leaf_key.get());
  identity.private_key_pem = base::Secret(key_pem);
  base::Wipe(key_pem);
  if (identity.ca_pem.empty() || identity.certificate_pem.empty() ||
      identity.private_key_pem.empty()) {
    return OpenSslError();
  }
  return identity;
}

}  // namespace sendstep::providers::sandbox
