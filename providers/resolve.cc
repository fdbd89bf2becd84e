#include "providers/resolve.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "providers/edit_distance.h"
#include "providers/findings.h"
#include "providers/host_input.h"
#include "providers/ports.h"
#include "providers/regions.h"
#include "providers/resolve_credentials.h"
#include "providers/resolve_tls.h"
#include "providers/sending_limits.h"
#include "transport/base/address.h"

namespace sendstep::providers {
namespace {

constexpr size_t kMaxName = 64;
constexpr size_t kMaxDomainInput = 1024;
constexpr size_t kMaxDisplayName = 1024;

std::string Trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string MailDomain(std::string_view address) {
  const auto at = address.rfind('@');
  return at == std::string_view::npos ? "" : Trimmed(address.substr(at + 1));
}

// "gmail-relay" is a variant of "gmail": its host is no contradiction to that name.
bool IsVariantOf(const Profile& profile, const Profile& base) {
  return absl::StartsWith(profile.id(), base.id() + "-");
}

bool IsReal(const Profile& profile) { return !profile.host().empty() || profile.has_regions(); }

std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

// Where `host` is one or two slips away from a known one, that; else empty.
std::string SimilarHost(const Registry& registry, const std::string& host) {
  std::string similar;
  size_t least = 4;
  const auto consider = [&](const std::string& known) {
    if (known.empty() || host.size() > 64) return;
    const size_t distance = EditDistance(host, known);
    if (distance >= least) return;
    least = distance;
    similar = known;
  };
  for (const auto& profile : registry.profiles()) {
    consider(profile->host());
    for (const std::string& known : profile->other_hosts()) consider(known);
    for (const std::string& region : profile->regions().known()) {
      consider(HostOfRegion(*profile, region));
    }
  }
  return similar;
}

// Nothing: this is no domain.
std::optional<std::string> DiscoverDomain(const SmtpConfig& config) {
  const std::string domain = Trimmed(config.discover_domain);
  if (domain.size() > kMaxDomainInput || !absl::StrContains(domain, '.')) return std::nullopt;
  auto ascii = base::ToAsciiDomain(domain);
  // The last label of an IP address is a number (RFC 3696 2).
  if (!ascii || absl::ascii_isdigit(ascii->back())) return std::nullopt;
  return *std::move(ascii);
}

// The domain itself or a name below it.
bool IsWithin(const std::string& host, const std::string& domain) {
  return host == domain || absl::EndsWith(host, "." + domain);
}

class Resolver {
 public:
  Resolver(const SmtpConfig& config, const Registry& registry, const ResolveContext& context)
      : config_(config), registry_(registry), context_(context) {}

  Resolved Run() {
    if (!Trimmed(config_.host).empty()) ReadHost();
    discovers_ = !Trimmed(config_.discover_domain).empty();
    if (discovers_) ReadDiscovery();
    ChooseProfile();
    if (discovers_) CheckDiscovery();
    if (profile_->id() == "sandbox") {
      ResolveSandbox();
    } else {
      ResolveHost();
      if (!discovers_) {
        ResolvePortAndTls(config_, input_, *profile_, resolved_.settings, findings_);
      }
      ResolveTrust(config_, resolved_.settings, findings_);
    }
    ResolveCredentials(config_, *profile_, resolved_.settings, findings_);
    ResolveEhlo();
    CheckDefaultFrom();
    ResolveSending();
    resolved_.profile = profile_;
    resolved_.findings = findings_.Take(profile_->doc_url());
    return std::move(resolved_);
  }

 private:
  void ReadHost() {
    input_ = ParseHostInput(config_.host);
    host_given_ = true;
    if (!input_.ok()) findings_.Error("host", input_.reason, input_.message, input_.hint);
  }

  void ReadDiscovery() {
    const std::string domain = Trimmed(config_.discover_domain);
    const auto ascii = DiscoverDomain(config_);
    if (!ascii) {
      findings_.Error("discover_domain", "FIELD_INVALID", "This is no domain.",
                      absl::StrContains(domain, '@')
                          ? "Give only what stands after the @."
                          : "Give the mail domain alone, such as example.com.");
      return;
    }
    resolved_.discover_domain = *ascii;
    smtp::SmtpSettings& settings = resolved_.settings;
    settings.port = 0;
    if (!context_.discovered || host_given_) return;
    input_.host = context_.discovered->host;
    settings.port = context_.discovered->port;
    settings.tls.policy = context_.discovered->policy;
    if (!IsWithin(input_.host, *ascii)) settings.tls.server_name = *ascii;
  }

