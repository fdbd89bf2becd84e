// The part of Resolve that deals with port, TLS form and trust.
#ifndef SENDSTEP_PROVIDERS_RESOLVE_TLS_H_
#define SENDSTEP_PROVIDERS_RESOLVE_TLS_H_

#include "providers/config.h"
#include "providers/findings.h"
#include "providers/host_input.h"
#include "providers/registry.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {

// Sets port and tls of `settings`.
void ResolvePortAndTls(const SmtpConfig& config, const HostInput& host, const Profile& profile,
                       smtp::SmtpSettings& settings, Findings& findings);

// Sets whom tls of `settings` trusts and the versions it speaks; its policy is known.
void ResolveTrust(const SmtpConfig& config, smtp::SmtpSettings& settings, Findings& findings);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_RESOLVE_TLS_H_
