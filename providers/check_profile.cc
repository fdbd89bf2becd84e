// CheckProfile: every way a profile can contradict itself.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "providers/pattern.h"
#include "providers/reasons.h"
#include "providers/regions.h"
#include "providers/registry.h"
#include "providers/sending_limits.h"
#include "transport/base/address.h"
#include "transport/base/error.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {
namespace {

using profile::v1::DnsRecord;
using profile::v1::Explanation;
using profile::v1::MessageId;
using profile::v1::Port;
using profile::v1::TlsForm;

constexpr uint32_t kImplicitPorts[] = {465, 2465, 8465};
constexpr uint32_t kStartTlsPorts[] = {25, 587, 2525, 2587};

bool IsIdentifier(std::string_view name) {
  if (name.empty() || name.size() > 40 || !absl::ascii_islower(name.front())) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

bool IsStage(std::string_view name) {
  for (int stage = 0; stage <= static_cast<int>(base::Stage::kData); ++stage) {
    if (base::StageName(static_cast<base::Stage>(stage)) == name) return true;
  }
  return false;
}

bool IsMechanism(std::string_view name) {
  // CRAM-MD5 is used only where a config names it.
  return std::ranges::any_of(smtp::kSaslMechanisms, [&](smtp::SaslMechanism mechanism) {
    return mechanism != smtp::SaslMechanism::kCramMd5 && smtp::MechanismName(mechanism) == name;
  });
}

// The stages an explanation speaks of, or "" for any.
std::vector<std::string> StagesOf(const Explanation& explanation) {
  if (explanation.stages().empty()) return {""};
  return {explanation.stages().begin(), explanation.stages().end()};
}

class Checker {
 public:
  explicit Checker(const Profile& profile) : profile_(profile) {}

  std::vector<std::string> Run() {
    CheckNames();
    CheckHosts();
    CheckRegions();
    CheckPorts();
    CheckMechanisms();
    CheckCredentials();
    for (const Explanation& explanation : profile_.explanations()) CheckExplanation(explanation);
    CheckOrder();
    for (const MessageId& id : profile_.message_ids()) CheckMessageId(id);
    CheckSending();
    CheckDns();
    return std::move(faults_);
  }

 private:
  // A provider out there, not "custom" or "sandbox", whose hosts others choose.
  bool IsReal() const { return !profile_.host().empty() || profile_.has_regions(); }

  void Require(bool condition, std::string fault) {
    if (!condition) faults_.push_back(std::move(fault));
  }

  void RequireUrl(const std::string& url, const char* field) {
    Require(absl::StartsWith(url, "https://") && !base::HasControlCharacter(url),
            absl::StrCat(field, " is not an https URL: \"", url, "\""));
  }

  void RequireDomain(const std::string& domain, const char* field) {
    const auto ascii = base::ToAsciiDomain(domain);
    Require(ascii && *ascii == domain,
            absl::StrCat(field, " is not a lower-case domain: \"", domain, "\""));
  }

  // False, with a fault, where `pattern` does not compile.
  bool RequirePattern(const std::string& pattern, const char* field, int groups = 0) {
    const auto compiled = CompilePattern(pattern);
    if (!compiled->ok()) {
      Require(false, absl::StrCat(field, " does not compile: ", compiled->error()));
    } else if (compiled->NumberOfCapturingGroups() < groups) {
      Require(false, absl::StrCat(field, " has no group: ", pattern));
    } else {
      return true;
    }
    return false;
  }

  void CheckDns() {
    const auto& dns = profile_.dns();
    // Its first label may begin with "_", as no host's does.
    const std::string include(absl::StripPrefix(dns.spf_include(), "_"));
    if (!include.empty()) RequireDomain(include, "dns.spf_include");
    for (const auto* keys : {&dns.dkim(), &dns.dkim_else()}) {
      for (const DnsRecord& record : *keys) {
        CheckRecord(record, profile::v1::RECORD_TYPE_TXT);
        Require(absl::EndsWith(record.name(), "._domainkey"),
                absl::StrCat("a DKIM record is not below _domainkey: ", record.name()));
      }
    }
    for (const DnsRecord& record : dns.return_path()) {
      CheckRecord(record, profile::v1::RECORD_TYPE_MX);
    }
    Require(dns.return_path().empty() || dns.envelope() == profile::v1::ENVELOPE_DOMAIN_PROVIDER,
            "dns.return_path is for an envelope of the provider's");
  }

  // A CNAME or of type `other`.
  void CheckRecord(const DnsRecord& record, profile::v1::RecordType other) {
    const std::string name = absl::StrCat("record ", record.name());
    Require(!record.name().empty(), "a DNS record has no name");
    Require(record.type() == profile::v1::RECORD_TYPE_CNAME || record.type() == other,
            name + " is of another type than its use");
    Require((record.type() == profile::v1::RECORD_TYPE_TXT) == record.target().empty(),
            name + ": a CNAME and an MX have a target, a TXT has none");
  }

  void CheckNames() {
    Require(IsIdentifier(profile_.id()), absl::StrCat("id is malformed: \"", profile_.id(), "\""));
    Require(!profile_.title().empty(), "title is missing");
    std::set<std::string> names = {profile_.id()};
    for (const std::string& alias : profile_.aliases()) {
      Require(IsIdentifier(alias), absl::StrCat("alias is malformed: \"", alias, "\""));
      Require(names.insert(alias).second, absl::StrCat("alias is named twice: ", alias));
    }
    for (const std::string& domain : profile_.mail_domains()) RequireDomain(domain, "mail_domains");
    if (IsReal() || !profile_.doc_url().empty()) RequireUrl(profile_.doc_url(), "doc_url");
  }

  void CheckHosts() {
    if (!profile_.host().empty()) RequireDomain(profile_.host(), "host");
    for (const std::string& host : profile_.other_hosts()) RequireDomain(host, "other_hosts");
  }

  void CheckRegions() {
    if (!profile_.has_regions()) return;
    const auto& regions = profile_.regions();
    Require(regions.pattern().empty() == regions.host_template().empty() &&
                regions.pattern().empty() == regions.host_pattern().empty(),
            "regions: pattern, host_template and host_pattern go together");
    if (!regions.pattern().empty()) {
      Require(absl::StrContains(regions.host_template(), "{region}"),
              "regions.host_template has no {region}");
      const bool compiles = RequirePattern(regions.pattern(), "regions.pattern") &&
                            RequirePattern(regions.host_pattern(), "regions.host_pattern", 1);
      if (!compiles) return;
    }
    Require(!regions.known().empty(), "regions.known is empty");
    std::set<std::string> names(regions.known().begin(), regions.known().end());
    for (const auto& [region, host] : regions.hosts()) names.insert(region);
    if (!regions.default_region().empty()) names.insert(regions.default_region());
    for (const std::string& region : names) CheckRegion(region);
    Require(profile_.host().empty() ||
                profile_.host() == HostOfRegion(profile_, regions.default_region()),
            "host is not the host of regions.default_region");
  }

  void CheckRegion(const std::string& region) {
    const std::string host = HostOfRegion(profile_, region);
    if (host.empty()) {
      Require(false, absl::StrCat("region has no host: ", region));
      return;
    }
    RequireDomain(host, "regions");
    Require(RegionOfHost(profile_, host) == region,
            absl::StrCat("region cannot be read back from its host: ", region, ", ", host));
  }

  void CheckPorts() {
    if (profile_.ports().empty()) {
      Require(!IsReal(), "ports are missing");
      return;
    }
    std::set<uint32_t> numbers;
    for (const Port& port : profile_.ports()) {
      const std::string name = absl::StrCat("port ", port.number());
      Require(port.number() >= 1 && port.number() <= 65535, name + " is not a TCP port");
      Require(numbers.insert(port.number()).second, name + " is listed twice");
      CheckTlsForm(port, name);
    }
    Require(numbers.contains(profile_.default_port()), "default_port is not among the ports");
  }

  void CheckTlsForm(const Port& port, const std::string& name) {
    Require(
        port.tls() != profile::v1::TLS_FORM_UNSPECIFIED && profile::v1::TlsForm_IsValid(port.tls()),
        name + " has no TLS form");
    if (std::ranges::find(kImplicitPorts, port.number()) != std::end(kImplicitPorts)) {
      Require(port.tls() == profile::v1::TLS_FORM_IMPLICIT, name + " is for implicit TLS");
    }
    if (std::ranges::find(kStartTlsPorts, port.number()) != std::end(kStartTlsPorts)) {
      Require(port.tls() == profile::v1::TLS_FORM_STARTTLS, name + " is for STARTTLS");
    }
  }

  void CheckMechanisms() {
    Require(!profile_.auth_mechanisms().empty(), "auth_mechanisms are missing");
    std::set<std::string> seen;
    for (const std::string& mechanism : profile_.auth_mechanisms()) {
      Require(IsMechanism(mechanism), absl::StrCat("unknown mechanism: ", mechanism));
      Require(seen.insert(mechanism).second, absl::StrCat("mechanism is named twice: ", mechanism));
    }
  }

  void CheckCredentials() {
    const auto& username = profile_.username();
    const auto& password = profile_.password();
    Require(!username.help().empty(), "username.help is missing");
    Require(!password.help().empty(), "password.help is missing");
    Require(username.fixed().empty() || !username.same_as_password(),
            "username is both fixed and the password");
    Require(username.pattern().empty() == username.mismatch().empty(),
            "username.pattern and username.mismatch go together");
    if (!username.pattern().empty() && RequirePattern(username.pattern(), "username.pattern")) {
      for (const std::string& value : {username.example(), username.fixed()}) {
        Require(value.empty() || re2::RE2::FullMatch(value, *CompilePattern(username.pattern())),
                absl::StrCat("username.pattern does not match: ", value));
      }
    }
    Require(password.mistake_pattern().empty() == password.mistake().empty(),
            "password.mistake_pattern and password.mistake go together");
    if (!password.mistake_pattern().empty()) {
      RequirePattern(password.mistake_pattern(), "password.mistake_pattern");
    }
  }

  void CheckExplanation(const Explanation& explanation) {
    const std::string name = absl::StrCat("explanation \"", explanation.pattern(), "\"");
    if (!RequirePattern(explanation.pattern(), "explanation")) return;
    Require(re2::RE2::PartialMatch(explanation.example(), *CompilePattern(explanation.pattern())),
            name + " does not match its own example");
    static const re2::RE2 failure("[45][0-9][0-9] .*");
    Require(re2::RE2::FullMatch(explanation.example(), failure),
            name + ": its example is no reply that refuses");
    for (const std::string& stage : explanation.stages()) {
      Require(IsStage(stage), absl::StrCat(name, ": unknown stage ", stage));
    }
    Require(IsReason(explanation.reason()),
            absl::StrCat(name, ": unknown reason ", explanation.reason()));
    Require(!explanation.meaning().empty(), name + " has no meaning");
    Require(!explanation.what_to_do().empty(), name + " has no what_to_do");
    Require(explanation.fault() != profile::v1::FAULT_UNSPECIFIED &&
                profile::v1::Fault_IsValid(explanation.fault()),
            name + " has no fault");
    Require(explanation.retryable() || explanation.retry_after_seconds() == 0,
            name + " has a retry_after_seconds and is not retryable");
    if (!explanation.doc_url().empty()) RequireUrl(explanation.doc_url(), "explanation.doc_url");
    const bool auth = std::ranges::count(explanation.stages(), "auth") > 0;
    Require(!(auth && explanation.retryable() && absl::StartsWith(explanation.example(), "5")),
            name + ": a 5xx to AUTH is never retryable");
  }

  // The first match wins, so an example must not be taken by an earlier row.
  void CheckOrder() {
    for (int later = 0; later < profile_.explanations_size(); ++later) {
      for (int earlier = 0; earlier < later; ++earlier) {
        const Explanation& first = profile_.explanations(earlier);
        const Explanation& second = profile_.explanations(later);
        if (Overlap(first, second) &&
            re2::RE2::PartialMatch(second.example(), *CompilePattern(first.pattern()))) {
          Require(false, absl::StrCat("explanation \"", second.pattern(),
                                      "\": its example meets \"", first.pattern(), "\" first"));
        }
      }
    }
  }

  static bool Overlap(const Explanation& a, const Explanation& b) {
    for (const std::string& x : StagesOf(a)) {
      for (const std::string& y : StagesOf(b)) {
        if (x.empty() || y.empty() || x == y) return true;
      }
    }
    return false;
  }

  void CheckMessageId(const MessageId& id) {
    if (!RequirePattern(id.pattern(), "message_ids", 1)) return;
    std::string found;
    Require(re2::RE2::PartialMatch(id.example(), *CompilePattern(id.pattern()), &found) &&
                !found.empty(),
            absl::StrCat("message_ids \"", id.pattern(), "\" finds no id in its own example"));
  }

  void CheckSending() {
    for (const std::string& fault : LimitFaults(LimitsOf(profile_))) {
      Require(false, absl::StrCat("sending_limits.", fault));
    }
    Require(
        !profile_.swallows_refused_chunk() || IsReal() || profile_.id() == "sandbox",
        "swallows_refused_chunk is said of a server that is not known: the profile has no host");
  }

  const Profile& profile_;
  std::vector<std::string> faults_;
};

}  // namespace

absl::Status CheckProfile(const Profile& profile) {
  const std::vector<std::string> faults = Checker(profile).Run();
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

}  // namespace sendstep::providers
