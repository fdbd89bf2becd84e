#include "tests/support/test_ca.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <stdexcept>

namespace sendstep::testing {
namespace {

using KeyPtr = std::shared_ptr<EVP_PKEY>;
using CertificatePtr = std::shared_ptr<X509>;

void Require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("OpenSSL refused: ") + what);
}

KeyPtr MakeKey() {
  KeyPtr key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  Require(key != nullptr, "key");
  return key;
}

template <class Write>
std::string ToPem(Write write) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  Require(write(bio.get()) == 1, "PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, size);
}

std::string CertificatePem(X509* certificate) {
  return ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string KeyPem(EVP_PKEY* key) {
  return ToPem([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Require(extension != nullptr, value.c_str());
  Require(X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

// Everything but extensions, issuer and signature.
CertificatePtr Draft(const LeafOptions& options, EVP_PKEY* key) {
  CertificatePtr draft(X509_new(), &X509_free);
  X509_set_version(draft.get(), X509_VERSION_3);
  unsigned char serial[8];
  RAND_bytes(serial, sizeof serial);
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(draft.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(draft.get()), options.not_before.count());
  X509_gmtime_adj(X509_getm_notAfter(draft.get()), options.not_after.count());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(draft.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(options.common_name.c_str()),
                             -1, -1, 0);
  X509_set_pubkey(draft.get(), key);
  return draft;
}

void AddNames(X509* certificate, const LeafOptions& options) {
  std::string names;
  for (const std::string& name : options.names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  for (const std::string& ip : options.ips) names += (names.empty() ? "IP:" : ",IP:") + ip;
  if (!names.empty()) AddExtension(certificate, NID_subject_alt_name, names);
}

void Sign(X509* certificate, const X509_NAME* issuer, EVP_PKEY* key) {
  X509_set_issuer_name(certificate, issuer);
  Require(X509_sign(certificate, key, EVP_sha256()) > 0, "signature");
}

}  // namespace

TestCa::TestCa(const std::string& common_name) : key_(MakeKey()) {
  LeafOptions options;
  options.common_name = common_name;
  certificate_ = Draft(options, key_.get());
  AddExtension(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(certificate_.get(), NID_subject_key_identifier, "hash");
  Sign(certificate_.get(), X509_get_subject_name(certificate_.get()), key_.get());
  certificate_pem_ = CertificatePem(certificate_.get());
}

Identity TestCa::Issue(const LeafOptions& options) const {
  const KeyPtr key = MakeKey();
  const CertificatePtr leaf = Draft(options, key.get());
  AddExtension(leaf.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(leaf.get(), NID_ext_key_usage, "serverAuth");
  AddNames(leaf.get(), options);
  Sign(leaf.get(), X509_get_subject_name(certificate_.get()), key_.get());
  return {CertificatePem(leaf.get()), KeyPem(key.get())};
}

Identity TestCa::SelfSigned(const LeafOptions& options) {
  const KeyPtr key = MakeKey();
  const CertificatePtr leaf = Draft(options, key.get());
  AddNames(leaf.get(), options);
  Sign(leaf.get(), X509_get_subject_name(leaf.get()), key.get());
  return {CertificatePem(leaf.get()), KeyPem(key.get())};
}

}  // namespace sendstep::testing
