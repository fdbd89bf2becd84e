#include "transport/mailauth/dmarc.h"

#include <libpsl.h>

#include <algorithm>
#include <utility>

#include "transport/mailauth/tag_list.h"

namespace sendstep::mailauth {
namespace {

namespace asio = boost::asio;
using dns::RecordType;

constexpr std::string_view kPrefix = "_dmarc.";
// RFC 9989 4.10: a name of 8 labels or more is cut to 7 after its first query, so that a walk costs
// 8 queries at most.
constexpr size_t kManyLabels = 8;
// Report addresses that are looked at.
constexpr size_t kMaxUris = 4;

std::string Normal(std::string_view domain) {
  std::string lower = LowerAscii(domain);
  if (lower.ends_with('.')) lower.pop_back();
  return lower;
}

size_t Labels(std::string_view domain) { return std::ranges::count(domain, '.') + 1; }

// Without its first label; empty for a top-level domain.
std::string_view Parent(std::string_view domain) {
  const size_t dot = domain.find('.');
  return dot == std::string_view::npos ? std::string_view() : domain.substr(dot + 1);
}

// The names of a tree walk from `domain`, the longest first.
std::vector<std::string> WalkOf(std::string_view domain) {
  std::vector<std::string> names = {std::string(domain)};
  std::string_view at = Parent(domain);
  while (Labels(at) >= kManyLabels) at = Parent(at);
  for (; !at.empty(); at = Parent(at)) names.emplace_back(at);
  return names;
}

// What stands at _dmarc.<domain>.
struct Found {
  std::string domain;
  bool answered = false;
  std::string text;
  std::optional<DmarcRecord> record;
  std::vector<Problem> problems;
};

std::string Quoted(std::string_view text) { return "\"" + Excerpt(text) + "\""; }

// A record that no receiver takes as one, but that somebody meant as one.
void LintOthers(const dns::Answer& answer, const std::string& name, std::vector<Problem>& out) {
  for (const dns::Record& record : answer.records) {
    const std::string_view trimmed = Trimmed(record.text);
    if (IsDmarc(record.text) || !LowerAscii(trimmed).starts_with("v=dmarc1")) continue;
    if (trimmed.size() != record.text.size() && IsDmarc(trimmed)) {
      out.push_back({Severity::kError, "dmarc.leading_blank", name,
                     "The record begins with a blank: receivers ignore it.", "Remove the blank."});
    } else {
      out.push_back({Severity::kError, "dmarc.version_case", name,
                     Quoted(trimmed) +
                         " does not begin with v=DMARC1, in capitals and followed by a "
                         "semicolon: receivers ignore it.",
                     "Write v=DMARC1; first."});
    }
  }
}

asio::awaitable<Found> LookAt(dns::Inquiry& inquiry, std::string domain) {
  Found found;
  found.domain = domain;
  const std::string name = std::string(kPrefix) + domain;
  const dns::Answer answer = co_await inquiry.Ask(name, RecordType::kTxt);
  found.answered = answer.found() || answer.is_void();
  LintOthers(answer, name, found.problems);
  std::vector<std::string> texts;
  for (const dns::Record& record : answer.records) {
    if (IsDmarc(record.text)) texts.push_back(record.text);
  }
  if (texts.size() > 1) {
    found.problems.push_back({Severity::kError, "dmarc.several", name,
                              "There are " + std::to_string(texts.size()) +
                                  " DMARC records: receivers ignore all of them.",
                              "Keep one."});
  }
  if (texts.size() != 1) co_return found;
  ParsedDmarc parsed = ParseDmarc(texts.front(), name);
  found.text = texts.front();
  found.record = std::move(parsed.record);
  found.problems.insert(found.problems.end(), parsed.problems.begin(), parsed.problems.end());
  co_return found;
}

// RFC 9989 4.10: the records from a name up to the top, or to the first that says psd=n or psd=y.
struct Walk {
  std::vector<Found> found;  // the longest name first
  bool answered = true;
  std::string organizational_domain;
};

bool Stops(const Found& found, bool is_start) {
  if (!found.record || found.record->psd == PublicSuffixFlag::kUnknown) return false;
  return found.record->psd == PublicSuffixFlag::kNo || !is_start;
}

// 4.10.2.
std::string OrganizationalDomainOf(const std::vector<Found>& walked, const std::string& start) {
  std::string shortest = start;
  std::string below = start;
  for (size_t i = 0; i < walked.size(); ++i) {
    const Found& found = walked[i];
    if (found.record && found.record->psd == PublicSuffixFlag::kNo) return found.domain;
    if (found.record && found.record->psd == PublicSuffixFlag::kYes && i > 0) {
      // One label below it, on the way to the start: the walk may have passed over that name.
      std::string_view name = start;
      while (Labels(name) > Labels(found.domain) + 1) name = Parent(name);
      return std::string(name);
    }
    if (found.record) shortest = found.domain;
  }
  return shortest;
}

asio::awaitable<Walk> WalkTree(dns::Inquiry& inquiry, std::string start) {
  const std::vector<std::string> names = WalkOf(start);
  for (const std::string& name : names) {
    inquiry.Begin(std::string(kPrefix) + name, RecordType::kTxt);
  }
  Walk walk;
  for (const std::string& name : names) {
    Found found = co_await LookAt(inquiry, name);
    walk.answered = walk.answered && found.answered;
    walk.found.push_back(std::move(found));
    if (Stops(walk.found.back(), name == start)) break;
  }
  walk.organizational_domain = OrganizationalDomainOf(walk.found, start);
  co_return walk;
}

// RFC 9989 3.2.13: neither a mail exchanger nor an address.
enum class Existence { kExists, kMissing, kUnknown };

asio::awaitable<Existence> Exists(dns::Inquiry& inquiry, std::string domain) {
  constexpr RecordType kTypes[] = {RecordType::kMx, RecordType::kA, RecordType::kAaaa};
  for (const RecordType type : kTypes) inquiry.Begin(domain, type);
  Existence existence = Existence::kMissing;
  for (const RecordType type : kTypes) {
    const dns::Answer answer = co_await inquiry.Ask(domain, type);
    if (answer.found()) co_return Existence::kExists;
    if (!answer.is_void()) existence = Existence::kUnknown;
  }
  co_return existence;
}

DmarcPolicy Milder(DmarcPolicy policy) {
  return policy == DmarcPolicy::kReject ? DmarcPolicy::kQuarantine : DmarcPolicy::kNone;
}

// What `record`, of the domain itself or of one above it, asks for.
DmarcPolicy Applied(const DmarcRecord& record, DmarcSource source) {
  DmarcPolicy policy = record.p;
  if (source != DmarcSource::kAuthor) policy = record.sp.value_or(record.p);
  if (source == DmarcSource::kNonExistent && record.np) policy = *record.np;
  return record.testing ? Milder(policy) : policy;
}

void Adopt(const Found& found, DmarcPolicyFound& out) {
  out.record_name = std::string(kPrefix) + found.domain;
  out.record_text = found.text;
  out.record = found.record;
}

// The record that holds for the start: its own, else the organizational domain's, else that of the
// public suffix above (RFC 9989 4.10.1).
const Found* RecordFor(const Walk& walk) {
  if (walk.found.front().record) return &walk.found.front();
  for (const Found& found : walk.found) {
    if (found.record && found.domain == walk.organizational_domain) return &found;
  }
  const Found& last = walk.found.back();
  const bool suffix = last.record && last.record->psd == PublicSuffixFlag::kYes;
  return suffix ? &last : nullptr;
}

std::string NameOf(std::optional<DmarcPolicy> policy) {
  return policy ? std::string(DmarcPolicyName(*policy)) : "no policy";
}

// Receivers that go by the public suffix list look at two names only.
asio::awaitable<void> CompareWithPsl(dns::Inquiry& inquiry, DmarcPolicyFound& out) {
  if (out.source == DmarcSource::kAuthor || out.psl_organizational_domain.empty()) co_return;
  const Found found = co_await LookAt(inquiry, out.psl_organizational_domain);
  if (!found.answered) co_return;
  std::optional<DmarcPolicy> by_psl;
  if (found.record) by_psl = Applied(*found.record, DmarcSource::kInherited);
  std::optional<DmarcPolicy> by_walk;
  if (out.record) by_walk = Applied(*out.record, DmarcSource::kInherited);
  if (by_psl == by_walk) co_return;
  out.psl_effective = by_psl.value_or(DmarcPolicy::kNone);
  out.problems.push_back({Severity::kWarning, "dmarc.tree_walk_differs", out.record_name,
                          "Receivers that find the policy by the public suffix list apply " +
                              NameOf(by_psl) + ", those that go by RFC 9989 " + NameOf(by_walk) +
                              ".",
                          "Publish a DMARC record for " + out.domain + " itself."});
}

asio::awaitable<void> LintApex(dns::Inquiry& inquiry, DmarcPolicyFound& out) {
  const dns::Answer answer = co_await inquiry.Ask(out.domain, RecordType::kTxt);
  for (const dns::Record& record : answer.records) {
    if (!IsDmarc(record.text)) continue;
    out.problems.push_back({out.record ? Severity::kWarning : Severity::kError, "dmarc.at_apex",
                            out.domain, "A DMARC record at the domain itself has no effect.",
                            "Move it to " + std::string(kPrefix) + out.domain + "."});
    co_return;
  }
}

std::string_view DomainOfUri(std::string_view uri) {
  const size_t at = uri.rfind('@');
  const std::string_view domain = at == std::string_view::npos ? "" : uri.substr(at + 1);
  return domain.substr(0, domain.find('?'));
}

}  // namespace

std::string PslOrganizationalDomain(std::string_view domain) {
  // The system's list where it is newer than the library's.
  static const psl_ctx_t* const list = psl_latest(nullptr);
  const std::string name = Normal(domain);
  if (list == nullptr || name.find('\0') != std::string::npos) return "";
  const char* registrable = psl_registrable_domain(list, name.c_str());
  return registrable ? registrable : "";
}

asio::awaitable<std::string> OrganizationalDomain(dns::Inquiry& inquiry, std::string domain) {
  const std::string name = Normal(domain);
  const Walk walk = co_await WalkTree(inquiry, name);
  if (walk.answered) co_return walk.organizational_domain;
  const std::string by_psl = PslOrganizationalDomain(name);
  co_return by_psl.empty() ? name : by_psl;
}

asio::awaitable<bool> Aligns(dns::Inquiry& inquiry, std::string from, std::string authenticated,
                             Alignment mode) {
  const std::string one = Normal(from), other = Normal(authenticated);
  if (one == other) co_return true;
  if (mode == Alignment::kStrict) co_return false;
  const std::string of_one = co_await OrganizationalDomain(inquiry, one);
  const std::string of_other = co_await OrganizationalDomain(inquiry, other);
  co_return of_one == of_other;
}

asio::awaitable<DmarcPolicyFound> DiscoverDmarc(dns::Inquiry& inquiry, std::string domain) {
  DmarcPolicyFound out;
  out.domain = Normal(domain);
  out.psl_organizational_domain = PslOrganizationalDomain(out.domain);
  const Walk walk = co_await WalkTree(inquiry, out.domain);
  out.organizational_domain = walk.organizational_domain;
  out.problems = walk.found.front().problems;
  const Found* found = RecordFor(walk);
  const bool own = found == &walk.found.front();
  out.determined = own || walk.answered;
  if (found != nullptr && out.determined) {
    Adopt(*found, out);
    out.source = DmarcSource::kAuthor;
    if (!own) {
      out.problems.insert(out.problems.end(), found->problems.begin(), found->problems.end());
      const Existence existence = co_await Exists(inquiry, out.domain);
      out.source =
          existence == Existence::kMissing ? DmarcSource::kNonExistent : DmarcSource::kInherited;
      // Only np tells the two apart.
      if (existence == Existence::kUnknown && found->record->np) out.determined = false;
    }
    out.effective = Applied(*found->record, out.source);
  }
  if (out.determined) co_await CompareWithPsl(inquiry, out);
  co_await LintApex(inquiry, out);
  co_return out;
}

asio::awaitable<std::vector<Problem>> CheckReportUris(dns::Inquiry& inquiry,
                                                      DmarcPolicyFound found) {
  std::vector<Problem> problems;
  if (!found.record) co_return problems;
  const std::string publisher = found.record_name.substr(kPrefix.size());
  std::vector<std::string> domains;
  for (const auto* uris : {&found.record->rua, &found.record->ruf}) {
    for (const std::string& uri : *uris) {
      std::string domain = Normal(DomainOfUri(uri));
      if (domain.empty() || std::ranges::count(domains, domain) > 0) continue;
      if (domains.size() < kMaxUris) domains.push_back(std::move(domain));
    }
  }
  for (const std::string& domain : domains) {
    inquiry.Begin(domain, RecordType::kMx);
    const bool foreign = PslOrganizationalDomain(domain) != PslOrganizationalDomain(publisher);
    if (foreign) {
      const std::string name = publisher + "._report._dmarc." + domain;
      const dns::Answer answer = co_await inquiry.Ask(name, RecordType::kTxt);
      const bool allowed = std::ranges::any_of(
          answer.records, [](const dns::Record& record) { return IsDmarc(record.text); });
      if (!allowed && (answer.found() || answer.is_void())) {
        problems.push_back({Severity::kWarning, "dmarc.rua_not_authorized", name,
                            "Reports go to " + domain +
                                ", which does not say that it takes those "
                                "about " +
                                publisher + ": receivers send none.",
                            "Let " + domain + " publish the TXT record v=DMARC1 under this name."});
      }
    }
    const dns::Answer mx = co_await inquiry.Ask(domain, RecordType::kMx);
    if (!mx.is_void()) continue;
    if (co_await Exists(inquiry, domain) == Existence::kMissing) {
      problems.push_back({Severity::kWarning, "dmarc.rua_no_mail", found.record_name,
                          "Reports go to " + domain + ", which takes no mail.",
                          "Write an address that takes mail."});
    }
  }
  co_return problems;
}

}  // namespace sendstep::mailauth
