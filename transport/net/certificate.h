// X.509 certificates in words.
#ifndef SENDSTEP_TRANSPORT_NET_CERTIFICATE_H_
#define SENDSTEP_TRANSPORT_NET_CERTIFICATE_H_

#include <openssl/x509.h>

#include <chrono>
#include <string>

namespace sendstep::net {

// RFC 2253, UTF-8, control characters escaped.
std::string SubjectText(const X509* certificate);

// The names and addresses it is valid for, "mail.example.org, *.example.net and 7 more": its
// subjectAltName, or the common name where it has none.
std::string NamesText(const X509* certificate);

// "2026-11-01".
std::string DateText(const ASN1_TIME* time);
std::chrono::system_clock::time_point ToTimePoint(const ASN1_TIME* time);

// What is wrong with `certificate`, found at `depth` of its chain (0 is the server's own) when the
// server was expected to be `server_name`. `error` is an X509_V_ERR_*.
std::string CertificateFault(int error, int depth, const X509* certificate,
                             const std::string& server_name);

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_CERTIFICATE_H_
