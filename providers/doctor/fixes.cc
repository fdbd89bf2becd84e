#include "providers/doctor/fixes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace sendstep::doctor {
namespace {

using profile::v1::DnsRecord;
using Action = Fix::Action;

constexpr size_t kMaxLookups = 10;  // RFC 7208 4.6.4

std::string_view TypeName(profile::v1::RecordType type) {
  switch (type) {
    case profile::v1::RECORD_TYPE_CNAME:
      return "CNAME";
    case profile::v1::RECORD_TYPE_MX:
      return "MX";
    default:
      return "TXT";
  }
}

std::string DocOf(const Facts& facts) {
  return facts.question.profile != nullptr ? facts.question.profile->doc_url() : "";
}

// What to publish in place of `record`, whose answer says what is there now.
Fix Publish(const Facts& facts, const ExpectedRecord& record, std::string why) {
  Fix fix;
  fix.action = record.answer.is_void() ? Action::kAdd : Action::kReplace;
  fix.type = TypeName(record.expected.type());
  fix.name = record.name;
  fix.from_account = record.target.empty() || absl::StrContains(record.target, '*');
  fix.value = record.target.empty() ? "the key that the provider shows" : record.target;
  fix.why = std::move(why);
  fix.doc_url = DocOf(facts);
  return fix;
}

void FixDkim(const Facts& facts, const Verdict& verdict, std::vector<Fix>& out) {
  if (verdict.dkim.aligned == CanPass::kYes || facts.question.signs_itself) return;
  const std::string why = absl::StrCat("Receivers find the key that ", ProviderOf(facts.question),
                                       " signs with, and DMARC passes by DKIM.");
  for (const ExpectedRecord& record : facts.dkim_expected) {
    if (!record.matches && record.determined()) out.push_back(Publish(facts, record, why));
  }
  if (!facts.dkim_expected.empty() || facts.question.profile == nullptr) return;
  for (const DnsRecord& record : facts.question.profile->dns().dkim()) {
    Fix fix;
    fix.type = TypeName(record.type());
    fix.name = absl::StrCat(record.name(), ".", facts.question.from_domain);
    fix.value = record.target().empty() ? "the key that the provider shows" : record.target();
    fix.from_account = true;
    fix.why = why;
    fix.doc_url = DocOf(facts);
    out.push_back(std::move(fix));
  }
}

// The terms of several SPF records, each once, and the first of their "all"s.
std::string Merged(const std::vector<std::string>& records) {
  std::vector<std::string> terms;
  std::string all;
  for (const std::string& record : records) {
    for (absl::string_view term : absl::StrSplit(record, ' ', absl::SkipEmpty())) {
      const std::string lower = absl::AsciiStrToLower(term);
      const bool is_all = lower == "all" || (lower.size() == 4 && absl::EndsWith(lower, "all"));
      if (is_all && all.empty()) all = std::string(term);
      // A redirect counts only where there is no all; merged records have one.
      const bool left_out = is_all || lower == "v=spf1" || absl::StartsWith(lower, "redirect=");
      if (!left_out && std::ranges::count(terms, term) == 0) terms.emplace_back(term);
    }
  }
  return absl::StrCat("v=spf1 ", absl::StrJoin(terms, " "), terms.empty() ? "" : " ",
                      all.empty() ? "~all" : all);
}

// The one SPF record that the domain is to have. Where there are several, receivers take none.
void FixSpf(const Facts& facts, const Verdict& verdict, std::vector<Fix>& out) {
  if (facts.question.profile == nullptr || !facts.spf.determined || facts.spf_for_ip) return;
  const profile::v1::Dns& dns = facts.question.profile->dns();
  const bool theirs = dns.envelope() == profile::v1::ENVELOPE_DOMAIN_PROVIDER;
  if (theirs || dns.spf_include().empty() || verdict.spf.aligned == CanPass::kYes ||
      !facts.envelope_aligns) {
    return;
  }
  const bool several = facts.spf_records.size() > 1;
  const std::string record = several ? Merged(facts.spf_records) : facts.spf.root.record;
  // What a record with an error means is not known.
  if (!several && !record.empty() && !facts.spf.found) return;
  Fix fix;
  fix.action = record.empty() ? Action::kAdd : Action::kReplace;
  fix.type = "TXT";
  fix.name = facts.question.envelope_domain;
  fix.value = mailauth::WithInclude(record, dns.spf_include());
  fix.why = absl::StrCat("SPF passes at ", ProviderOf(facts.question), "'s addresses",
                         several ? "; a domain has one SPF record only: publish this in place "
                                   "of those that are there."
                         : record.empty() ? "."
                                          : "; a domain has one SPF record only, so this "
                                            "takes the place of the one that is there.");
  const size_t lookups = facts.spf.lookups + facts.include_lookups;
  if (lookups > kMaxLookups) {
    absl::StrAppend(&fix.why, " It then costs ", lookups, " lookups, and receivers allow ",
                    kMaxLookups, ": take out what is no longer used first.");
  }
  fix.doc_url = DocOf(facts);
  out.push_back(std::move(fix));
}

void FixReturnPath(const Facts& facts, const Verdict& verdict, std::vector<Fix>& out) {
  if (verdict.spf.aligned == CanPass::kYes) return;
  for (const ExpectedRecord& record : facts.return_path) {
    if (record.matches || !record.determined()) continue;
    out.push_back(Publish(facts, record,
                          "The envelope sender becomes one of your domain, so that SPF aligns as "
                          "well."));
    if (record.expected.type() != profile::v1::RECORD_TYPE_MX) continue;
    Fix spf;
    spf.type = "TXT";
    spf.name = record.name;
    spf.value = mailauth::WithInclude("", facts.question.profile->dns().spf_include());
    spf.why = "The SPF record of that envelope sender.";
    spf.doc_url = DocOf(facts);
    out.push_back(std::move(spf));
  }
}

void FixDmarc(const Facts& facts, std::vector<Fix>& out) {
  if (!facts.dmarc.determined || !facts.dmarc.record_name.empty()) return;
  const bool at_apex =
      std::any_of(facts.dmarc.problems.begin(), facts.dmarc.problems.end(),
                  [](const mailauth::Problem& problem) { return problem.id == "dmarc.at_apex"; });
  const bool something_there = std::any_of(facts.dmarc.problems.begin(), facts.dmarc.problems.end(),
                                           [](const mailauth::Problem& problem) {
                                             return problem.severity == Severity::kError &&
                                                    problem.id != "dmarc.at_apex" &&
                                                    problem.id != "dmarc.missing";
                                           });
  if (something_there) return;  // each of these says what to do with the record that is there
  Fix fix;
  fix.type = "TXT";
  fix.name = absl::StrCat("_dmarc.", facts.question.from_domain);
  fix.value = "v=DMARC1; p=none";
  fix.why = at_apex ? "A DMARC record counts below _dmarc only, not at the domain itself."
                    : "Gmail, Yahoo and Microsoft want a DMARC record of those who send much; "
                      "p=none asks receivers to do nothing.";
  out.push_back(std::move(fix));
}

}  // namespace

std::vector<Fix> FixesFor(const Facts& facts, const Verdict& verdict) {
  std::vector<Fix> out;
  const bool is_suffix = mailauth::PslOrganizationalDomain(facts.question.from_domain).empty();
  if (facts.mx.outcome == dns::Outcome::kNoDomain || is_suffix) return out;
  FixDkim(facts, verdict, out);
  FixSpf(facts, verdict, out);
  FixReturnPath(facts, verdict, out);
  FixDmarc(facts, out);
  return out;
}

}  // namespace sendstep::doctor
