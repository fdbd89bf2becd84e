#include "transport/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "transport/base/deadline.h"
#include "transport/net/tls_sessions.h"

namespace sendstep::net {
namespace {

using ContextPtr = std::shared_ptr<SSL_CTX>;

base::Error Unusable(std::string detail) {
  ERR_clear_error();
  return base::Failed(base::Stage::kTls, base::Cause::kInvalid, base::ErrorClass::kPermanent,
                      std::move(detail));
}

// Adds every certificate of `pem` to `store`; how many there were.
int AddRoots(X509_STORE* store, const std::string& pem) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  int count = 0;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    count += X509_STORE_add_cert(store, certificate);
    X509_free(certificate);
  }
  ERR_clear_error();  // the end of the text counts as an error
  return count;
}

base::Result<ContextPtr> MakeContext(const smtp::TlsSettings& settings) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (!context) return Unusable("OpenSSL gives no context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Else one read takes in records of TLS's own for as long as the server sends them.
  SSL_CTX_clear_mode(context.get(), SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context.get(), 1);
  TlsSessions::Enable(context.get());
  SSL_CTX_dane_enable(context.get());  // for keys that are pinned
  if (!settings.verify) return context;
  if (settings.ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context.get());
    return context;
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  if (AddRoots(store, settings.ca_pem) == 0) {
    return Unusable("the CA certificates given hold no PEM certificate");
  }
  // Whoever names one certificate to trust may name an intermediate one, or the server's own.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return context;
}

// Bounded, because the keys come from whoever writes configs.
class ContextCache {
 public:
  base::Result<ContextPtr> Get(const smtp::TlsSettings& settings) {
    const std::string key = !settings.verify ? "-" : "+" + settings.ca_pem;
    {
      std::lock_guard lock(mutex_);
      auto found = entries_.find(key);
      if (found != entries_.end() && !found->second.expiry.Passed()) return found->second.context;
    }
    base::Result<ContextPtr> made = MakeContext(settings);
    if (!made) return made;
    std::lock_guard lock(mutex_);
    if (entries_.size() >= kMaxEntries) entries_.clear();
    entries_[key] = {*made, base::Deadline::After(std::chrono::hours(1))};
    return made;
  }

 private:
  static constexpr size_t kMaxEntries = 64;
  struct Entry {
    ContextPtr context;
    base::Deadline expiry;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace

base::Result<ContextPtr> GetTlsContext(const smtp::TlsSettings& settings) {
  static ContextCache& cache = *new ContextCache;
  return cache.Get(settings);
}

}  // namespace sendstep::net
