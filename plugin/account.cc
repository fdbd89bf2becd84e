#include "plugin/account.h"

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "plugin/limits.h"
#include "plugin/logging.h"
#include "plugin/oauth2.h"
#include "providers/sending_limits.h"
#include "transport/base/address.h"
#include "transport/base/utf8.h"

namespace sendstep::plugin {
namespace {

using providers::Finding;
using providers::Severity;

constexpr std::string_view kSmtpField = "config.smtp";
constexpr std::string_view kRelayField = "config.relay";
constexpr size_t kMaxSecretFileBytes = 64 << 10;
// What is longer is refused, and not repeated whole in the answer. Bytes.
constexpr size_t kMaxShown = 8192;
constexpr size_t kMaxShownPem = 64 << 10;

Finding Wrong(std::string field, std::string reason, std::string message, std::string hint = {}) {
  return {Severity::kError,   std::move(field), std::move(reason),
          std::move(message), std::move(hint),  {}};
}

std::string Shown(const std::string& text) { return std::string(base::Cut(text, kMaxShown)); }

providers::TlsChoice MapTls(v1::TlsMode mode) {
  switch (mode) {
    case v1::TLS_MODE_ON:
      return providers::TlsChoice::kOn;
    case v1::TLS_MODE_OFF:
      return providers::TlsChoice::kOff;
    case v1::TLS_MODE_STARTTLS:
      return providers::TlsChoice::kStartTls;
    case v1::TLS_MODE_IMPLICIT:
      return providers::TlsChoice::kImplicit;
    default:
      return providers::TlsChoice::kUnset;
  }
}

v1::TlsMode TlsModeOf(smtp::TlsPolicy policy) {
  switch (policy) {
    case smtp::TlsPolicy::kNone:
      return v1::TLS_MODE_OFF;
    case smtp::TlsPolicy::kImplicit:
      return v1::TLS_MODE_IMPLICIT;
    case smtp::TlsPolicy::kStartTls:
      return v1::TLS_MODE_STARTTLS;
  }
  return v1::TLS_MODE_UNSPECIFIED;
}

// "AUTH_MECHANISM_SCRAM_SHA_256" for "SCRAM-SHA-256".
std::string EnumNameOf(smtp::SaslMechanism mechanism) {
  return absl::StrCat(
      "AUTH_MECHANISM_",
      absl::StrReplaceAll(std::string(smtp::MechanismName(mechanism)), {{"-", "_"}}));
}

std::optional<smtp::SaslMechanism> MapMechanism(v1::AuthMechanism mechanism) {
  for (const smtp::SaslMechanism known : smtp::kSaslMechanisms) {
    if (EnumNameOf(known) == v1::AuthMechanism_Name(mechanism)) return known;
  }
  return std::nullopt;
}

v1::AuthMechanism AuthMechanismOf(smtp::SaslMechanism mechanism) {
  v1::AuthMechanism found = v1::AUTH_MECHANISM_UNSPECIFIED;
  v1::AuthMechanism_Parse(EnumNameOf(mechanism), &found);
  return found;
}

providers::SmtpConfig MapSettings(const v1::SmtpConfig& in) {
  providers::SmtpConfig out;
  out.provider = in.provider();
  out.region = in.region();
  out.host = in.host();
  if (in.has_port()) out.port = in.port();
  out.tls = MapTls(in.tls());
  out.username = in.username();
  out.domain = in.domain();
  out.ca_pem = in.ca_pem();
  out.pinned_key_sha256 = in.pinned_key_sha256();
  out.dkim_selectors.assign(in.dkim_selectors().begin(), in.dkim_selectors().end());
  out.tls13_only = in.min_tls_version() == v1::TLS_VERSION_1_3;
  out.auth_mechanism = MapMechanism(in.auth_mechanism());
  out.insecure_skip_verify = in.insecure_skip_verify();
  out.allow_plaintext_auth = in.allow_plaintext_auth();
  out.discover_domain = in.discover_domain();
  out.default_from_email = in.default_from().email();
  out.default_from_name = in.default_from().name();
  return out;
}

}  // namespace

std::optional<base::Secret> ReadSecret(const v1::Secret& secret, const std::string& relay,
                                       const std::string& field) {
  switch (secret.source_case()) {
    case v1::Secret::kValue:
      return base::Secret(secret.value());
    case v1::Secret::kEnv:
      if (const char* value = std::getenv(secret.env().c_str())) return base::Secret(value);
      Log(Level::kError, "secret_unavailable",
          {{"relay", relay},
           {"field", field},
           {"env", secret.env()},
           {"why", std::string("not set")}});
      return std::nullopt;
    case v1::Secret::kFile: {
      std::ifstream in(secret.file(), std::ios::binary);
      std::string text(kMaxSecretFileBytes, '\0');
      in.read(text.data(), static_cast<std::streamsize>(text.size()));
      text.resize(static_cast<size_t>(in.gcount()));
      if (!text.empty()) {
        if (text.back() == '\n') text.pop_back();
        if (!text.empty() && text.back() == '\r') text.pop_back();
        base::Secret result(text);
        base::Wipe(text);
        return result;
      }
      Log(Level::kError, "secret_unavailable",
          {{"relay", relay},
           {"field", field},
           {"file", secret.file()},
           {"why", std::string("not readable or empty")}});
      return std::nullopt;
    }
    case v1::Secret::SOURCE_NOT_SET:
      return base::Secret();
  }
  return base::Secret();
}

namespace {

Finding SecretUnavailable(std::string message) {
  return Wrong(std::string(kRelayField), "SECRET_UNAVAILABLE", std::move(message),
               "The operator finds the reason in the server's log.");
}

// What a caller may send: the value itself.
base::Secret CallerSecret(const v1::Secret& secret, std::string_view field,
                          std::vector<Finding>& findings) {
  if (secret.has_env() || secret.has_file()) {
    findings.push_back(
        Wrong(absl::StrCat("config.smtp.", absl::string_view(field.data(), field.size()),
                           secret.has_env() ? ".env" : ".file"),
              "SECRET_REFERENCE_REFUSED", "A caller may not refer to a secret of the server.",
              "Send the value, or name a relay of the operator."));
  }
  return base::Secret(secret.value());
}

// Labels of a name in DNS (RFC 6376 3.1), so that a diagnosis can ask for them.
bool IsSelector(std::string_view text) {
  const auto in_label = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; };
  bool label = false;
  for (const char c : text) {
    if (c == '.' ? !label : !in_label(c)) return false;
    label = c != '.';
  }
  return label && text.size() <= kMaxSelectorBytes;
}

void CheckSelectors(const v1::SmtpConfig& smtp, std::vector<Finding>& findings) {
  if (static_cast<size_t>(smtp.dkim_selectors_size()) > kMaxDkimSelectors) {
    findings.push_back(Wrong("config.smtp.dkim_selectors", "LIMIT_EXCEEDED",
                             absl::StrCat("At most ", kMaxDkimSelectors, " selectors.")));
  }
  for (int i = 0; i < smtp.dkim_selectors_size(); ++i) {
    if (IsSelector(smtp.dkim_selectors(i))) continue;
    findings.push_back(Wrong(absl::StrCat("config.smtp.dkim_selectors[", i, "]"), "FIELD_INVALID",
                             "A DKIM selector has letters, digits, \"-\" and \"_\".",
                             "Write what stands before ._domainkey in the record's name."));
  }
}

Checked<AccountSource> CallerAccount(const v1::SmtpConfig& smtp) {
  Checked<AccountSource> result;
  result.value.config = MapSettings(smtp);
  if (!v1::TlsMode_IsValid(smtp.tls())) {
    result.findings.push_back(Wrong("config.smtp.tls", "FIELD_INVALID", "No such form of TLS."));
  }
  if (!v1::AuthMechanism_IsValid(smtp.auth_mechanism())) {
    result.findings.push_back(
        Wrong("config.smtp.auth_mechanism", "FIELD_INVALID", "No such mechanism."));
  }
  if (!v1::TlsVersion_IsValid(smtp.min_tls_version())) {
    result.findings.push_back(
        Wrong("config.smtp.min_tls_version", "FIELD_INVALID", "No such version of TLS."));
  }
  CheckSelectors(smtp, result.findings);
  result.value.config.password = CallerSecret(smtp.password(), "password", result.findings);
  result.value.config.oauth2_token =
      CallerSecret(smtp.oauth2_token(), "oauth2_token", result.findings);
  return result;
}

smtp::ProxySettings MapProxy(const relays::v1::Proxy& in, const base::Secret& password) {
  using Kind = smtp::ProxySettings::Kind;
  smtp::ProxySettings out;
  out.kind = in.kind() == relays::v1::PROXY_KIND_HTTP_CONNECT ? Kind::kHttpConnect : Kind::kSocks5;
  out.host = in.host();
  out.port = static_cast<uint16_t>(in.port());
  out.username = in.username();
  out.password = password;
  return out;
}

Checked<AccountSource> RelayAccount(const std::string& name, const relays::v1::Relay& relay) {
  Checked<AccountSource> result;
  AccountSource& source = result.value;
  source.config = MapSettings(relay.smtp());
  source.relay = name;
  source.operator_relay = &relay;
  std::optional<base::Secret> password = ReadSecret(relay.smtp().password(), name, "smtp.password");
  std::optional<base::Secret> token =
      ReadSecret(relay.smtp().oauth2_token(), name, "smtp.oauth2_token");
  std::optional<base::Secret> proxy_password =
      ReadSecret(relay.proxy().password(), name, "proxy.password");
  if (!password || !token || !proxy_password) {
    result.findings.push_back(
        SecretUnavailable(absl::StrCat("The secret of relay \"", name, "\" cannot be read.")));
    return result;
  }
  source.config.password = *password;
  source.config.oauth2_token = *token;
  if (relay.has_proxy()) source.proxy = MapProxy(relay.proxy(), *proxy_password);
  // Stands for the one that is fetched when it is needed.
  if (relay.has_oauth2()) source.config.oauth2_token = base::Secret("-");
  return result;
}

// NotFound: its secret cannot be read, as the log says. InvalidArgument: it is no key that signs.
absl::StatusOr<mime::DkimKey> ReadDkimKey(const relays::v1::Relay& relay, int index,
                                          const std::string& relay_name, DkimKeys& keys) {
  const relays::v1::DkimKey& key = relay.dkim(index);
  const std::string field = absl::StrCat(DkimPath(index), ".private_key");
  const std::optional<base::Secret> pem = ReadSecret(key.private_key(), relay_name, field);
  if (!pem) return absl::NotFoundError(field);
  auto loaded = keys.Load(key.domain(), key.selector(), *pem);
  if (loaded) return *std::move(loaded);
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", loaded.error().detail));
}

// Those of the relay that sign as `from_domain`.
void AddDkimKeys(const AccountSource& source, const std::string& from_domain, DkimKeys& keys,
                 Checked<Account>& result) {
  const relays::v1::Relay& relay = *source.operator_relay;
  for (int i = 0; i < relay.dkim_size(); ++i) {
    const auto domain = base::ToAsciiDomain(relay.dkim(i).domain());
    if (!domain || !mime::DkimCovers(*domain, from_domain)) continue;
    auto key = ReadDkimKey(relay, i, source.relay, keys);
    if (!key.ok()) {
      if (absl::IsInvalidArgument(key.status())) {
        Log(Level::kError, "secret_unavailable",
            {{"relay", source.relay}, {"why", std::string(key.status().message())}});
      }
      result.findings.push_back(SecretUnavailable(
          absl::StrCat("A DKIM key of relay \"", source.relay, "\" cannot be used.")));
      return;
    }
    result.value.dkim.push_back(*std::move(key));
  }
  result.value.no_dkim_key_fits = relay.dkim_size() > 0 && result.value.dkim.empty();
}

// One that cannot be read yet may come later.
absl::Status CheckDkimKeys(const std::string& name, const relays::v1::Relay& relay,
                           DkimKeys& keys) {
  for (int i = 0; i < relay.dkim_size(); ++i) {
    const auto key = ReadDkimKey(relay, i, name, keys);
    if (absl::IsInvalidArgument(key.status())) {
      return absl::InvalidArgumentError(
          absl::StrCat("relay \"", name, "\": ", key.status().message()));
    }
    if (key.ok() && key->is_short()) {
      Log(Level::kWarning, "dkim_key_short",
          {{"relay", name},
           {"field", absl::StrCat(DkimPath(i), ".private_key")},
           {"bits", key->bits()},
           {"advised", mime::kGoodDkimRsaBits}});
    }
  }
  return absl::OkStatus();
}

Checked<AccountSource> SandboxAccount() {
  Checked<AccountSource> result;
  result.value.config.provider = "sandbox";
  result.value.config.default_from_email = kSandboxSender;
  result.value.relay = "sandbox";
  result.value.is_sandbox = true;
  return result;
}

// A key that is there has to be one; one that is not may come later.
absl::Status CheckKey(const std::string& name, const relays::v1::OAuth2& oauth2) {
  if (!oauth2.has_service_account()) return absl::OkStatus();
  const std::optional<base::Secret> json =
      ReadSecret(oauth2.service_account().key(), name, "oauth2.service_account.key");
  if (!json) return absl::OkStatus();
  const auto fault = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("relay \"", name, "\": oauth2.service_account.key: ", what));
  };
  const auto key = ParseServiceAccountKey(*json);
  if (!key.ok()) return fault(std::string(key.status().message()));
  if (oauth2.token_url().empty() && !ParseTokenUrl(key->token_uri)) {
    return fault("its token_uri is no https URL");
  }
  return absl::OkStatus();
}

