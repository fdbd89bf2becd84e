// A key that DKIM signs with (RFC 6376 3.3, RFC 8301, RFC 8463). No I/O.
#ifndef SENDSTEP_TRANSPORT_MIME_DKIM_KEY_H_
#define SENDSTEP_TRANSPORT_MIME_DKIM_KEY_H_

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "transport/base/result.h"
#include "transport/base/secret.h"

namespace sendstep::mime {

// Of RSA keys, in bits: shorter ones no longer count (RFC 8301 3.2), longer ones not every verifier
// takes.
inline constexpr int kMinDkimRsaBits = 1024;
inline constexpr int kMaxDkimRsaBits = 4096;
// Shorter ones are taken, and advised against.
inline constexpr int kGoodDkimRsaBits = 2048;

// Threads: thread-safe. Copies share the key, which OpenSSL wipes with the last of them.
class DkimKey {
 public:
  // `pem`: a private key, RSA (PKCS #1 or #8) or Ed25519 (PKCS #8), not encrypted. The error's
  // detail says which of the three is wrong, and holds nothing of the key.
  static base::Result<DkimKey> Load(std::string_view domain, std::string_view selector,
                                    const base::Secret& pem);

  // A-labels, lower case.
  const std::string& domain() const { return domain_; }
  const std::string& selector() const { return selector_; }
  // "rsa-sha256", "ed25519-sha256".
  std::string_view algorithm() const { return ed25519_ ? "ed25519-sha256" : "rsa-sha256"; }
  // RSA of fewer bits than is advised.
  bool is_short() const { return !ed25519_ && bits_ < kGoodDkimRsaBits; }
  int bits() const { return bits_; }

  // The signature of `text`, which it hashes, in binary. Error: OpenSSL cannot use the key.
  base::Result<std::string> Sign(std::string_view text) const;

 private:
  std::string domain_;
  std::string selector_;
  std::shared_ptr<EVP_PKEY> key_;
  bool ed25519_ = false;
  int bits_ = 0;
};

// Parts of letters, digits and hyphens between dots (RFC 6376 3.1).
bool IsDkimSelector(std::string_view text);

// Whether a signature of `domain` counts for a From of `from_domain`: they are the same, or it is
// above that one (the relaxed alignment of RFC 7489 3.1.1). Both in A-labels.
bool DkimCovers(std::string_view domain, std::string_view from_domain);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_DKIM_KEY_H_