  // DNS says where, and is not trusted.
  void CheckDiscovery() {
    const auto contradict = [&](const char* field, std::string message, const char* hint) {
      findings_.Error(field, "SETTINGS_CONTRADICT", std::move(message), hint);
    };
    if (host_given_) {
      constexpr char kBoth[] = "Both host and discover_domain are set.";
      contradict("host", kBoth, "Remove one of the two.");
      contradict("discover_domain", kBoth, "Remove one of the two.");
    }
    if (config_.port) {
      contradict("port", "discover_domain has DNS say the port.", "Remove one of the two.");
    }
    if (profile_->id() == "sandbox" || (NamesProvider() && IsReal(*profile_))) {
      contradict("provider", absl::StrCat(profile_->title(), " has a host of its own."),
                 "Remove provider or discover_domain.");
    }
    if (config_.tls == TlsChoice::kOff) {
      contradict("tls", "TLS is off, and without it nobody knows which server DNS has led to.",
                 "Set tls to on, or name the server in host.");
    }
    if (config_.insecure_skip_verify) {
      contradict("insecure_skip_verify",
                 "The password would go to any server that DNS may lead to.",
                 "Remove insecure_skip_verify, or name the server in host.");
    }
  }

  bool NamesProvider() const { return !Trimmed(config_.provider).empty(); }

  // The profile that the settings name; null where they name none or an unknown one.
  const Profile* NamedProfile() {
    const std::string name = Trimmed(config_.provider);
    if (name.empty()) return nullptr;
    if (name.size() > kMaxName) {
      findings_.Error("provider", "LIMIT_EXCEEDED",
                      absl::StrCat("The provider's name is longer than ", kMaxName, " bytes."));
      return nullptr;
    }
    if (base::HasControlCharacter(name)) {
      findings_.Error("provider", "CONTROL_CHARACTER",
                      "The provider's name holds a control character.");
      return nullptr;
    }
    const Profile* found = registry_.FindByName(name);
    if (found == nullptr) ReportUnknownProvider(name);
    return found;
  }

  void ReportUnknownProvider(const std::string& name) {
    std::string hint;
    if (const std::string nearest = registry_.Nearest(name); !nearest.empty()) {
      hint = absl::StrCat("Did you mean ", Quoted(nearest), "?");
    } else {
      for (const auto& profile : registry_.profiles()) {
        absl::StrAppend(&hint, hint.empty() ? "Known are " : ", ", profile->id());
      }
      hint += "; for any other server leave the provider empty and give its host.";
    }
    findings_.Error("provider", "PROVIDER_UNKNOWN",
                    absl::StrCat("There is no provider ", Quoted(name), "."), hint);
  }

  void ChooseProfile() {
    const Profile* named = NamedProfile();
    const Profile* owner = registry_.FindByHost(input_.host);
    profile_ = named != nullptr ? named : owner != nullptr ? owner : &registry_.Custom();
    if (!input_.ok() || !host_given_) return;
    if (owner == nullptr) {
      resolved_.unknown_to = &registry_;
      if (named != nullptr && IsReal(*named)) WarnOfUnknownHost(*named);
    } else if (named == nullptr) {
      if (Trimmed(config_.provider).empty()) WarnOfChoice(*owner);
    } else if (named != owner) {
      ReconcileProfiles(*named, *owner);
    }
  }

  void WarnOfChoice(const Profile& owner) {
    findings_.Warn(
        "provider",
        absl::StrCat(input_.host, " belongs to ", owner.title(), ": its profile is used."),
        absl::StrCat("Set provider to ", Quoted(owner.id()), "."));
  }

  void WarnOfUnknownHost(const Profile& named) {
    const std::string similar = SimilarHost(registry_, input_.host);
    const std::string meant = similar.empty() ? named.host() : similar;
    findings_.Warn("host",
                   absl::StrCat(input_.host, " is not known as a host of ", named.title(), "."),
                   meant.empty() ? "Leave the host empty unless it is a gateway of your own."
                                 : absl::StrCat("Leave the host empty for ", meant,
                                                " unless it is a gateway of your own."));
  }

  void ReconcileProfiles(const Profile& named, const Profile& owner) {
    const bool sandbox = named.id() == "sandbox";  // has words of its own for a host
    if (IsVariantOf(owner, named) || (!IsReal(named) && !sandbox)) {
      profile_ = &owner;
      WarnOfChoice(owner);
    } else if (!sandbox) {
      findings_.Error(
          "host", "WRONG_HOST",
          absl::StrCat(input_.host, " belongs to ", owner.title(), ", not to ", named.title(), "."),
          absl::StrCat("Leave the host empty, or set provider to ", Quoted(owner.id()), "."));
    }
  }

