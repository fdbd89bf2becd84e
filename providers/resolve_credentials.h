// The part of Resolve that deals with username, password and token.
#ifndef SENDSTEP_PROVIDERS_RESOLVE_CREDENTIALS_H_
#define SENDSTEP_PROVIDERS_RESOLVE_CREDENTIALS_H_

#include "providers/config.h"
#include "providers/findings.h"
#include "providers/registry.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {

// Sets credentials, mechanisms and allow_plaintext_auth of `settings`, whose TLS policy is known.
void ResolveCredentials(const SmtpConfig& config, const Profile& profile,
                        smtp::SmtpSettings& settings, Findings& findings);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_RESOLVE_CREDENTIALS_H_
