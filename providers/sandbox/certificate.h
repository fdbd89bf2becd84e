// The sandbox's proof of who it is: a certificate authority made at start and one server
// certificate signed by it. The authority's key is gone when this returns, so nothing else can ever
// be signed by it.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_CERTIFICATE_H_
#define SENDSTEP_PROVIDERS_SANDBOX_CERTIFICATE_H_

#include <string>

#include "absl/status/statusor.h"
#include "transport/base/secret.h"

namespace sendstep::providers::sandbox {

// EC P-256 keys, SHA-256 signatures, valid from an hour ago for ten years: it lives as long as the
// process.
struct ServerIdentity {
  std::string ca_pem;           // what a client has to trust
  std::string certificate_pem;  // for IP:127.0.0.1 and DNS:localhost
  base::Secret private_key_pem;
};

// Internal, with OpenSSL's words, where the library fails.
absl::StatusOr<ServerIdentity> MakeServerIdentity();

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_CERTIFICATE_H_