  void ResolveSandbox() {
    smtp::SmtpSettings& settings = resolved_.settings;
    if (!context_.sandbox) {
      findings_.Error("provider", "SANDBOX_OFF", "This server runs no sandbox.",
                      "Start it with a sandbox, or name a real provider.");
      return;
    }
    const auto contradict = [&](const char* field, const char* what) {
      findings_.Error(field, "SETTINGS_CONTRADICT", absl::StrCat("The sandbox ", what, "."),
                      "Leave it empty.");
    };
    if (host_given_) contradict("host", "has a host of its own");
    if (config_.port && *config_.port != context_.sandbox->port)
      contradict("port", "has a port of its own");
    if (config_.tls == TlsChoice::kImplicit) contradict("tls", "speaks STARTTLS");
    if (!config_.ca_pem.empty()) contradict("ca_pem", "brings its own certificate");
    if (!config_.pinned_key_sha256.empty())
      contradict("pinned_key_sha256", "makes a key at each start");
    settings.host = context_.sandbox->host;
    settings.port = context_.sandbox->port;
    settings.tls.policy =
        config_.tls == TlsChoice::kOff ? smtp::TlsPolicy::kNone : smtp::TlsPolicy::kStartTls;
    settings.tls.ca_pem = context_.sandbox->ca_pem;
    settings.tls.verify = !config_.insecure_skip_verify;
    settings.tls.tls13_only = config_.tls13_only;
  }

  void ResolveHost() {
    resolved_.settings.host = input_.host;
    ResolveRegion();
    if (host_given_ || discovers_ || !resolved_.settings.host.empty()) return;
    resolved_.settings.host = profile_->host();
    if (resolved_.settings.host.empty() && !profile_->has_regions()) ReportNoHost();
  }

  void ResolveRegion() {
    const std::string region = absl::AsciiStrToLower(Trimmed(config_.region));
    if (!profile_->has_regions()) {
      if (!region.empty()) {
        findings_.Warn("region",
                       absl::StrCat(profile_->title(), " has no regions: it is ignored."));
      }
      return;
    }
    const std::string of_host = RegionOfHost(*profile_, input_.host);
    resolved_.region = !of_host.empty()  ? of_host
                       : !region.empty() ? region
                       : host_given_     ? ""
                                         : profile_->regions().default_region();
    if (!region.empty()) CheckRegion(region, of_host);
    if (!host_given_ && !discovers_) UseHostOfRegion();
    WarnOfUnlistedRegion();
  }

  void CheckRegion(const std::string& region, const std::string& of_host) {
    if (region.size() > kMaxName || HostOfRegion(*profile_, region).empty()) {
      ReportUnknownRegion(region);
    } else if (!of_host.empty() && of_host != region) {
      findings_.Error(
          "host", "WRONG_HOST",
          absl::StrCat(input_.host, " is the host of region ", of_host, ", not of ", region, "."),
          "Remove the host or the region.");
    }
  }

  void ReportUnknownRegion(const std::string& region) {
    resolved_.region.clear();
    findings_.Error(
        "region", "FIELD_INVALID",
        absl::StrCat(
            profile_->title(), " has no such region",
            base::HasControlCharacter(region) || region.size() > kMaxName ? "" : ": " + region,
            "."),
        absl::StrCat("Its regions: ", KnownRegions(*profile_), "."));
  }

  void UseHostOfRegion() {
    if (!resolved_.region.empty()) {
      resolved_.settings.host = HostOfRegion(*profile_, resolved_.region);
    } else if (Trimmed(config_.region).empty()) {
      findings_.Error(
          "region", "FIELD_REQUIRED",
          absl::StrCat(profile_->title(), " has one host per region, and none is named."),
          absl::StrCat("Name the region of your account: ", KnownRegions(*profile_), "."));
    }
  }

  void WarnOfUnlistedRegion() {
    const auto& known = profile_->regions().known();
    if (resolved_.region.empty() || std::count(known.begin(), known.end(), resolved_.region) > 0)
      return;
    findings_.Warn(
        "region",
        absl::StrCat(resolved_.region, " is not among the regions known of ", profile_->title(),
                     "."),
        absl::StrCat("If its host does not exist, try one of: ", KnownRegions(*profile_), "."));
  }

  void ReportNoHost() {
    std::string hint = "Name a provider, or give the server's name, such as smtp.example.com.";
    for (const std::string& address : {config_.username, config_.default_from_email}) {
      const Profile* likely = registry_.FindByMailDomain(MailDomain(address));
      if (likely == nullptr) continue;
      hint = absl::StrCat("The address is one of ", likely->title(), ": set provider to ",
                          Quoted(likely->id()), ".");
      break;
    }
    findings_.Error("host", "FIELD_REQUIRED", "Neither a provider nor a server is named.", hint);
  }