bool DomainAllowed(const relays::v1::Relay& relay, const std::string& domain) {
  for (const std::string& allowed : relay.allowed_from_domains()) {
    const auto ascii = base::ToAsciiDomain(allowed);
    if (ascii && *ascii == domain) return true;
  }
  return false;
}

// On an operator's relay: may this address stand as sender?
bool SenderAllowed(const AccountSource& source, const base::Address& sender) {
  if (source.operator_relay == nullptr) return true;
  if (DomainAllowed(*source.operator_relay, sender.domain())) return true;
  const auto own = base::ParseAddress(source.config.default_from_email.empty()
                                          ? source.config.username
                                          : source.config.default_from_email);
  return own && *own == sender;
}

Finding NotAllowed(std::string field, const AccountSource& source) {
  return Wrong(std::move(field), "SENDER_NOT_ALLOWED",
               absl::StrCat("Relay \"", source.relay, "\" may not send as this address."),
               "Use the relay's default sender, or ask the operator to allow the domain.");
}

struct SenderText {
  std::string email, name, field;
};

SenderText SenderTextOf(const v1::Email& email, const AccountSource& source) {
  const std::string prefix(source.relay.empty() ? kSmtpField : kRelayField);
  if (!email.from().email().empty())
    return {email.from().email(), email.from().name(), "email.from.email"};
  // A name alone dresses the default sender.
  const std::string& name =
      email.from().name().empty() ? source.config.default_from_name : email.from().name();
  if (!source.config.default_from_email.empty()) {
    return {source.config.default_from_email, name, absl::StrCat(prefix, ".default_from.email")};
  }
  if (base::ParseAddress(source.config.username)) {
    return {source.config.username, name, absl::StrCat(prefix, ".username")};
  }
  return {};
}

}  // namespace

