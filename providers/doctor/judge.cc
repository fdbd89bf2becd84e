#include "providers/doctor/judge.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace sendstep::doctor {
namespace {

using mailauth::Alignment;
using mailauth::DkimPresence;
using mailauth::DkimSelector;
using mailauth::DmarcPolicy;

Identifier Because(CanPass aligned, std::string domain, std::string why) {
  return {aligned, std::move(domain), std::move(why)};
}

const profile::v1::Dns& DnsOf(const Facts& facts) {
  return facts.question.profile != nullptr ? facts.question.profile->dns()
                                           : profile::v1::Dns::default_instance();
}

// The terms of an SPF record without "v=spf1", in lower case.
std::vector<std::string> TermsOf(const std::string& record) {
  std::vector<std::string> terms =
      absl::StrSplit(absl::AsciiStrToLower(record), ' ', absl::SkipEmpty());
  if (!terms.empty()) terms.erase(terms.begin());
  return terms;
}

bool PassesAll(const std::string& record) {
  const auto terms = TermsOf(record);
  return std::any_of(terms.begin(), terms.end(),
                     [](const std::string& term) { return term == "all" || term == "+all"; });
}

// The record lets nobody send: its first term is -all.
bool PassesNobody(const std::string& record) {
  const auto terms = TermsOf(record);
  return !terms.empty() && terms.front() == "-all";
}

// The provider's addresses may be among what the record lists itself, or what a macro makes.
bool MayListAddresses(const mailauth::SpfNode& node) {
  const auto terms = TermsOf(node.record);
  return std::any_of(terms.begin(), terms.end(), [](const std::string& term) {
    return absl::StrContains(term, "ip4:") || absl::StrContains(term, "ip6:") ||
           absl::StrContains(term, "exists:") || absl::StrContains(term, "%{");
  });
}

// SPF of a domain that the sender chose, at the provider's addresses.
Identifier JudgeOwnSpf(const Facts& facts) {
  const std::string& domain = facts.question.envelope_domain;
  const std::string& include = DnsOf(facts).spf_include();
  const std::string provider = ProviderOf(facts.question);
  const auto say = [&](CanPass can, std::string why) {
    return Because(can, domain, std::move(why));
  };
  if (!facts.envelope_aligns) {
    return say(CanPass::kNo,
               absl::StrCat("The envelope sender is of ", domain, ", which does not align with ",
                            facts.question.from_domain, "."));
  }
  if (facts.spf_for_ip) {
    const mailauth::SpfVerdict& spf = *facts.spf_for_ip;
    const CanPass can = spf.result == mailauth::SpfResult::kPass        ? CanPass::kYes
                        : spf.result == mailauth::SpfResult::kTempError ? CanPass::kUnknown
                                                                        : CanPass::kNo;
    return say(can, absl::StrCat("From ", facts.question.ip->to_string(), " the result is ",
                                 std::string(SpfResultName(spf.result)), ": ", spf.reason, "."));
  }
  if (!facts.spf.determined) {
    return say(CanPass::kUnknown,
               absl::StrCat("The SPF record of ", domain, " could not be determined."));
  }
  if (facts.spf_records.size() > 1) {
    return say(CanPass::kNo, absl::StrCat(domain, " has ", facts.spf_records.size(),
                                          " SPF records; receivers take none of them."));
  }
  if (facts.spf.root.record.empty()) {
    return say(CanPass::kNo, absl::StrCat(domain, " has no SPF record."));
  }
  if (!facts.spf.found || facts.spf.lookups > 10 || facts.spf.void_lookups > 2) {
    return say(CanPass::kNo, absl::StrCat("Receivers cannot evaluate the SPF record of ", domain,
                                          " (permerror)."));
  }
  if (PassesAll(facts.spf.root.record)) {
    return say(CanPass::kYes,
               absl::StrCat("The SPF record of ", domain, " lets every host on earth send."));
  }
  if (!include.empty() && mailauth::ReachesSpf(facts.spf, include)) {
    return say(CanPass::kYes,
               absl::StrCat("The SPF record of ", domain, " reaches ", include, "."));
  }
  if (PassesNobody(facts.spf.root.record)) {
    return say(CanPass::kNo,
               absl::StrCat("The SPF record of ", domain, " says that no host may send (-all)."));
  }
  if (include.empty() || facts.question.profile == nullptr) {
    return say(CanPass::kUnknown,
               absl::StrCat("Which addresses ", provider, " sends from is not known here."));
  }
  if (MayListAddresses(facts.spf.root)) {
    return say(CanPass::kUnknown,
               absl::StrCat("The SPF record of ", domain, " does not include ", include,
                            ", but lists addresses that may be among ", provider, "'s."));
  }
  return say(CanPass::kNo,
             absl::StrCat("The SPF record of ", domain, " does not include ", include, "."));
}

// SPF where the provider puts a domain of its own into the envelope, unless the sender's domain has
// records that lend it one.
Identifier JudgeProvidersSpf(const Facts& facts) {
  const std::string provider = ProviderOf(facts.question);
  const bool strict = facts.dmarc.record && facts.dmarc.record->aspf == Alignment::kStrict;
  for (const ExpectedRecord& record : facts.return_path) {
    if (record.matches && strict) {
      return Because(CanPass::kNo, record.name,
                     absl::StrCat("The envelope sender is of ", record.name,
                                  ", and aspf=s asks for ", facts.question.from_domain, "."));
    }
    if (record.matches) {
      return Because(
          CanPass::kYes, record.name,
          absl::StrCat(record.name, " lends ", provider, " an envelope sender that aligns."));
    }
    if (!record.determined()) {
      return Because(CanPass::kUnknown, record.name,
                     absl::StrCat(record.name, " could not be determined."));
    }
  }
  const auto& return_path = DnsOf(facts).return_path();
  if (static_cast<size_t>(return_path.size()) > facts.return_path.size()) {
    return Because(CanPass::kUnknown, "",
                   absl::StrCat("The envelope sender is of a domain of ", provider,
                                ", unless a domain below ", facts.question.from_domain,
                                " was set up for it, under a name that cannot be guessed."));
  }
  const std::string& above = facts.dmarc.organizational_domain;
  if (!strict && above != facts.question.from_domain) {
    return Because(CanPass::kUnknown, above,
                   absl::StrCat("The envelope sender is of a domain of ", provider, ", unless ",
                                above, " was set up for it."));
  }
  return Because(CanPass::kNo, "",
                 absl::StrCat("The envelope sender is of a domain of ", provider,
                              ", which does not align with ", facts.question.from_domain, "."));
}

bool IsExpected(const Facts& facts, const DkimSelector& selector) {
  return std::any_of(facts.dkim_expected.begin(), facts.dkim_expected.end(),
                     [&](const ExpectedRecord& record) { return record.name == selector.name; });
}

// A key that this provider may sign with: one that the sender names, or the profile's where it
// leads to the provider.
const DkimSelector* UsableKey(const Facts& facts) {
  for (const DkimSelector& selector : facts.dkim) {
    if (!selector.usable()) continue;
    const bool elsewhere = std::any_of(
        facts.dkim_expected.begin(), facts.dkim_expected.end(), [&](const ExpectedRecord& record) {
          return record.name == selector.name && !record.matches && !record.answer.aliases.empty();
        });
    if (!elsewhere) return &selector;
  }
  return nullptr;
}

// Some account of the provider has a selector of its own name.
bool SelectorsVary(const Facts& facts) {
  if (facts.question.signs_itself) return false;
  const profile::v1::Dns& dns = DnsOf(facts);
  const auto varies = [](const profile::v1::DnsRecord& record) {
    return absl::StrContains(record.name(), '*');
  };
  return dns.dkim().empty() || std::any_of(dns.dkim().begin(), dns.dkim().end(), varies) ||
         std::any_of(dns.dkim_else().begin(), dns.dkim_else().end(), varies);
}

Identifier JudgeDkim(const Facts& facts) {
  const std::string& domain = facts.question.from_domain;
  const std::string provider = ProviderOf(facts.question);
  if (const DkimSelector* key = UsableKey(facts)) {
    return Because(CanPass::kYes, domain,
                   absl::StrCat("A usable key stands at ", key->name,
                                facts.question.signs_itself
                                    ? "."
                                    : "; that mail is signed with it is not proven by that."));
  }
  for (const DkimSelector& above : facts.dkim_above) {
    if (!above.usable()) continue;
    return Because(CanPass::kUnknown, facts.dmarc.organizational_domain,
                   absl::StrCat("A usable key stands at ", above.name, "; whether mail from ",
                                domain, " is signed with it cannot be seen."));
  }
  const auto undetermined =
      std::find_if(facts.dkim.begin(), facts.dkim.end(), [](const DkimSelector& selector) {
        return !selector.answer.found() && !selector.answer.is_void();
      });
  if (undetermined != facts.dkim.end()) {
    return Because(CanPass::kUnknown, domain,
                   absl::StrCat(undetermined->name, " could not be determined."));
  }
  const bool maybe_above = SelectorsVary(facts) && facts.dkim_presence_above != DkimPresence::kNone;
  if (facts.dkim_presence == DkimPresence::kNone && !maybe_above && !facts.question.signs_itself) {
    return Because(CanPass::kNo, domain,
                   absl::StrCat(domain,
                                " very likely has no DKIM key at all: nothing exists at "
                                "_domainkey.",
                                domain, "."));
  }
  if (SelectorsVary(facts)) {
    return Because(CanPass::kUnknown, domain,
                   absl::StrCat("Selectors of ", provider,
                                " differ from account to account: name "
                                "the one that it shows."));
  }
  const bool broken =
      std::any_of(facts.dkim.begin(), facts.dkim.end(), [&](const DkimSelector& selector) {
        return selector.answer.found() && IsExpected(facts, selector);
      });
  return Because(
      CanPass::kNo, domain,
      broken ? absl::StrCat("None of the keys that ", provider, " signs ", domain,
                            " with can be used.")
             : absl::StrCat(domain, " has none of the keys that ", provider, " signs with."));
}

Identifier JudgeSpf(const Facts& facts) {
  const profile::v1::Dns& dns = DnsOf(facts);
  if (dns.envelope() == profile::v1::ENVELOPE_DOMAIN_PROVIDER) return JudgeProvidersSpf(facts);
  Identifier own = JudgeOwnSpf(facts);
  const bool known = dns.envelope() == profile::v1::ENVELOPE_DOMAIN_SENDER ||
                     facts.question.profile == nullptr || !facts.question.profile->has_dns();
  if (known || own.aligned != CanPass::kYes) return own;
  own.aligned = CanPass::kUnknown;
  absl::StrAppend(&own.why, " Whether ", ProviderOf(facts.question),
                  " puts that domain into the envelope is not known here.");
  return own;
}

CanPass Either(CanPass a, CanPass b) {
  if (a == CanPass::kYes || b == CanPass::kYes) return CanPass::kYes;
  return a == CanPass::kNo && b == CanPass::kNo ? CanPass::kNo : CanPass::kUnknown;
}

ReceiverAction ActionOf(const mailauth::DmarcPolicyFound& dmarc) {
  if (!dmarc.determined) return ReceiverAction::kUnknown;
  switch (dmarc.effective) {
    case DmarcPolicy::kReject:
      return ReceiverAction::kRefuse;
    case DmarcPolicy::kQuarantine:
      return ReceiverAction::kSpamFolder;
    case DmarcPolicy::kNone:
      return ReceiverAction::kNothing;
  }
  return ReceiverAction::kUnknown;
}

std::string PolicyOf(const Facts& facts) {
  if (facts.dmarc.record_name.empty()) return "no DMARC policy asks them to do anything";
  return absl::StrCat("the DMARC policy at ", facts.dmarc.record_name, " says ",
                      std::string(DmarcPolicyName(facts.dmarc.effective)));
}

std::string FailureOf(const Facts& facts, ReceiverAction action) {
  switch (action) {
    case ReceiverAction::kRefuse:
      return absl::StrCat("will be refused: ", PolicyOf(facts));
    case ReceiverAction::kSpamFolder:
      return absl::StrCat("will go to the spam folder: ", PolicyOf(facts));
    case ReceiverAction::kNothing:
      return absl::StrCat(
          "counts as not authenticated, which Gmail, Yahoo and Microsoft hold "
          "against it: ",
          PolicyOf(facts));
    case ReceiverAction::kUnknown:
      break;
  }
  return "counts as not authenticated; what the DMARC policy makes of that could not be determined";
}

std::string SummaryOf(const Facts& facts, const Verdict& verdict) {
  const std::string mail = absl::StrCat("Mail from ", facts.question.from_domain, " through ",
                                        ProviderOf(facts.question), " ");
  switch (verdict.dmarc) {
    case CanPass::kYes:
      return absl::StrCat(mail, "can pass DMARC, by ",
                          verdict.dkim.aligned != CanPass::kYes  ? "SPF"
                          : verdict.spf.aligned != CanPass::kYes ? "DKIM"
                                                                 : "SPF and by DKIM",
                          ".");
    case CanPass::kNo:
      return absl::StrCat(mail, FailureOf(facts, verdict.if_it_fails),
                          ". Neither SPF nor DKIM can pass for this domain.");
    case CanPass::kUnknown:
      break;
  }
  return absl::StrCat("Whether mail from ", facts.question.from_domain, " through ",
                      ProviderOf(facts.question),
                      " can pass DMARC could not be determined. Without a pass it ",
                      FailureOf(facts, verdict.if_it_fails), ".");
}

}  // namespace

