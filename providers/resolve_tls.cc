#include "providers/resolve_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "providers/ports.h"

namespace sendstep::providers {
namespace {

using smtp::TlsPolicy;

constexpr size_t kMaxCaPem = 64 * 1024;

// The form the settings insist on; unset: the port decides.
std::optional<TlsPolicy> ChosenForm(const SmtpConfig& config, const HostInput& host) {
  switch (config.tls) {
    case TlsChoice::kOff:
      return TlsPolicy::kNone;
    case TlsChoice::kStartTls:
      return TlsPolicy::kStartTls;
    case TlsChoice::kImplicit:
      return TlsPolicy::kImplicit;
    case TlsChoice::kUnset:
    case TlsChoice::kOn:
      break;
  }
  if (host.implicit_tls) return TlsPolicy::kImplicit;
  return std::nullopt;
}

uint16_t ResolvePort(const SmtpConfig& config, const HostInput& host, const Profile& profile,
                     std::optional<TlsPolicy> form, Findings& findings) {
  if (config.port && (*config.port < 1 || *config.port > 65535)) {
    findings.Error("port", "FIELD_INVALID",
                   absl::StrCat("Port ", *config.port, " is not from 1 to 65535."),
                   "Most providers take mail on port 587.");
    return DefaultPort(profile, form);
  }
  if (config.port && host.port && *config.port != *host.port) {
    findings.Error(
        "port", "SETTINGS_CONTRADICT",
        absl::StrCat("The port is ", *config.port, ", and the server URL says ", *host.port, "."),
        "Remove one of the two.");
  }
  if (config.port) return static_cast<uint16_t>(*config.port);
  return host.port ? *host.port : DefaultPort(profile, form);
}

void WarnOfPort(const Profile& profile, uint16_t port, Findings& findings) {
  const std::string ports = PortList(profile);
  const std::string listed =
      ports.empty() ? "Most servers take mail on port 587."
                    : absl::StrCat(profile.title(), " takes mail on ports ", ports, ".");
  if (const char* protocol = MailboxProtocol(port)) {
    findings.Warn("port",
                  absl::StrCat("Port ", port, " is ", protocol,
                               "'s, which fetches mail; sending needs SMTP."),
                  listed);
  } else if (!ports.empty() && !ProfileForm(profile, port)) {
    findings.Warn("port", absl::StrCat(profile.title(), " does not list port ", port, "."), listed);
  }
}

void WarnOfForm(const Profile& profile, uint16_t port, TlsPolicy chosen, Findings& findings) {
  const auto wanted = ProfileForm(profile, port) ? ProfileForm(profile, port) : UsualForm(port);
  if (chosen == TlsPolicy::kNone) {
    if (wanted == TlsPolicy::kImplicit ||
        (wanted != TlsPolicy::kNone && !profile.ports().empty())) {
      findings.Warn("tls",
                    absl::StrCat("TLS is off, and port ", port, " speaks ",
                                 FormName(wanted.value_or(TlsPolicy::kStartTls)), "."),
                    "Switch TLS on: the email and its recipients cross the network readable.");
    }
    return;
  }
  if (!wanted || *wanted == chosen) return;
  findings.Warn("tls",
                absl::StrCat("Port ", port, " wants ", FormName(*wanted), "; you chose ",
                             FormName(chosen), "."),
                "Set tls to on: then the port decides.");
}

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

// Why `pem` is not a list of certificates; empty: it is.
std::string PemFault(const std::string& pem) {
  if (pem.find("PRIVATE KEY-----") != std::string::npos) return "ca_pem holds a private key.";
  const std::unique_ptr<BIO, BioDeleter> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  size_t count = 0;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    X509_free(certificate);
    ++count;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) return absl::StrCat("Certificate ", count + 1, " of ca_pem cannot be read.");
  return count == 0 ? "ca_pem holds no certificate." : "";
}

}  // namespace