Checked<AccountSource> FindAccount(const v1::Config& config, const AccountCatalog& catalog) {
  if (config.has_smtp()) return CallerAccount(config.smtp());
  const std::string name = config.has_relay() ? config.relay() : catalog.relays->default_relay();
  if (const relays::v1::Relay* relay = catalog.relays->Find(name))
    return RelayAccount(name, *relay);
  if (catalog.sandbox != nullptr && (name.empty() || name == "sandbox")) return SandboxAccount();
  Checked<AccountSource> result;
  if (config.has_relay()) {
    result.findings.push_back(Wrong(std::string(kRelayField), "RELAY_UNKNOWN",
                                    "This server has no relay of that name.",
                                    "Describe lists the relays."));
  } else {
    result.findings.push_back(
        Wrong("config", "NO_DEFAULT_RELAY",
              "The request has no SMTP settings and this server has no default relay.",
              "Set config.smtp, or ask the operator for a default relay."));
  }
  return result;
}

std::optional<providers::DiscoveryNeed> NeedsDiscovery(const v1::Config& config,
                                                       const AccountCatalog& catalog) {
  if (config.has_smtp()) return providers::NeedsDiscovery(MapSettings(config.smtp()));
  const std::string& name = config.has_relay() ? config.relay() : catalog.relays->default_relay();
  const relays::v1::Relay* relay = catalog.relays->Find(name);
  if (relay == nullptr) return std::nullopt;
  return providers::NeedsDiscovery(MapSettings(relay->smtp()));
}

