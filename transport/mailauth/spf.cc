#include "transport/mailauth/spf.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "transport/base/address.h"
#include "transport/mailauth/spf_fetch.h"
#include "transport/mailauth/spf_macro.h"
#include "transport/mailauth/spf_record.h"

namespace sendstep::mailauth {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using dns::RecordType;

// RFC 7208 4.6.4.
constexpr size_t kMaxLookups = 10;
constexpr size_t kMaxVoidLookups = 2;
constexpr size_t kMaxMxNames = 10;
constexpr size_t kMaxPtrNames = 10;

constexpr size_t kMaxLocalPart = 64;  // RFC 5321 4.5.3.1.1
constexpr size_t kMaxHelo = 255;
constexpr size_t kMaxExplanation = 1000;

// The first `prefix` bits are the same. Never of addresses of two families.
bool IsWithin(const address& ip, const address& network, unsigned prefix) {
  const auto same = [prefix](const auto& a, const auto& b) {
    for (size_t i = 0; i < a.size() && i * 8 < prefix; ++i) {
      const auto bits = std::min<size_t>(prefix - i * 8, 8);
      if ((a[i] ^ b[i]) >> (8 - bits) != 0) return false;
    }
    return true;
  };
  if (ip.is_v4() != network.is_v4()) return false;
  return ip.is_v4() ? same(ip.to_v4().to_bytes(), network.to_v4().to_bytes())
                    : same(ip.to_v6().to_bytes(), network.to_v6().to_bytes());
}

SpfResult ResultOf(char qualifier) {
  switch (qualifier) {
    case '-':
      return SpfResult::kFail;
    case '~':
      return SpfResult::kSoftFail;
    case '?':
      return SpfResult::kNeutral;
    default:
      return SpfResult::kPass;
  }
}

bool IsSameOrBelow(std::string_view name, std::string_view domain) {
  return name == domain || (name.size() > domain.size() && name.ends_with(domain) &&
                            name[name.size() - domain.size() - 1] == '.');
}

// One phrase: where `term` stands.
std::string Where(const SpfTerm& term, std::string_view domain) {
  return Quoted(term.text) + " in the record of " + std::string(domain);
}

// What a record, with the redirects behind it, says.
struct Finding {
  SpfResult result = SpfResult::kNone;
  std::string reason;
  std::string domain;          // whose record it was in the end
  std::optional<SpfTerm> exp;  // of that record
};

// One check_host(), with all that it recurses into. Each include and redirect costs a lookup, so
// that it goes ten deep at most.
class Check {
 public:
  Check(dns::Inquiry& inquiry, SpfMacroValues values)
      : inquiry_(inquiry),
        values_(std::move(values)),
        address_type_(values_.ip.is_v4() ? RecordType::kA : RecordType::kAaaa) {}

  asio::awaitable<SpfVerdict> Run();

 private:
  asio::awaitable<Finding> Evaluate(std::string domain);
  asio::awaitable<Finding> EvaluateOne(SpfRecord record, std::string domain);
  asio::awaitable<bool> Matches(SpfTerm term, std::string domain);
  asio::awaitable<bool> MatchesInclude(SpfTerm term, std::string target, std::string domain);
  asio::awaitable<bool> MatchesAddressOf(SpfTerm term, std::string name);
  asio::awaitable<bool> MatchesMx(SpfTerm term, std::string target);
  asio::awaitable<bool> MatchesPtr(std::string target);
  asio::awaitable<std::string> Explain(Finding finding);

  asio::awaitable<dns::Answer> Ask(std::string name, RecordType type);
  asio::awaitable<std::string> TargetOf(SpfTerm term, std::string domain);
  asio::awaitable<SpfMacroValues> ValuesFor(std::string text, std::string domain);
  asio::awaitable<void> Validate();
  std::string ValidatedNameFor(const std::string& domain) const;

  bool IsUsable(const SpfPublished& published, const std::string& domain);
  bool Count(const SpfTerm& term, const std::string& domain);
  void CountVoid(const std::string& name);
  void Fail(SpfResult result, std::string reason);

