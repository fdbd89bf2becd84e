// The settings of a step as a value, in the providers' terms. plugin/request_mapping makes it from
// the wire; resolve() turns it into SmtpSettings.
#ifndef SENDSTEP_PROVIDERS_CONFIG_H_
#define SENDSTEP_PROVIDERS_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transport/base/secret.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {

enum class TlsChoice { kUnset, kOn, kOff, kStartTls, kImplicit };

struct SmtpConfig {
  std::string provider;
  std::string region;
  std::string host;
  std::optional<uint32_t> port;
  TlsChoice tls = TlsChoice::kUnset;
  std::string username;
  base::Secret password;
  base::Secret oauth2_token;
  std::string domain;
  std::string ca_pem;
  // The one to use; unset: whichever fits.
  std::optional<smtp::SaslMechanism> auth_mechanism;
  std::string pinned_key_sha256;  // as given: base64
  bool tls13_only = false;
  std::string discover_domain;
  bool insecure_skip_verify = false;
  bool allow_plaintext_auth = false;
  std::vector<std::string> dkim_selectors;  // for a diagnosis; nothing here reads them
  // The default sender's address and display name, as given.
  std::string default_from_email;
  std::string default_from_name;
};

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_CONFIG_H_
