#include "providers/doctor/gather.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "transport/mailauth/spf_record.h"

namespace sendstep::doctor {
namespace {

namespace asio = boost::asio;
using dns::RecordType;
using profile::v1::DnsRecord;

constexpr absl::string_view kDomainKey = "._domainkey";

constexpr absl::string_view kMtaSts = "_mta-sts.";        // RFC 8461
constexpr absl::string_view kTlsReports = "_smtp._tls.";  // RFC 8460
constexpr absl::string_view kBimi = "default._bimi.";

// Of the selectors a sender names, so that they cannot use up the budget.
constexpr size_t kMaxSelectors = 6;

// MX hosts, and names of an address, that are looked at.
constexpr size_t kMaxNames = 2;

// "7.2.0.192.in-addr.arpa", or the nibbles of an IPv6 address below ip6.arpa (RFC 3596 2.5).
std::string ReverseName(const asio::ip::address& ip) {
  std::string name;
  if (ip.is_v4()) {
    for (const unsigned char byte : ip.to_v4().to_bytes()) name = absl::StrCat(byte, ".", name);
    return name + "in-addr.arpa";
  }
  for (const unsigned char byte : ip.to_v6().to_bytes()) {
    name = absl::StrCat(absl::Hex(byte & 15), ".", absl::Hex(byte >> 4), ".", name);
  }
  return name + "ip6.arpa";
}

RecordType TypeOf(const DnsRecord& record) {
  return record.type() == profile::v1::RECORD_TYPE_MX ? RecordType::kMx : RecordType::kTxt;
}

std::string InDomain(const std::string& target, const std::string& domain) {
  return absl::StrReplaceAll(
      target,
      {{"{domain}", domain}, {"{domain-dashes}", absl::StrReplaceAll(domain, {{".", "-"}})}});
}

// Records of the profile whose name is the same for every account.
std::vector<ExpectedRecord> Expected(const google::protobuf::RepeatedPtrField<DnsRecord>& records,
                                     const std::string& domain) {
  std::vector<ExpectedRecord> out;
  for (const DnsRecord& record : records) {
    if (absl::StrContains(record.name(), '*')) continue;
    ExpectedRecord expected;
    expected.expected = record;
    expected.name = absl::StrCat(record.name(), ".", domain);
    expected.target = InDomain(record.target(), domain);
    out.push_back(std::move(expected));
  }
  return out;
}

// A CNAME fits when the name it leads to does; an MX when it is the only one (RFC 5321 would let
// others take the bounces); a TXT when there is one.
bool Matches(const ExpectedRecord& record, const std::string& domain) {
  const dns::Answer& answer = record.answer;
  switch (record.expected.type()) {
    case profile::v1::RECORD_TYPE_CNAME:
      return !answer.aliases.empty() &&
             FitsTarget(answer.aliases.front(), record.expected.target(), domain);
    case profile::v1::RECORD_TYPE_MX:
      return answer.records.size() == 1 &&
             FitsTarget(answer.records.front().name, record.expected.target(), domain);
    default:
      return answer.found();
  }
}

std::vector<std::string> SelectorsOf(const Facts& facts) {
  std::vector<std::string> selectors;
  const auto add = [&](std::string selector) {
    if (std::find(selectors.begin(), selectors.end(), selector) != selectors.end()) return;
    selectors.push_back(std::move(selector));
  };
  const Question& asked = facts.question;
  for (size_t i = 0; i < std::min(asked.selectors.size(), kMaxSelectors); ++i) {
    add(absl::AsciiStrToLower(asked.selectors[i]));
  }
  if (asked.profile == nullptr || asked.signs_itself || IsProvidersOwn(asked)) return selectors;
  for (const auto* records : {&asked.profile->dns().dkim(), &asked.profile->dns().dkim_else()}) {
    for (const DnsRecord& record : *records) {
      if (absl::StrContains(record.name(), '*')) continue;
      add(std::string(absl::StripSuffix(record.name(), kDomainKey)));
    }
  }
  return selectors;
}

// Puts every question that needs no answer first, so that they run side by side.
void BeginAll(dns::Inquiry& inquiry, const Facts& facts,
              const std::vector<std::string>& selectors) {
  const std::string& from = facts.question.from_domain;
  const std::string& envelope = facts.question.envelope_domain;
  inquiry.Begin(absl::StrCat("_dmarc.", from), RecordType::kTxt);
  inquiry.Begin(envelope, RecordType::kTxt);
  inquiry.Begin(from, RecordType::kMx);
  inquiry.Begin(absl::StrCat("_domainkey.", from), RecordType::kTxt);
  for (const std::string& selector : selectors) {
    inquiry.Begin(absl::StrCat(selector, kDomainKey, ".", from), RecordType::kTxt);
  }
  for (const ExpectedRecord& record : facts.return_path) {
    inquiry.Begin(record.name, TypeOf(record.expected));
  }
  if (envelope != from) inquiry.Begin(envelope, RecordType::kMx);
  for (absl::string_view extra : {kMtaSts, kTlsReports, kBimi}) {
    inquiry.Begin(absl::StrCat(extra, from), RecordType::kTxt);
  }
}

asio::awaitable<void> GatherDkim(dns::Inquiry& inquiry, Facts& facts,
                                 const std::vector<std::string>& selectors) {
  const std::string& from = facts.question.from_domain;
  for (const std::string& selector : selectors) {
    facts.dkim.push_back(co_await mailauth::LookUpDkim(inquiry, selector, from));
  }
  for (ExpectedRecord& record : facts.dkim_expected) {
    record.answer = co_await inquiry.Ask(record.name, RecordType::kTxt);
    record.matches = Matches(record, from);
    if (record.expected.type() != profile::v1::RECORD_TYPE_TXT) continue;
    record.matches = std::ranges::any_of(facts.dkim, [&](const mailauth::DkimSelector& key) {
      return key.name == record.name && key.usable();
    });
  }
  facts.dkim_presence = co_await mailauth::ProbeDkim(inquiry, from);
}

// Keys of the organizational domain, which sign for a domain below it under adkim=r.
asio::awaitable<void> GatherDkimAbove(dns::Inquiry& inquiry, Facts& facts,
                                      const std::vector<std::string>& selectors) {
  const std::string& above = facts.dmarc.organizational_domain;
  const bool strict =
      facts.dmarc.record && facts.dmarc.record->adkim == mailauth::Alignment::kStrict;
  const bool usable = std::any_of(facts.dkim.begin(), facts.dkim.end(),
                                  [](const mailauth::DkimSelector& key) { return key.usable(); });
  if (strict || usable || above.empty() || above == facts.question.from_domain) co_return;
  for (const std::string& selector : selectors) {
    inquiry.Begin(absl::StrCat(selector, kDomainKey, ".", above), RecordType::kTxt);
  }
  facts.dkim_presence_above = co_await mailauth::ProbeDkim(inquiry, above);
  for (const std::string& selector : selectors) {
    facts.dkim_above.push_back(co_await mailauth::LookUpDkim(inquiry, selector, above));
  }
}

asio::awaitable<void> GatherReturnPath(dns::Inquiry& inquiry, Facts& facts) {
  for (ExpectedRecord& record : facts.return_path) {
    record.answer = co_await inquiry.Ask(record.name, TypeOf(record.expected));
    record.matches = Matches(record, facts.question.from_domain);
    if (!record.matches || record.expected.type() != profile::v1::RECORD_TYPE_MX) continue;
    // A name of the sender's own that takes bounces wants an SPF record of its own as well.
    const mailauth::SpfWalk spf = co_await mailauth::WalkSpf(inquiry, record.name);
    record.matches = mailauth::ReachesSpf(spf, facts.question.profile->dns().spf_include());
  }
}

// A of `host`, else AAAA.
asio::awaitable<dns::Answer> AddressesOf(dns::Inquiry& inquiry, std::string host) {
  dns::Answer answer = co_await inquiry.Ask(host, RecordType::kA);
  if (!answer.found()) answer = co_await inquiry.Ask(host, RecordType::kAaaa);
  co_return answer;
}

// Receivers want the sending address to have a name that leads back to it.
asio::awaitable<void> GatherNames(dns::Inquiry& inquiry, Facts& facts) {
  if (!facts.question.ip) co_return;
  const asio::ip::address ip = *facts.question.ip;
  facts.names_of_ip = co_await inquiry.Ask(ReverseName(ip), RecordType::kPtr);
  const RecordType type = ip.is_v4() ? RecordType::kA : RecordType::kAaaa;
  size_t asked = 0;
  for (const dns::Record& name : facts.names_of_ip.records) {
    if (facts.name_confirmed || ++asked > kMaxNames) co_return;
    const dns::Answer back = co_await inquiry.Ask(name.name, type);
    facts.name_confirmed = std::ranges::count(back.records, ip, &dns::Record::address) > 0;
  }
}

// Where mail to the domain goes: bounces to the envelope sender's, replies to the From domain.
asio::awaitable<void> GatherMail(dns::Inquiry& inquiry, Facts& facts) {
  const std::string& from = facts.question.from_domain;
  facts.mx = co_await inquiry.Ask(from, RecordType::kMx);
  facts.envelope_mx = co_await inquiry.Ask(facts.question.envelope_domain, RecordType::kMx);
  if (!facts.mx.found()) {
    facts.address = co_await AddressesOf(inquiry, from);
    co_return;
  }
  std::vector<dns::Record> hosts = facts.mx.records;
  std::ranges::stable_sort(hosts, {}, &dns::Record::preference);
  hosts.resize(std::min(hosts.size(), kMaxNames));
  for (const dns::Record& host : hosts) inquiry.Begin(host.name, RecordType::kA);
  for (const dns::Record& host : hosts) {
    if (host.name.empty()) continue;
    const dns::Answer address = co_await AddressesOf(inquiry, host.name);
    if (address.is_void()) facts.mx_without_address.push_back(host.name);
  }
}

asio::awaitable<void> GatherExtras(dns::Inquiry& inquiry, Facts& facts) {
  const std::string& from = facts.question.from_domain;
  facts.mta_sts = co_await inquiry.Ask(absl::StrCat(kMtaSts, from), RecordType::kTxt);
  facts.tls_rpt = co_await inquiry.Ask(absl::StrCat(kTlsReports, from), RecordType::kTxt);
  facts.bimi = co_await inquiry.Ask(absl::StrCat(kBimi, from), RecordType::kTxt);
}

asio::awaitable<void> GatherSpf(dns::Inquiry& inquiry, Facts& facts) {
  const Question& asked = facts.question;
  facts.spf = co_await mailauth::WalkSpf(inquiry, asked.envelope_domain);
  const dns::Answer texts = co_await inquiry.Ask(asked.envelope_domain, RecordType::kTxt);
  for (const dns::Record& record : texts.records) {
    if (mailauth::IsSpf(record.text)) facts.spf_records.push_back(record.text);
  }
  const std::string include = asked.profile == nullptr ? "" : asked.profile->dns().spf_include();
  if (!include.empty() && !mailauth::ReachesSpf(facts.spf, include)) {
    const mailauth::SpfWalk added = co_await mailauth::WalkSpf(inquiry, include);
    facts.include_lookups = 1 + added.lookups;
  }
  if (!asked.ip) co_return;
  mailauth::SpfQuestion spf;
  spf.ip = *asked.ip;
  spf.sender = absl::StrCat("postmaster@", asked.envelope_domain);
  spf.helo = asked.helo;
  facts.spf_for_ip = co_await mailauth::CheckHost(inquiry, std::move(spf));
}

asio::awaitable<void> GatherDmarc(dns::Inquiry& inquiry, Facts& facts) {
  const Question& asked = facts.question;
  facts.dmarc = co_await mailauth::DiscoverDmarc(inquiry, asked.from_domain);
  const auto mode = facts.dmarc.record ? facts.dmarc.record->aspf : mailauth::Alignment::kRelaxed;
  facts.envelope_aligns =
      co_await mailauth::Aligns(inquiry, asked.from_domain, asked.envelope_domain, mode);
  facts.reports = co_await mailauth::CheckReportUris(inquiry, facts.dmarc);
}

}  // namespace

bool FitsTarget(const std::string& name, const std::string& target, const std::string& domain) {
  const std::string pattern = InDomain(target, domain);
  const size_t star = pattern.find('*');
  if (star == std::string::npos) return absl::EqualsIgnoreCase(name, pattern);
  const absl::string_view before = absl::string_view(pattern).substr(0, star);
  const absl::string_view after = absl::string_view(pattern).substr(star + 1);
  return name.size() > before.size() + after.size() &&
         absl::EqualsIgnoreCase(absl::string_view(name).substr(0, before.size()), before) &&
         absl::EqualsIgnoreCase(absl::string_view(name).substr(name.size() - after.size()), after);
}

asio::awaitable<Facts> Gather(dns::Inquiry& inquiry, Question question) {
  Facts facts;
  facts.question = std::move(question);
  Question& asked = facts.question;
  if (asked.envelope_domain.empty()) asked.envelope_domain = asked.from_domain;
  if (asked.helo.empty()) asked.helo = asked.envelope_domain;
  if (asked.profile != nullptr && !IsProvidersOwn(asked)) {
    facts.dkim_expected = Expected(asked.profile->dns().dkim(), asked.from_domain);
    facts.return_path = Expected(asked.profile->dns().return_path(), asked.from_domain);
  }
  const std::vector<std::string> selectors = SelectorsOf(facts);
  BeginAll(inquiry, facts, selectors);

  using asio::experimental::awaitable_operators::operator&&;
  co_await (GatherDmarc(inquiry, facts) && GatherSpf(inquiry, facts) &&
            GatherDkim(inquiry, facts, selectors) && GatherReturnPath(inquiry, facts) &&
            GatherMail(inquiry, facts) && GatherNames(inquiry, facts) &&
            GatherExtras(inquiry, facts));
  co_await GatherDkimAbove(inquiry, facts, selectors);
  facts.queries = inquiry.queries();
  facts.budget_spent = inquiry.spent();
  co_return facts;
}

}  // namespace sendstep::doctor