Checked<mime::Mailbox> ChooseSender(const v1::Email& email, const AccountSource& source) {
  Checked<mime::Mailbox> result;
  const SenderText text = SenderTextOf(email, source);
  if (text.field.empty()) {
    result.findings.push_back(Wrong("email.from.email", "FIELD_REQUIRED",
                                    "The email has no sender.",
                                    "Set email.from, or default_from in the SMTP settings."));
    return result;
  }
  if (base::HasControlCharacter(text.email) ||
      base::NarrowsToLineBreak(base::LocalPartOf(text.email))) {
    result.findings.push_back(Wrong(text.field, "CONTROL_CHARACTER",
                                    "Sender: a line break, NUL or another control character, or "
                                    "one that becomes it in 8 bits."));
    return result;
  }
  const auto address = base::ParseAddress(text.email);
  if (!address) {
    result.findings.push_back(Wrong(text.field, "ADDRESS_INVALID",
                                    absl::StrCat("Sender: ", address.error().detail, ".")));
    return result;
  }
  if (!SenderAllowed(source, *address)) result.findings.push_back(NotAllowed(text.field, source));
  result.value.address = *address;
  result.value.name = text.name;
  const std::pair<const std::string&, const char*> others[] = {
      {email.envelope_sender(), "email.envelope_sender"},
      {email.sender().email(), "email.sender.email"}};
  for (const auto& [given, field] : others) {
    // None, or one that is malformed and is reported where the email is mapped.
    const auto other = base::ParseAddress(given);
    if (other && !SenderAllowed(source, *other)) {
      result.findings.push_back(NotAllowed(field, source));
    }
  }
  return result;
}