void ResolvePortAndTls(const SmtpConfig& config, const HostInput& host, const Profile& profile,
                       smtp::SmtpSettings& settings, Findings& findings) {
  const std::optional<TlsPolicy> chosen = ChosenForm(config, host);
  if (host.implicit_tls && chosen != TlsPolicy::kImplicit) {
    findings.Error(
        "tls", "SETTINGS_CONTRADICT",
        absl::StrCat("The server URL begins with smtps, which is implicit TLS; tls says ",
                     *chosen == TlsPolicy::kNone ? "off" : "STARTTLS", "."),
        "Give the server's name without smtps://, or set tls to on.");
  }
  settings.port = ResolvePort(config, host, profile, chosen, findings);
  settings.tls.policy = chosen.value_or(FormOf(profile, settings.port));
  WarnOfPort(profile, settings.port, findings);
  if (chosen) WarnOfForm(profile, settings.port, *chosen, findings);
}

namespace {

void ResolvePinnedKey(const SmtpConfig& config, bool off, smtp::SmtpSettings& settings,
                      Findings& findings) {
  constexpr std::string_view kField = "pinned_key_sha256";
  constexpr size_t kSha256Bytes = 32;
  if (config.pinned_key_sha256.empty()) return;
  if (off || config.insecure_skip_verify || !config.ca_pem.empty()) {
    findings.Error(std::string(kField), "SETTINGS_CONTRADICT",
                   off ? "TLS is off, so there is no key to check."
                       : "A pinned key is all that is checked; ca_pem and insecure_skip_verify say "
                         "something else.",
                   "Remove one of the two.");
  }
  std::string key;
  if (!absl::Base64Unescape(config.pinned_key_sha256, &key) || key.size() != kSha256Bytes) {
    findings.Error(std::string(kField), "FIELD_INVALID",
                   "Not the base64 of a SHA-256: that has 44 characters.",
                   "It is the hash of the server's public key, not of its certificate.");
    return;
  }
  settings.tls.pinned_key_sha256 = key;
}

}  // namespace

void ResolveTrust(const SmtpConfig& config, smtp::SmtpSettings& settings, Findings& findings) {
  const bool off = settings.tls.policy == TlsPolicy::kNone;
  settings.tls.verify = !config.insecure_skip_verify;
  if (config.insecure_skip_verify) {
    if (off) {
      findings.Error("insecure_skip_verify", "SETTINGS_CONTRADICT",
                     "TLS is off, so there is no certificate to accept.", "Remove one of the two.");
    } else {
      findings.Warn("insecure_skip_verify",
                    "Any certificate is accepted: anyone on the way can read the password.",
                    "For a server with a private CA give its certificate in ca_pem instead.");
    }
  }
  settings.tls.tls13_only = config.tls13_only;
  if (config.tls13_only && off) {
    findings.Error("min_tls_version", "SETTINGS_CONTRADICT", "TLS is off.",
                   "Remove one of the two.");
  }
  ResolvePinnedKey(config, off, settings, findings);
  if (config.ca_pem.empty()) return;
  if (off) {
    findings.Error("ca_pem", "SETTINGS_CONTRADICT",
                   "TLS is off, so there is no certificate to check.", "Remove one of the two.");
  }
  if (config.insecure_skip_verify) {
    findings.Error(
        "insecure_skip_verify", "SETTINGS_CONTRADICT",
        "ca_pem says which certificates to trust, and insecure_skip_verify to trust all.",
        "Remove insecure_skip_verify.");
  }
  if (config.ca_pem.size() > kMaxCaPem) {
    findings.Error("ca_pem", "LIMIT_EXCEEDED", "ca_pem is longer than 64 KiB.",
                   "Give only the CA that signed the server's certificate.");
    return;
  }
  if (const std::string fault = PemFault(config.ca_pem); !fault.empty()) {
    findings.Error(
        "ca_pem", "FIELD_INVALID", fault,
        "Give whole blocks from BEGIN CERTIFICATE to END CERTIFICATE, and nothing secret.");
    return;
  }
  settings.tls.ca_pem = config.ca_pem;
}

}  // namespace sendstep::providers
