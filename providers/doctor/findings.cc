#include "providers/doctor/findings.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace sendstep::doctor {
namespace {

using mailauth::DkimPresence;
using mailauth::DkimSelector;
using mailauth::DmarcPolicy;
using mailauth::Problem;
using Problems = std::vector<Problem>;

// Domains of free mailboxes whose providers have no profile.
constexpr std::array<std::string_view, 16> kFreeMail = {
    "aol.com", "gmx.com",   "gmx.de",    "gmx.net",        "web.de",       "mail.com",
    "mail.ru", "yandex.ru", "proton.me", "protonmail.com", "tutanota.com", "qq.com",
    "163.com", "orange.fr", "libero.it", "t-online.de"};

bool IsNullMx(const dns::Answer& mx) {
  return mx.records.size() == 1 && mx.records.front().name.empty();
}

void FindDomain(const Facts& facts, Problems& out) {
  const Question& asked = facts.question;
  if (facts.mx.outcome == dns::Outcome::kNoDomain) {
    out.push_back({Severity::kError, "domain.missing", asked.from_domain,
                   absl::StrCat("The domain ", asked.from_domain, " does not exist."),
                   "Write the From address with a domain of your own that exists."});
    return;
  }
  if (mailauth::PslOrganizationalDomain(asked.from_domain).empty()) {
    out.push_back({Severity::kWarning, "domain.public_suffix", asked.from_domain,
                   absl::StrCat(asked.from_domain,
                                " is a public suffix, below which others "
                                "register domains."),
                   "Send from a domain of your own."});
  }
  if (IsNullMx(facts.mx)) {
    out.push_back(
        {Severity::kError, "domain.null_mx", asked.from_domain,
         absl::StrCat(asked.from_domain,
                      " says that it takes no mail (null MX, RFC 7505):"
                      " nobody can reply, and some receivers refuse "
                      "mail from such a domain."),
         "Publish an MX record of a server that takes mail, or send from another domain."});
  } else if (facts.mx.is_void() && facts.address.is_void()) {
    out.push_back({Severity::kWarning, "domain.no_mx", asked.from_domain,
                   absl::StrCat(asked.from_domain,
                                " has neither an MX record nor an address: "
                                "replies and bounces get lost."),
                   "Publish an MX record of a server that takes mail for the domain."});
  }
  for (const std::string& host : facts.mx_without_address) {
    out.push_back({Severity::kWarning, "domain.mx_without_address", asked.from_domain,
                   absl::StrCat("The MX host ", host,
                                " has no address: mail to the domain does not "
                                "get there."),
                   "Publish an address for it, or another MX record."});
  }
  if (asked.envelope_domain == asked.from_domain) return;
  if (IsNullMx(facts.envelope_mx)) {
    out.push_back({Severity::kError, "envelope.null_mx", asked.envelope_domain,
                   absl::StrCat("The envelope sender's domain ", asked.envelope_domain,
                                " takes no mail (null MX, RFC 7505): bounces get lost, and some "
                                "receivers refuse the mail."),
                   "Use an envelope sender whose domain takes mail."});
  } else if (facts.envelope_mx.outcome == dns::Outcome::kNoDomain) {
    out.push_back(
        {Severity::kError, "envelope.missing", asked.envelope_domain,
         absl::StrCat("The envelope sender's domain ", asked.envelope_domain, " does not exist."),
         "Use an envelope sender of a domain that exists."});
  }
}

void FindNames(const Facts& facts, Problems& out) {
  if (!facts.question.ip) return;
  const std::string ip = facts.question.ip->to_string();
  if (facts.names_of_ip.is_void()) {
    out.push_back({Severity::kError, "ip.no_name", ip,
                   absl::StrCat(ip, " has no name (PTR): Gmail and others refuse its mail."),
                   "Let its provider publish one that leads back to the address."});
  } else if (facts.names_of_ip.found() && !facts.name_confirmed) {
    out.push_back({Severity::kWarning, "ip.name_not_confirmed", ip,
                   absl::StrCat("The name of ", ip, ", ", facts.names_of_ip.records.front().name,
                                ", does not lead back to it."),
                   "Publish the address under that name."});
  }
}

void FindFreeMail(const Facts& facts, Problems& out) {
  const Question& asked = facts.question;
  if (IsProvidersOwn(asked)) return;
  const bool theirs = asked.mailbox_provider != nullptr;
  if (!theirs &&
      std::find(kFreeMail.begin(), kFreeMail.end(), asked.from_domain) == kFreeMail.end()) {
    return;
  }
  out.push_back({Severity::kError, "from.free_mail", asked.from_domain,
                 absl::StrCat("Addresses of ", asked.from_domain, " are mailboxes of ",
                              theirs ? asked.mailbox_provider->title() : "another provider",
                              "; mail from them that comes through ", ProviderOf(asked),
                              " looks forged to receivers."),
                 theirs ? absl::StrCat("Send from an address of a domain of your own, or through ",
                                       asked.mailbox_provider->title(), ".")
                        : "Send from an address of a domain of your own."});
}

// The record of a domain that mail through this provider is not checked against is no error of it.
void FindSpf(const Facts& facts, const Verdict& verdict, Problems& out) {
  const bool provider_envelope =
      facts.question.profile != nullptr &&
      facts.question.profile->dns().envelope() == profile::v1::ENVELOPE_DOMAIN_PROVIDER;
  for (Problem problem : facts.spf.problems) {
    if (provider_envelope && problem.severity == Severity::kError) {
      problem.severity = Severity::kInfo;
      absl::StrAppend(&problem.message, " Mail through ", ProviderOf(facts.question),
                      " is not checked against this record.");
    }
    out.push_back(std::move(problem));
  }
  if (!provider_envelope && verdict.spf.aligned == CanPass::kNo && facts.spf.found) {
    out.push_back(
        {Severity::kError, "spf.not_reached", facts.question.envelope_domain, verdict.spf.why, ""});
  }
}

void FindDkim(const Facts& facts, const Verdict& verdict, Problems& out) {
  const Question& asked = facts.question;
  const bool usable = verdict.dkim.aligned == CanPass::kYes;
  for (const DkimSelector& selector : facts.dkim) {
    // That one of several keys is missing matters only where none can be used.
    const bool named =
        std::any_of(asked.selectors.begin(), asked.selectors.end(), [&](const std::string& name) {
          return absl::StartsWithIgnoreCase(selector.name, absl::StrCat(name, "._domainkey."));
        });
    if (!selector.answer.found() && !named && facts.dkim_presence == DkimPresence::kNone) continue;
    for (Problem problem : selector.problems) {
      if (problem.severity == Severity::kError && usable && !named) {
        problem.severity = Severity::kWarning;
      }
      out.push_back(std::move(problem));
    }
  }
  for (const ExpectedRecord& record : facts.dkim_expected) {
    if (record.expected.type() != profile::v1::RECORD_TYPE_CNAME || record.matches) continue;
    if (!record.answer.aliases.empty()) {
      out.push_back({usable ? Severity::kWarning : Severity::kError, "dkim.wrong_target",
                     record.name,
                     absl::StrCat(record.name, " leads to ", record.answer.aliases.front(),
                                  ", not to ", record.target, "."),
                     absl::StrCat("Let the CNAME lead where ", ProviderOf(asked), " says.")});
    } else if (record.answer.found()) {
      out.push_back(
          {Severity::kWarning, "dkim.copied_key", record.name,
           absl::StrCat(record.name, " holds a key itself and does not lead to ", ProviderOf(asked),
                        ": signatures fail once the provider changes the key."),
           "Publish the CNAME in place of the TXT record."});
    }
  }
  if (facts.dkim_presence == DkimPresence::kNone && !usable) {
    out.push_back({Severity::kError, "dkim.none", absl::StrCat("_domainkey.", asked.from_domain),
                   absl::StrCat(asked.from_domain,
                                " very likely has no DKIM key: nothing exists "
                                "below this name."),
                   absl::StrCat("Set up DKIM for ", asked.from_domain, " in the account of ",
                                ProviderOf(asked), " and publish the records that it shows.")});
  }
}

void FindDmarc(const Facts& facts, Problems& out) {
  out.insert(out.end(), facts.dmarc.problems.begin(), facts.dmarc.problems.end());
  out.insert(out.end(), facts.reports.begin(), facts.reports.end());
  if (!facts.dmarc.determined || !facts.dmarc.record_name.empty()) return;
  const bool said = std::any_of(out.begin(), out.end(), [](const Problem& problem) {
    return absl::StartsWith(problem.id, "dmarc.");
  });
  if (said) return;
  out.push_back({Severity::kWarning, "dmarc.missing",
                 absl::StrCat("_dmarc.", facts.question.from_domain),
                 absl::StrCat("No DMARC record holds for ", facts.question.from_domain,
                              ": Gmail, Yahoo and Microsoft want one of those who send 5,000 "
                              "emails a day or more."),
                 "Publish one with p=none to begin with."});
}

// What Gmail (since February 2024), Yahoo and Microsoft (since May 2025) want of those who send
// 5,000 emails a day or more.
void FindBulk(const Facts& facts, const Verdict& verdict, Problems& out) {
  std::vector<std::string> missing;
  const bool own = facts.question.profile == nullptr || facts.question.profile->dns().envelope() !=
                                                            profile::v1::ENVELOPE_DOMAIN_PROVIDER;
  if (own && verdict.spf.aligned == CanPass::kNo) missing.push_back("SPF");
  if (verdict.dkim.aligned == CanPass::kNo) missing.push_back("DKIM");
  if (facts.dmarc.determined && facts.dmarc.record_name.empty()) missing.push_back("DMARC");
  if (verdict.dmarc == CanPass::kNo) missing.push_back("a pass that aligns with the From domain");
  if (facts.question.one_click_unsubscribe == false) {
    missing.push_back("for marketing, one-click unsubscribe (RFC 8058)");
  }
  if (missing.empty()) return;
  out.push_back({Severity::kInfo, "bulk.requirements", facts.question.from_domain,
                 absl::StrCat("Gmail, Yahoo and Microsoft want SPF, DKIM and DMARC of those who "
                              "send 5,000 emails a day or more; missing here: ",
                              absl::StrJoin(missing, ", "), "."),
                 ""});
}

// The text of the first record that begins with `version`.
std::string_view TextOf(const dns::Answer& answer, const std::string& version) {
  for (const dns::Record& record : answer.records) {
    if (absl::StartsWith(record.text, version)) return record.text;
  }
  return "";
}

void FindExtras(const Facts& facts, Problems& out) {
  const std::string& domain = facts.question.from_domain;
  const auto info = [&](std::string id, std::string name, std::string message) {
    out.push_back({Severity::kInfo, std::move(id), std::move(name), std::move(message), ""});
  };
  if (!TextOf(facts.mta_sts, "v=STSv1").empty()) {
    info("mta_sts.present", absl::StrCat("_mta-sts.", domain),
         "The domain asks those who send to it for TLS (MTA-STS, RFC 8461).");
  }
  if (!TextOf(facts.tls_rpt, "v=TLSRPTv1").empty()) {
    info("tls_rpt.present", absl::StrCat("_smtp._tls.", domain),
         "The domain asks for reports about TLS of mail sent to it (RFC 8460).");
  }
  if (TextOf(facts.bimi, "v=BIMI1").empty()) return;
  const bool enforced =
      facts.dmarc.determined && facts.dmarc.record && facts.dmarc.effective != DmarcPolicy::kNone;
  if (enforced || !facts.dmarc.determined) {
    info("bimi.present", absl::StrCat("default._bimi.", domain),
         "The domain has a logo to show beside its mail (BIMI).");
    return;
  }
  out.push_back(
      {Severity::kWarning, "bimi.without_policy", absl::StrCat("default._bimi.", domain),
       "The domain has a logo (BIMI), which receivers show only where its DMARC policy is "
       "quarantine or reject.",
       ""});
}

}  // namespace

Problems FindingsOf(const Facts& facts, const Verdict& verdict) {
  Problems out;
  FindDomain(facts, out);
  FindNames(facts, out);
  FindFreeMail(facts, out);
  FindDmarc(facts, out);
  FindDkim(facts, verdict, out);
  FindSpf(facts, verdict, out);
  FindBulk(facts, verdict, out);
  FindExtras(facts, out);
  if (facts.budget_spent) {
    out.push_back({Severity::kWarning, "dns.budget_spent", facts.question.from_domain,
                   absl::StrCat("The records of this domain ask for more lookups than a diagnosis "
                                "makes (",
                                facts.queries,
                                " were made): part of it could not be "
                                "determined."),
                   ""});
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Problem& a, const Problem& b) { return a.severity < b.severity; });
  return out;
}

}  // namespace sendstep::doctor