bool IsProvidersOwn(const Question& question) {
  return question.profile != nullptr && question.mailbox_provider != nullptr &&
         question.profile->id() == question.mailbox_provider->id();
}

std::string ProviderOf(const Question& question) {
  if (question.profile == nullptr || question.profile->id() == "custom") return "this server";
  return question.profile->title();
}

std::string_view CanPassName(CanPass can) {
  return can == CanPass::kYes ? "yes" : can == CanPass::kNo ? "no" : "unknown";
}

std::string_view ReceiverActionName(ReceiverAction action) {
  switch (action) {
    case ReceiverAction::kNothing:
      return "nothing";
    case ReceiverAction::kSpamFolder:
      return "spam_folder";
    case ReceiverAction::kRefuse:
      return "refuse";
    case ReceiverAction::kUnknown:
      break;
  }
  return "unknown";
}

Verdict Judge(const Facts& facts) {
  Verdict verdict;
  if (IsProvidersOwn(facts.question)) {
    const std::string why = absl::StrCat(facts.question.from_domain, " is a domain of ",
                                         ProviderOf(facts.question), " itself.");
    verdict.spf = verdict.dkim = Because(CanPass::kYes, facts.question.from_domain, why);
  } else {
    verdict.spf = JudgeSpf(facts);
    verdict.dkim = JudgeDkim(facts);
  }
  verdict.dmarc = Either(verdict.spf.aligned, verdict.dkim.aligned);
  verdict.if_it_fails = ActionOf(facts.dmarc);
  verdict.summary = SummaryOf(facts, verdict);
  return verdict;
}

}  // namespace sendstep::doctor