Checked<Account> ResolveAccount(const AccountSource& source, const AccountCatalog& catalog,
                                const std::string& from_domain) {
  providers::ResolveContext context;
  context.from_domain = from_domain;
  context.operator_ehlo_name = catalog.ehlo_name;
  context.limits = catalog.limits;
  context.discovered = catalog.discovery.server;
  if (catalog.sandbox != nullptr) context.sandbox = catalog.sandbox->endpoint();
  Checked<Account> result;
  Account& account = result.value;
  account.not_discovered = catalog.discovery.error;
  account.resolved = providers::Resolve(source.config, *catalog.registry, context);
  smtp::SmtpSettings& settings = account.resolved.settings;
  settings.tenant = kTenant;
  settings.proxy = source.proxy;
  if (source.operator_relay != nullptr) {
    settings.limits = providers::WithChoice(settings.limits, LimitsOf(*source.operator_relay));
  }
  account.relay = source.relay;
  account.is_sandbox = source.is_sandbox;
  if (catalog.tokens != nullptr) account.tokens = catalog.tokens->Find(source.relay);
  if (account.tokens != nullptr && account.resolved.settings.credentials) {
    account.resolved.settings.credentials->token_of = source.relay;
  }
  for (Finding& finding : account.resolved.findings) {
    if (!source.relay.empty()) {
      finding.field = kRelayField;
    } else {
      finding.field = finding.field.empty() ? std::string(kSmtpField)
                                            : absl::StrCat("config.smtp.", finding.field);
    }
  }
  result.findings = account.resolved.findings;
  if (source.operator_relay != nullptr) {
    AddDkimKeys(source, from_domain, catalog.relays->dkim_keys(), result);
  }
  return result;
}