  void ResolveEhlo() {
    const std::string domain = Trimmed(config_.domain);
    std::string& ehlo = resolved_.settings.ehlo_name;
    if (!domain.empty()) {
      CheckDomain(domain);
      return;
    }
    for (const std::string& name : {context_.operator_ehlo_name, context_.from_domain}) {
      if (name.empty()) continue;
      const auto parsed = base::ToEhloName(name);
      if (!parsed) continue;
      ehlo = *parsed;
      return;
    }
  }

  void CheckDomain(const std::string& domain) {
    if (base::HasControlCharacter(domain)) {
      findings_.Error("domain", "CONTROL_CHARACTER", "The domain holds a control character.");
      return;
    }
    if (domain.size() > kMaxDomainInput) {
      findings_.Error("domain", "LIMIT_EXCEEDED", "The domain is longer than 1024 bytes.");
      return;
    }
    const auto parsed = base::ToEhloName(domain);
    if (!parsed) {
      findings_.Error("domain", "FIELD_INVALID",
                      absl::StrCat("The domain is malformed: ", parsed.error().detail, "."),
                      DomainHint(domain));
      return;
    }
    resolved_.settings.ehlo_name = *parsed;
    if (parsed->find('.') == std::string::npos && !parsed->starts_with('[')) {
      findings_.Warn("domain",
                     absl::StrCat(*parsed, " is not a full domain: servers may refuse it at EHLO."),
                     "Give your own domain, such as yourdomain.com, or the sender's IP address.");
    }
  }

  static std::string DomainHint(const std::string& domain) {
    if (absl::StrContains(domain, "://")) {
      return "This is a URL: give the domain alone, such as yourdomain.com.";
    }
    if (absl::StrContains(domain, "@")) {
      return "This is a mail address: give only what stands after the @.";
    }
    return "Give the sender's domain, such as yourdomain.com, or its IP address.";
  }

  void CheckDefaultFrom() {
    if (!config_.default_from_email.empty()) {
      const auto address = base::ParseAddress(config_.default_from_email);
      if (!address) {
        findings_.Error(
            "default_from.email", "ADDRESS_INVALID",
            absl::StrCat("The default sender is malformed: ", address.error().detail, "."));
      }
    } else if (!config_.default_from_name.empty()) {
      findings_.Error("default_from.email", "FIELD_REQUIRED",
                      "The default sender has a name and no address.");
    }
    if (base::HasControlCharacter(config_.default_from_name)) {
      findings_.Error("default_from.name", "CONTROL_CHARACTER",
                      "The default sender's name holds a line break or another control character.");
    } else if (config_.default_from_name.size() > kMaxDisplayName) {
      findings_.Error("default_from.name", "LIMIT_EXCEEDED",
                      "The default sender's name is longer than 1024 bytes.");
    }
  }

  void ResolveSending() {
    smtp::SmtpSettings& settings = resolved_.settings;
    settings.limits = WithChoice(context_.limits, LimitsOf(*profile_));
    // A gateway of the user's own in the provider's place may do otherwise.
    const bool its_own =
        profile_->id() == "sandbox" || registry_.FindByHost(settings.host) == profile_;
    settings.swallows_refused_chunk = profile_->swallows_refused_chunk() && its_own;
  }

  const SmtpConfig& config_;
  const Registry& registry_;
  const ResolveContext& context_;
  HostInput input_;
  bool host_given_ = false;
  bool discovers_ = false;
  const Profile* profile_ = nullptr;
  Findings findings_;
  Resolved resolved_;
};

}  // namespace

bool Resolved::ok() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& f) { return f.severity == Severity::kError; });
}

std::string Resolved::SimilarHost() const {
  return unknown_to == nullptr ? "" : providers::SimilarHost(*unknown_to, settings.host);
}

Resolved Resolve(const SmtpConfig& config, const Registry& registry,
                 const ResolveContext& context) {
  return Resolver(config, registry, context).Run();
}

std::optional<DiscoveryNeed> NeedsDiscovery(const SmtpConfig& config) {
  const bool contradicts = !Trimmed(config.host).empty() || config.port ||
                           config.tls == TlsChoice::kOff || config.insecure_skip_verify;
  if (Trimmed(config.discover_domain).empty() || contradicts) return std::nullopt;
  const auto domain = DiscoverDomain(config);
  if (!domain) return std::nullopt;
  return DiscoveryNeed{*domain, config.tls != TlsChoice::kStartTls,
                       config.tls != TlsChoice::kImplicit};
}

}  // namespace sendstep::providers
