// OpenSSL client contexts, made once per trust setting and shared: the trusted roots are not parsed
// for every send.
#ifndef SENDSTEP_TRANSPORT_NET_TLS_CONTEXT_H_
#define SENDSTEP_TRANSPORT_NET_TLS_CONTEXT_H_

#include <openssl/ssl.h>

#include <memory>

#include "transport/base/result.h"
#include "transport/smtp/settings.h"

namespace sendstep::net {

// TLS 1.2 or later (RFC 8996), the system's cipher policy, trusting `settings.ca_pem` alone or,
// where that is empty, the system's roots. A context is kept for an hour, so that changed roots are
// seen. Threads: thread-safe. Error: Stage::kTls, kInvalid when ca_pem holds no certificate.
base::Result<std::shared_ptr<SSL_CTX>> GetTlsContext(const smtp::TlsSettings& settings);

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_TLS_CONTEXT_H_