absl::Status CheckRelays(const AccountCatalog& catalog) {
  for (const std::string& name : catalog.relays->Names()) {
    const relays::v1::Relay& relay = *catalog.relays->Find(name);
    absl::Status keys = CheckDkimKeys(name, relay, catalog.relays->dkim_keys());
    if (keys.ok()) keys = CheckKey(name, relay.oauth2());
    if (!keys.ok()) return keys;
    const Checked<AccountSource> source = RelayAccount(name, relay);
    if (!source.ok()) continue;  // the log has it; the secret may come later
    const Checked<Account> account = ResolveAccount(source.value, catalog, "");
    for (const Finding& finding : account.findings) {
      if (finding.severity != Severity::kError) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("relay \"", name, "\": ", finding.message, " ", finding.hint));
    }
  }
  return absl::OkStatus();
}

v1::SmtpConfig EffectiveConfig(const AccountSource& source, const Account& account) {
  v1::SmtpConfig out;
  const providers::Resolved& resolved = account.resolved;
  if (resolved.profile != nullptr) out.set_provider(resolved.profile->id());
  out.set_region(resolved.region);
  out.set_discover_domain(resolved.discover_domain);
  // Without a port nobody has asked DNS yet.
  if (resolved.settings.port != 0) {
    out.set_host(resolved.settings.host);
    out.set_port(resolved.settings.port);
    out.set_tls(TlsModeOf(resolved.settings.tls.policy));
  }
  if (resolved.settings.credentials) {
    const smtp::Credentials& credentials = *resolved.settings.credentials;
    if (!credentials.username_is_secret && source.relay.empty())
      out.set_username(Shown(credentials.username));
    // Present but blank: there is one.
    if (!credentials.password.empty()) out.mutable_password()->set_value("");
    if (!credentials.oauth2_token.empty()) out.mutable_oauth2_token()->set_value("");
  }
  out.set_domain(resolved.settings.ehlo_name);
  if (source.config.ca_pem.size() <= kMaxShownPem) out.set_ca_pem(source.config.ca_pem);
  out.set_pinned_key_sha256(Shown(source.config.pinned_key_sha256));
  for (const std::string& selector : source.config.dkim_selectors) {
    out.add_dkim_selectors(Shown(selector));
  }
  if (source.config.tls13_only) out.set_min_tls_version(v1::TLS_VERSION_1_3);
  if (source.config.auth_mechanism) {
    out.set_auth_mechanism(AuthMechanismOf(*source.config.auth_mechanism));
  }
  out.set_insecure_skip_verify(source.config.insecure_skip_verify);
  out.set_allow_plaintext_auth(source.config.allow_plaintext_auth);
  if (!source.config.default_from_email.empty()) {
    out.mutable_default_from()->set_email(Shown(source.config.default_from_email));
    out.mutable_default_from()->set_name(Shown(source.config.default_from_name));
  }
  return out;
}

}  // namespace sendstep::plugin
