// Provider + overrides -> one checked SmtpSettings. All rules about what settings mean live here.
#ifndef SENDSTEP_PROVIDERS_RESOLVE_H_
#define SENDSTEP_PROVIDERS_RESOLVE_H_

#include <optional>
#include <string>
#include <vector>

#include "providers/config.h"
#include "providers/finding.h"
#include "providers/registry.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {

// Where the sandbox of this server listens.
struct SandboxEndpoint {
  std::string host;
  uint16_t port = 0;
  std::string ca_pem;  // the certificate it made at start
};

// What the SRV records of a mail domain say.
struct DiscoveredServer {
  std::string host;
  uint16_t port = 0;
  smtp::TlsPolicy policy = smtp::TlsPolicy::kImplicit;
};

// What the settings depend on beside themselves.
struct ResolveContext {
  // Domain of the email's From; empty: not known yet. Used for EHLO, as a last resort.
  std::string from_domain;
  // EHLO name the operator set; empty: none.
  std::string operator_ehlo_name;
  // Unset: this server runs no sandbox.
  std::optional<SandboxEndpoint> sandbox;
  // What holds where the profile says nothing.
  smtp::SendingLimits limits;
  // What discover_domain led to. Unset: nobody has asked DNS yet.
  std::optional<DiscoveredServer> discovered;
};

struct Resolved {
  const Profile* profile = nullptr;  // never null when ok()
  smtp::SmtpSettings settings;
  std::string region;                    // empty where the profile has none
  std::string discover_domain;           // A-labels; empty: the settings name the host
  const Registry* unknown_to = nullptr;  // set: knows no provider of the host; outlives this
  std::vector<Finding> findings;         // errors and warnings, errors first
  bool ok() const;                       // no error among the findings
  // The known host that an unknown one resembles; empty: none. Takes its time.
  std::string SimilarHost() const;
};

// Never fails halfway: all findings come back at once, and `settings` is as complete as they allow.
// `settings` may be used only when ok().
//
// Host: given, else the profile's, else an error. Provider: given, else the one the host belongs to
// (with a warning), else "custom". Port: given, else in the URL, else the profile's, else 25. TLS:
// off
// -> plaintext; starttls/implicit -> that; on or unset -> the profile's form of the port, else
// implicit for 465, 2465 and 8465 and STARTTLS, required, for every other. EHLO: domain, else the
// operator's, else from_domain; where none is known the settings' ehlo_name stays empty without an
// error. Limits: the profile's, else the context's. The tenant is the caller's to set.
//
// With discover_domain host, port and TLS form are the context's `discovered`; without it host and
// port stay empty, without an error. As DNS is not trusted, the certificate must name the host only
// where that is the domain or below it, else the domain (RFC 6186 6).
Resolved Resolve(const SmtpConfig& config, const Registry& registry, const ResolveContext& context);

// The mail domain whose SRV records have to be asked for before Resolve, and which of them.
struct DiscoveryNeed {
  std::string domain;  // A-labels
  bool implicit_tls = true, starttls = true;
};

// Nothing: the settings name none, or one that Resolve has errors about.
std::optional<DiscoveryNeed> NeedsDiscovery(const SmtpConfig& config);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_RESOLVE_H_