  dns::Inquiry& inquiry_;
  const SpfMacroValues values_;
  const RecordType address_type_;
  bool validation_done_ = false;
  bool reverse_void_ = false;
  std::vector<std::string> validated_;  // names of the address (RFC 7208 5.5)
  std::string include_reason_;          // why the last include that matched did
  size_t lookups_ = 0;
  size_t void_lookups_ = 0;
  // A temperror or permerror: it ends the whole check, wherever it comes up.
  std::optional<Finding> failure_;
};

void Check::Fail(SpfResult result, std::string reason) {
  if (failure_) return;
  failure_.emplace();
  failure_->result = result;
  failure_->reason = std::move(reason);
}

// False: one too many.
bool Check::Count(const SpfTerm& term, const std::string& domain) {
  if (!term.costs_lookup()) return true;
  if (lookups_ == kMaxLookups) {
    Fail(SpfResult::kPermError, "more than 10 DNS lookups, with " + Where(term, domain));
    return false;
  }
  ++lookups_;
  return true;
}

void Check::CountVoid(const std::string& name) {
  if (++void_lookups_ <= kMaxVoidLookups) return;
  Fail(SpfResult::kPermError, "more than 2 lookups found nothing, the last that of " + name);
}

// For a term; not found means no match, or failure_.
asio::awaitable<dns::Answer> Check::Ask(std::string name, RecordType type) {
  dns::Answer answer = co_await inquiry_.Ask(name, type);
  if (answer.is_void()) {
    CountVoid(name);
  } else if (!answer.found()) {
    Fail(SpfResult::kTempError, "no answer about " + Quoted(name) + ": " + answer.detail);
  }
  co_return answer;
}

// False: there is no record, or failure_ is set.
bool Check::IsUsable(const SpfPublished& published, const std::string& domain) {
  if (published.undetermined()) {
    Fail(SpfResult::kTempError,
         "no answer about " + Quoted(domain) + ": " + published.answer.detail);
  } else if (published.texts.size() > 1) {
    Fail(SpfResult::kPermError, domain + " has more than one SPF record");
  } else if (!published.record.faults.empty()) {
    const SpfFault& fault = published.record.faults.front();
    const std::string_view text = published.texts.front();
    Fail(SpfResult::kPermError,
         "the record of " + domain + " is wrong at byte " + std::to_string(fault.offset + 1) +
             ", " + Quoted(text.substr(fault.offset, fault.length)) + ": " + fault.message);
  }
  return !failure_ && published.texts.size() == 1;
}

asio::awaitable<Finding> Check::Evaluate(std::string domain) {
  for (std::optional<SpfTerm> redirect;;) {
    const SpfPublished published = co_await FetchSpf(inquiry_, domain);
    if (!IsUsable(published, domain)) {
      std::string why = published.malformed;
      if (why.empty()) why = domain + " has no SPF record";
      if (redirect) Fail(SpfResult::kPermError, Quoted(redirect->text) + ": " + why);
      if (failure_) co_return *failure_;
      Finding none;
      none.reason = std::move(why);
      co_return none;
    }
    Finding finding = co_await EvaluateOne(published.record, domain);
    if (failure_) co_return *failure_;
    if (finding.result != SpfResult::kNone) co_return finding;
    redirect = published.record.redirect;
    if (!redirect) {
      finding.result = SpfResult::kNeutral;
      finding.reason = "no mechanism in the record of " + domain + " matches";
      co_return finding;
    }
    if (!Count(*redirect, domain)) co_return *failure_;
    domain = co_await TargetOf(*redirect, domain);
  }
}

// kNone: no mechanism matches, or failure_ is set.
asio::awaitable<Finding> Check::EvaluateOne(SpfRecord record, std::string domain) {
  Finding finding;
  finding.domain = domain;
  for (const SpfTerm& term : record.mechanisms) {
    if (!Count(term, domain)) co_return finding;
    const bool matches = co_await Matches(term, domain);
    if (failure_) co_return finding;
    if (!matches) continue;
    finding.result = ResultOf(term.qualifier);
    finding.reason = Where(term, domain);
    if (term.kind == SpfKind::kInclude) finding.reason += ", by " + include_reason_;
    finding.exp = record.exp;
    co_return finding;
  }
  co_return finding;
}

asio::awaitable<bool> Check::Matches(SpfTerm term, std::string domain) {
  switch (term.kind) {
    case SpfKind::kAll:
      co_return true;
    case SpfKind::kIp4:
    case SpfKind::kIp6:
      co_return IsWithin(values_.ip, term.network,
                         term.network.is_v4() ? term.prefix4 : term.prefix6);
    default:
      break;
  }
  const std::string target = co_await TargetOf(term, domain);
  switch (term.kind) {
    case SpfKind::kInclude:
      co_return co_await MatchesInclude(term, target, domain);
    case SpfKind::kA:
      co_return co_await MatchesAddressOf(term, target);
    case SpfKind::kMx:
      co_return co_await MatchesMx(term, target);
    case SpfKind::kPtr:
      co_return co_await MatchesPtr(target);
    case SpfKind::kExists: {
      const dns::Answer answer = co_await Ask(target, RecordType::kA);
      co_return answer.found();
    }
    default:
      co_return false;
  }
}

// RFC 7208 5.2: a pass matches, and no record is a permerror.
asio::awaitable<bool> Check::MatchesInclude(SpfTerm term, std::string target, std::string domain) {
  Finding inner = co_await Evaluate(target);
  if (inner.result == SpfResult::kNone) {
    Fail(SpfResult::kPermError, Where(term, domain) + ": " + inner.reason);
  }
  include_reason_ = std::move(inner.reason);
  co_return inner.result == SpfResult::kPass;
}

asio::awaitable<bool> Check::MatchesAddressOf(SpfTerm term, std::string name) {
  const dns::Answer answer = co_await Ask(name, address_type_);
  const unsigned prefix = values_.ip.is_v4() ? term.prefix4 : term.prefix6;
  co_return std::any_of(
      answer.records.begin(), answer.records.end(),
      [&](const dns::Record& record) { return IsWithin(values_.ip, record.address, prefix); });
}

asio::awaitable<bool> Check::MatchesMx(SpfTerm term, std::string target) {
  const dns::Answer answer = co_await Ask(target, RecordType::kMx);
  if (answer.records.size() > kMaxMxNames) {
    Fail(SpfResult::kPermError, target + " has more than 10 MX records");
    co_return false;
  }
  for (const dns::Record& record : answer.records) {
    if (!record.name.empty()) inquiry_.Begin(record.name, address_type_);
  }
  for (const dns::Record& record : answer.records) {
    if (record.name.empty()) continue;  // a null MX (RFC 7505)
    const bool matches = co_await MatchesAddressOf(term, record.name);
    if (failure_) co_return false;
    if (matches) co_return true;
  }
  co_return false;
}

asio::awaitable<bool> Check::MatchesPtr(std::string target) {
  co_await Validate();
  if (reverse_void_) CountVoid(ReverseName(values_.ip));
  const std::string domain = NormalDomain(target);
  co_return std::any_of(validated_.begin(), validated_.end(),
                        [&](const std::string& name) { return IsSameOrBelow(name, domain); });
}

// Fills validated_ with the names that the address has and that have the address. What the owner
// of the address has in his DNS, errors too, makes no error here (RFC 7208 5.5).
asio::awaitable<void> Check::Validate() {
  if (std::exchange(validation_done_, true)) co_return;
  dns::Answer reverse = co_await inquiry_.Ask(ReverseName(values_.ip), RecordType::kPtr);
  reverse_void_ = reverse.is_void();
  if (reverse.records.size() > kMaxPtrNames) reverse.records.resize(kMaxPtrNames);
  for (const dns::Record& record : reverse.records) inquiry_.Begin(record.name, address_type_);
  for (const dns::Record& record : reverse.records) {
    const dns::Answer answer = co_await inquiry_.Ask(record.name, address_type_);
    const bool confirmed =
        std::any_of(answer.records.begin(), answer.records.end(),
                    [&](const dns::Record& found) { return found.address == values_.ip; });
    if (confirmed) validated_.push_back(NormalDomain(record.name));
  }
}

// RFC 7208 7.3: best the domain itself, then one below it, then any.
std::string Check::ValidatedNameFor(const std::string& domain) const {
  const std::string normal = NormalDomain(domain);
  std::string best = "unknown";
  for (const std::string& name : validated_) {
    if (name == normal) return name;
    if (best == "unknown" || (IsSameOrBelow(name, normal) && !IsSameOrBelow(best, normal))) {
      best = name;
    }
  }
  return best;
}

// `domain`: whose record `text` is of.
asio::awaitable<SpfMacroValues> Check::ValuesFor(std::string text, std::string domain) {
  SpfMacroValues values = values_;
  if (UsesSpfMacro(text, "p")) {
    co_await Validate();
    values.validated = ValidatedNameFor(domain);
  }
  values.domain = std::move(domain);
  co_return values;
}

asio::awaitable<std::string> Check::TargetOf(SpfTerm term, std::string domain) {
  if (term.domain.empty()) co_return domain;
  const SpfMacroValues values = co_await ValuesFor(term.domain, domain);
  co_return ExpandSpfDomain(term.domain, values);
}

// RFC 7208 6.2: whatever is wrong with the explanation, it is as though there were none.
asio::awaitable<std::string> Check::Explain(Finding finding) {
  std::string ours = values_.ip.to_string() + " may not send mail for " + finding.domain +
                     ", by the SPF record that this domain has published";
  if (!finding.exp) co_return ours;
  const std::string target = co_await TargetOf(*finding.exp, finding.domain);
  const dns::Answer answer = co_await inquiry_.Ask(target, RecordType::kTxt);
  if (answer.records.size() != 1) co_return ours;
  const std::string text = answer.records.front().text;
  if (text.empty() || CheckSpfMacros(text, SpfMacroUse::kExplanation)) co_return ours;
  const SpfMacroValues values = co_await ValuesFor(text, finding.domain);
  std::string explanation = ExpandSpfMacros(text, values).substr(0, kMaxExplanation);
  // What macros bring in is the sender's.
  std::replace_if(
      explanation.begin(), explanation.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  co_return explanation;
}

asio::awaitable<SpfVerdict> Check::Run() {
  Finding finding = co_await Evaluate(values_.sender_domain);
  SpfVerdict verdict;
  verdict.result = finding.result;
  verdict.reason = finding.reason;
  verdict.lookups = lookups_;
  verdict.void_lookups = void_lookups_;
  if (finding.result == SpfResult::kFail) verdict.explanation = co_await Explain(finding);
  co_return verdict;
}

// An IPv4-mapped address as IPv4 (RFC 7208 5), any other without its zone.
address Plain(const address& ip) {
  if (ip.is_v4()) return ip;
  const asio::ip::address_v6 v6(ip.to_v6().to_bytes());
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6);
  return v6;
}

// RFC 7208 2.4, 4.3: the identity to check.
SpfMacroValues ValuesOf(const SpfQuestion& question) {
  SpfMacroValues values;
  values.ip = Plain(question.ip);
  values.helo = question.helo.substr(0, kMaxHelo);
  const size_t at = question.sender.rfind('@');
  if (question.sender.empty()) {
    values.sender_domain = question.helo;
  } else if (at == std::string::npos) {
    values.sender_domain = question.sender;
  } else {
    values.local_part = question.sender.substr(0, at);
    values.sender_domain = question.sender.substr(at + 1);
  }
  if (values.local_part.empty()) values.local_part = "postmaster";
  if (!base::IsAscii(values.sender_domain)) {
    const auto ascii = base::ToAsciiDomain(values.sender_domain);
    if (ascii) values.sender_domain = *ascii;
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  values.now = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return values;
}

}  // namespace

asio::awaitable<SpfVerdict> CheckHost(dns::Inquiry& inquiry, SpfQuestion question) {
  SpfMacroValues values = ValuesOf(question);
  if (values.local_part.size() > kMaxLocalPart) {
    SpfVerdict verdict;
    verdict.reason = "the sender's local part is longer than 64 bytes (RFC 5321 4.5.3.1.1)";
    co_return verdict;
  }
  Check check(inquiry, std::move(values));
  co_return co_await check.Run();
}

std::string_view SpfResultName(SpfResult result) {
  switch (result) {
    case SpfResult::kNone:
      return "none";
    case SpfResult::kNeutral:
      return "neutral";
    case SpfResult::kPass:
      return "pass";
    case SpfResult::kFail:
      return "fail";
    case SpfResult::kSoftFail:
      return "softfail";
    case SpfResult::kTempError:
      return "temperror";
    case SpfResult::kPermError:
      return "permerror";
  }
  return "none";
}

}  // namespace sendstep::mailauth
