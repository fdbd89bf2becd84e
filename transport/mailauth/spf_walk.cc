#include "transport/mailauth/spf_walk.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "transport/mailauth/spf_fetch.h"
#include "transport/mailauth/spf_record.h"

namespace sendstep::mailauth {
namespace {

namespace asio = boost::asio;
using dns::RecordType;

// RFC 7208 4.6.4, 3.4.
constexpr size_t kMaxLookups = 10;
constexpr size_t kMaxVoidLookups = 2;
constexpr size_t kMaxMxNames = 10;
constexpr size_t kMaxAdvisedBytes = 450;
constexpr size_t kMaxUdpBytes = 512;

constexpr size_t kMaxVisits = 100;
constexpr size_t kMaxProblems = 50;
constexpr size_t kNone = static_cast<size_t>(-1);

bool IsLink(SpfKind kind) { return kind == SpfKind::kInclude || kind == SpfKind::kRedirect; }

// A record of the tree, while it grows.
struct Visit {
  SpfNode node;
  SpfRecord record;
  size_t parent = kNone;
  std::vector<size_t> children;
  bool policy = true;  // the domain's own record, or one that stands for it by redirects
  bool passes = true;  // no term on the way is negated, so that a pass here is a pass
  bool followed = false;
};

// A term that receivers come to, and where it leads.
struct Step {
  const SpfTerm* term;
  size_t child = kNone;  // of an include or redirect
};

// With commas; the first 20.
std::string Joined(const std::vector<std::string>& parts) {
  constexpr size_t kMost = 20;
  std::string joined;
  for (size_t i = 0; i < std::min(parts.size(), kMost); ++i) {
    joined.append(i > 0 ? ", " : "").append(parts[i]);
  }
  return parts.size() > kMost ? joined + ", …" : joined;
}

class Walker {
 public:
  Walker(dns::Inquiry& inquiry, const std::string& domain) : inquiry_(inquiry), root_(domain) {
    Visit visit;
    visit.node.domain = root_;
    visits_.push_back(std::move(visit));
  }

  asio::awaitable<SpfWalk> Run();

 private:
  asio::awaitable<void> Read(size_t at);
  void Link(size_t at);
  void LinkTo(size_t at, const SpfTerm& term, bool dead);
  bool IsLoop(size_t at, const std::string& domain) const;

  std::vector<Step> StepsOf(size_t at) const;
  void Count();
  asio::awaitable<void> CountVoids();
  asio::awaitable<bool> Has(std::string name, RecordType type);
  asio::awaitable<void> CountVoidsOf(SpfTerm term, std::string target);
  asio::awaitable<void> CountVoidAddress(std::string name);
  void AddVoid(const std::string& name);
  std::optional<std::string> TargetOf(const SpfTerm& term, const std::string& domain) const;

  void JudgeAnswer(size_t at, const SpfPublished& published);
  void JudgeMissing(size_t at, const SpfPublished& published);
  void JudgeRecord(size_t at);
  void JudgeAll(size_t at);
  void JudgeSize(size_t at, const dns::Answer& answer);
  void JudgeLimits();
  std::string Branches() const;
  void Undetermined(const std::string& name, const dns::Answer& answer);
  void Add(Severity severity, std::string id, const std::string& name, std::string message,
           std::string what_to_do = {});
  SpfNode Assemble();

  dns::Inquiry& inquiry_;
  const std::string root_;
  std::vector<Visit> visits_;
  SpfWalk walk_;
  size_t most_problems_ = kMaxProblems;
  std::vector<std::string> void_names_;
  size_t unanswered_ = 0;
  std::string first_unanswered_;
};

void Walker::Add(Severity severity, std::string id, const std::string& name, std::string message,
                 std::string what_to_do) {
  if (walk_.problems.size() >= most_problems_) return;
  Problem problem;
  problem.severity = severity;
  problem.id = std::move(id);
  problem.name = name;
  problem.message = std::move(message);
  problem.what_to_do = std::move(what_to_do);
  walk_.problems.push_back(std::move(problem));
}

void Walker::Undetermined(const std::string& name, const dns::Answer& answer) {
  if (unanswered_++ == 0) first_unanswered_ = Quoted(name) + ": " + answer.detail;
}

// ---- The tree: level by level, the records of one level side by side.

// Unset: only a receiver can tell.
std::optional<std::string> Walker::TargetOf(const SpfTerm& term, const std::string& domain) const {
  if (term.domain.empty()) return domain;
  if (UsesSpfMacro(term.domain, "slipvh")) return std::nullopt;
  SpfMacroValues values;
  values.domain = domain;
  values.sender_domain = root_;
  return NormalDomain(ExpandSpfDomain(term.domain, values));
}

bool Walker::IsLoop(size_t at, const std::string& domain) const {
  for (; at != kNone; at = visits_[at].parent) {
    if (visits_[at].node.domain == domain) return true;
  }
  return false;
}

void Walker::LinkTo(size_t at, const SpfTerm& term, bool dead) {
  if (visits_.size() >= kMaxVisits) return;
  const Visit& from = visits_[at];
  const auto target = TargetOf(term, from.node.domain);
  Visit visit;
  visit.parent = at;
  visit.node.domain = target.value_or(term.domain);
  visit.node.via = term.text;
  visit.node.dead = dead;
  visit.policy = from.policy && term.kind == SpfKind::kRedirect;
  visit.passes = from.passes && term.qualifier == '+';
  const bool loop = !dead && target && IsLoop(at, *target);
  visit.followed = !dead && target && !loop;
  visit.node.broken = loop;
  if (loop) {
    Add(Severity::kError, "spf.loop", from.node.domain,
        Quoted(term.text) + " leads back to " + *target +
            ": receivers go round until they have used up their lookups, and treat it as broken.",
        "Remove it.");
  }
  visits_[at].children.push_back(visits_.size());
  visits_.push_back(std::move(visit));
}

// Adds what the record at `at` includes.
void Walker::Link(size_t at) {
  const SpfRecord record = visits_[at].record;
  for (size_t i = 0; i < record.mechanisms.size(); ++i) {
    if (record.mechanisms[i].kind != SpfKind::kInclude) continue;
    LinkTo(at, record.mechanisms[i], i >= record.live_mechanisms());
  }
  if (record.redirect) LinkTo(at, *record.redirect, record.has_all());
}

asio::awaitable<void> Walker::Read(size_t at) {
  const std::string domain = visits_[at].node.domain;
  SpfPublished published = co_await FetchSpf(inquiry_, domain);
  JudgeAnswer(at, published);
  Visit& visit = visits_[at];
  visit.node.broken = !published.undetermined() &&
                      (published.texts.size() != 1 || !published.record.faults.empty());
  if (published.texts.size() != 1) co_return;
  visit.node.record = std::move(published.texts.front());
  visit.node.faults = published.record.faults;
  visit.record = std::move(published.record);
  JudgeRecord(at);
  JudgeSize(at, published.answer);
  Link(at);
}

asio::awaitable<SpfWalk> Walker::Run() {
  visits_.front().followed = true;
  for (size_t begin = 0, end = 1; begin < end; begin = std::exchange(end, visits_.size())) {
    for (size_t at = begin; at < end; ++at) {
      const Visit& visit = visits_[at];
      if (visit.followed && WhyMalformed(visit.node.domain).empty()) {
        inquiry_.Begin(visit.node.domain, RecordType::kTxt);
      }
    }
    for (size_t at = begin; at < end; ++at) {
      if (visits_[at].followed) co_await Read(at);
    }
  }
  Count();
  co_await CountVoids();
  JudgeLimits();
  walk_.found = !visits_.front().node.record.empty() && !visits_.front().node.broken;
  walk_.determined = unanswered_ == 0;
  walk_.root = Assemble();
  co_return std::move(walk_);
}

// Children stand behind their parents.
SpfNode Walker::Assemble() {
  for (size_t at = visits_.size(); at-- > 1;) {
    std::vector<SpfNode>& siblings = visits_[visits_[at].parent].node.children;
    siblings.insert(siblings.begin(), std::move(visits_[at].node));
  }
  return std::move(visits_.front().node);
}

// ---- What it costs.

// The terms that cost a lookup, in the order in which receivers come to them.
std::vector<Step> Walker::StepsOf(size_t at) const {
  const Visit& visit = visits_[at];
  std::vector<Step> steps;
  auto child = visit.children.begin();
  const auto add = [&](const SpfTerm& term) {
    Step step{&term};
    if (IsLink(term.kind) && child != visit.children.end()) step.child = *child++;
    if (term.costs_lookup()) steps.push_back(step);
  };
  for (size_t i = 0; i < visit.record.live_mechanisms(); ++i) add(visit.record.mechanisms[i]);
  if (visit.record.redirect && !visit.record.has_all()) add(*visit.record.redirect);
  return steps;
}

void Walker::Count() {
  for (size_t at = visits_.size(); at-- > 0;) {
    for (const Step& step : StepsOf(at)) {
      visits_[at].node.lookups += 1;
      if (step.child != kNone) visits_[at].node.lookups += visits_[step.child].node.lookups;
    }
  }
  for (size_t at = 0; at < visits_.size(); ++at) {
    size_t spent = visits_[at].node.spent;
    for (const Step& step : StepsOf(at)) {
      ++spent;
      if (step.child == kNone) continue;
      visits_[step.child].node.spent = spent;
      spent += visits_[step.child].node.lookups;
    }
  }
  walk_.lookups = visits_.front().node.lookups;
}

// False only where that is certain.
asio::awaitable<bool> Walker::Has(std::string name, RecordType type) {
  const dns::Answer answer = co_await inquiry_.Ask(name, type);
  if (!answer.found() && !answer.is_void()) Undetermined(name, answer);
  co_return !answer.is_void();
}

void Walker::AddVoid(const std::string& name) {
  ++walk_.void_lookups;
  if (std::find(void_names_.begin(), void_names_.end(), name) == void_names_.end()) {
    void_names_.push_back(name);
  }
}

asio::awaitable<void> Walker::CountVoidAddress(std::string name) {
  const bool has_v4 = co_await Has(name, RecordType::kA);
  if (has_v4) co_return;
  const bool has_v6 = co_await Has(name, RecordType::kAaaa);
  if (!has_v6) AddVoid(name);
}

// Of a, mx or exists.
asio::awaitable<void> Walker::CountVoidsOf(SpfTerm term, std::string target) {
  if (term.kind == SpfKind::kA) {
    co_await CountVoidAddress(target);
    co_return;
  }
  const bool mx = term.kind == SpfKind::kMx;
  const bool has = co_await Has(target, mx ? RecordType::kMx : RecordType::kA);
  if (!has) AddVoid(target);
  if (!has || !mx) co_return;
  const dns::Answer answer = co_await inquiry_.Ask(target, RecordType::kMx);
  if (answer.records.size() > kMaxMxNames) {
    Add(Severity::kError, "spf.too_many_mx", target,
        Quoted(term.text) + ": " + target + " has " + std::to_string(answer.records.size()) +
            " MX records; receivers stop at 10 and treat the SPF record as broken.",
        "Name the sending hosts by ip4: and ip6: instead.");
    co_return;
  }
  for (const dns::Record& host : answer.records) {
    if (!host.name.empty()) inquiry_.Begin(host.name, RecordType::kA);
  }
  for (const dns::Record& host : answer.records) {
    if (!host.name.empty()) co_await CountVoidAddress(host.name);  // empty: a null MX (RFC 7505)
  }
}

// Behind the records, which say more, lest the budget end before these.
asio::awaitable<void> Walker::CountVoids() {
  std::vector<std::pair<SpfTerm, std::string>> terms;
  for (size_t at = 0; at < visits_.size(); ++at) {
    size_t spent = visits_[at].node.spent;
    for (const Step& step : StepsOf(at)) {
      if (++spent > kMaxLookups) break;
      if (step.child != kNone) spent += visits_[step.child].node.lookups;
      if (IsLink(step.term->kind) || step.term->kind == SpfKind::kPtr) continue;
      const auto target = TargetOf(*step.term, visits_[at].node.domain);
      if (target) terms.emplace_back(*step.term, *target);
    }
  }
  for (const auto& [term, target] : terms) {
    inquiry_.Begin(target, term.kind == SpfKind::kMx ? RecordType::kMx : RecordType::kA);
  }
  for (const auto& [term, target] : terms) co_await CountVoidsOf(term, target);
}

// ---- What is wrong with it.

void Walker::JudgeAnswer(size_t at, const SpfPublished& published) {
  const std::string& domain = visits_[at].node.domain;
  if (published.undetermined()) {
    Undetermined(domain, published.answer);
  } else if (published.texts.empty()) {
    JudgeMissing(at, published);
  } else if (published.texts.size() > 1) {
    Add(Severity::kError, "spf.several", domain,
        domain + " has " + std::to_string(published.texts.size()) +
            " SPF records; receivers take none of them.",
        "Merge them into one TXT record with one \"v=spf1\" and one all.");
  }
}

void Walker::JudgeMissing(size_t at, const SpfPublished& published) {
  const SpfNode& node = visits_[at].node;
  std::string why = node.domain + " has no SPF record";
  std::string what_to_do = "Publish one TXT record at " + node.domain +
                           " that begins with \"v=spf1 \" and ends with ~all or -all.";
  if (!published.malformed.empty()) {
    why = Quoted(node.domain) + " can have none: " + published.malformed;
    what_to_do = "Name a domain such as example.com.";
  } else if (published.answer.outcome == dns::Outcome::kNoDomain) {
    why = node.domain + " does not exist";
  }
  for (const dns::Record& record : published.answer.records) {
    if (LooksLikeSpf(record.text)) {
      why += ": the TXT record " + Quoted(record.text) + " is not taken as one";
      what_to_do = "Begin the record with \"v=spf1\" and a blank: nothing in front, no quotes.";
      break;
    }
  }
  if (at != 0) {
    const std::string_view glued = GluedTerm(node.via);
    if (!glued.empty()) what_to_do = "Put a blank in front of " + Quoted(glued) + ".";
    if (glued.empty()) what_to_do = "Remove the term, or correct its domain.";
    Add(Severity::kError, "spf.include_without_record", visits_[visits_[at].parent].node.domain,
        Quoted(node.via) + ": " + why + ", so that receivers treat the whole record as broken.",
        what_to_do);
    return;
  }
  const bool sender_id =
      std::any_of(published.answer.records.begin(), published.answer.records.end(),
                  [](const dns::Record& record) { return record.text.starts_with("spf2.0/"); });
  Add(Severity::kError, "spf.missing", node.domain, why + ".", what_to_do);
  if (!sender_id) return;
  Add(Severity::kInfo, "spf.sender_id", node.domain,
      "The record \"spf2.0/…\" is one of Sender ID, which receivers no longer read.", "Remove it.");
}

void Walker::JudgeRecord(size_t at) {
  const SpfNode& node = visits_[at].node;
  const SpfRecord& record = visits_[at].record;
  for (const SpfFault& fault : record.faults) {
    Add(Severity::kError, "spf.syntax", node.domain,
        "At byte " + std::to_string(fault.offset + 1) + ", " +
            Quoted(std::string_view(node.record).substr(fault.offset, fault.length)) + ": " +
            fault.message + ".",
        "Correct it: receivers take nothing of a record with an error.");
  }
  for (const SpfTerm& other : record.others) {
    const SpfRecord as_mechanism =
        ParseSpf("v=spf1 " + other.text.substr(0, other.text.find('=')) + ":example.com");
    if (!as_mechanism.mechanisms.empty() || other.text.starts_with("v=") ||
        other.text.starts_with("ip4=") || other.text.starts_with("ip6=")) {
      Add(Severity::kWarning, "spf.ignored_modifier", node.domain,
          Quoted(other.text) + " means nothing to receivers, who pass over it.",
          other.text.starts_with("v=") ? "Remove it." : "Write \":\" instead of \"=\".");
    }
  }
  const bool ptr = std::any_of(record.mechanisms.begin(), record.mechanisms.end(),
                               [](const SpfTerm& term) { return term.kind == SpfKind::kPtr; });
  if (ptr) {
    Add(Severity::kWarning, "spf.ptr", node.domain,
        "The mechanism ptr is slow and unreliable, and some receivers do not honour it (RFC 7208 "
        "5.5).",
        "Name the sending hosts by ip4: and ip6: instead.");
  }
  JudgeAll(at);
}

void Walker::JudgeAll(size_t at) {
  const Visit& visit = visits_[at];
  const std::string& domain = visit.node.domain;
  const SpfRecord& record = visit.record;
  const size_t live = record.live_mechanisms();
  if (live < record.mechanisms.size()) {
    Add(Severity::kWarning, "spf.dead_terms", domain,
        "Receivers stop at " + Quoted(record.mechanisms[live - 1].text) + "; what stands behind, " +
            Quoted(record.mechanisms[live].text) + " first, has no effect.",
        "Put it in front, or remove it.");
  }
  if (record.redirect && record.has_all()) {
    Add(Severity::kWarning, "spf.redirect_ignored", domain,
        Quoted(record.redirect->text) + " has no effect, for the record has an all.",
        "Remove one of the two.");
  }
  for (size_t i = 0; i < live; ++i) {
    const SpfTerm& term = record.mechanisms[i];
    const bool every = term.kind == SpfKind::kAll ||
                       (term.kind == SpfKind::kIp4 && term.prefix4 == 0) ||
                       (term.kind == SpfKind::kIp6 && term.prefix6 == 0);
    if (every && term.qualifier == '+' && visit.passes) {
      Add(Severity::kWarning, "spf.all_pass", domain,
          Quoted(term.text) + " allows every host in the world to send for " + root_ + ".",
          "End the record with ~all or -all.");
    }
  }
  if (!visit.policy || !record.faults.empty()) return;
  if (!record.has_all() && !record.redirect) {
    Add(Severity::kWarning, "spf.no_all", domain,
        "The record ends without all, so that hosts that it does not name are neither allowed nor "
        "refused.",
        "End the record with ~all or -all.");
  } else if (record.has_all() && record.mechanisms[live - 1].qualifier == '?') {
    Add(Severity::kWarning, "spf.neutral_all", domain,
        "\"?all\" neither allows nor refuses the hosts that the record does not name.",
        "End the record with ~all or -all.");
  }
}

// Only of what the domain's owner can change.
void Walker::JudgeSize(size_t at, const dns::Answer& answer) {
  const std::string& domain = visits_[at].node.domain;
  if (domain != root_ && !domain.ends_with("." + root_)) return;
  size_t bytes = domain.size();
  for (const dns::Record& record : answer.records) bytes += record.text.size();
  if (bytes <= kMaxAdvisedBytes) return;
  const bool over = bytes > kMaxUdpBytes;
  Add(over ? Severity::kWarning : Severity::kInfo, "spf.too_long", domain,
      "The TXT records of " + domain + " have " + std::to_string(bytes) + " bytes; over " +
          std::to_string(over ? kMaxUdpBytes : kMaxAdvisedBytes) +
          ", an answer may not fit into one UDP packet.",
      "Move a part of the record to an include, and remove TXT records that are of no more use.");
}

// What each term of the domain's record costs: "include:a.example 4, mx 1".
std::string Walker::Branches() const {
  std::vector<std::string> branches;
  for (const Step& step : StepsOf(0)) {
    const size_t below = step.child == kNone ? 0 : visits_[step.child].node.lookups;
    branches.push_back(step.term->text.substr(0, 80) + " " + std::to_string(below + 1));
  }
  return Joined(branches);
}

void Walker::JudgeLimits() {
  most_problems_ += 3;  // these are always said
  if (walk_.lookups > kMaxLookups) {
    const bool cut = visits_.size() >= kMaxVisits;
    Add(Severity::kError, "spf.too_many_lookups", root_,
        "The record takes " + std::string(cut ? "at least " : "") + std::to_string(walk_.lookups) +
            " DNS lookups; receivers stop at 10 and treat it as broken: " + Branches() + ".",
        "Remove includes of services that no longer send for the domain, and name hosts by ip4: "
        "and ip6: instead of a, mx and ptr.");
  }
  if (walk_.void_lookups > kMaxVoidLookups) {
    Add(Severity::kError, "spf.too_many_voids", root_,
        std::to_string(walk_.void_lookups) +
            " lookups of the record find nothing; receivers stop at 2 and treat it as broken: " +
            Joined(void_names_) + ".",
        "Remove the a, mx and exists terms that lead to these names, or give the names an "
        "address.");
  }
  if (unanswered_ > 0) {
    Add(Severity::kWarning, "spf.undetermined", root_,
        "DNS gave no answer to " + std::to_string(unanswered_) + " of the questions, first " +
            first_unanswered_ + ".",
        "Try again; where it stays so, look at the name servers of that domain.");
  }
}

// ---- Of records as text, whatever is wrong with them.

std::vector<std::string_view> TermsOf(std::string_view record) {
  std::vector<std::string_view> terms;
  for (size_t at = record.find(' '); (at = record.find_first_not_of(' ', at)) < record.size();) {
    const size_t end = std::min(record.find(' ', at), record.size());
    terms.push_back(record.substr(at, end - at));
    at = end;
  }
  return terms;
}

bool IsNegated(std::string_view term) { return term.find_first_of("-?~") == 0; }

std::string_view Unqualified(std::string_view term) {
  return term.find_first_of("+-?~") == 0 ? term.substr(1) : term;
}

bool IsAll(std::string_view term) {
  return NormalDomain(Unqualified(term)) == "all" || NormalDomain(GluedTerm(term)).ends_with("all");
}

bool IsRedirect(std::string_view term) { return NormalDomain(term).starts_with("redirect="); }

bool IsIncludeOf(std::string_view term, std::string_view domain) {
  return NormalDomain(Unqualified(term)) == "include:" + NormalDomain(domain);
}

// What has become of the search for an include, in the order in which receivers go.
enum class Search { kGoOn, kFound, kBroken };

Search Find(const SpfNode& node, const std::string& domain) {
  if (node.dead) return Search::kGoOn;
  if (node.spent > kMaxLookups) return Search::kBroken;
  if (node.domain == domain) return Search::kFound;
  if (node.broken) return Search::kBroken;
  for (const SpfNode& child : node.children) {
    Search search = Find(child, domain);
    if (search == Search::kFound && IsNegated(child.via)) search = Search::kGoOn;
    if (search != Search::kGoOn) return search;
  }
  return Search::kGoOn;
}

}  // namespace

asio::awaitable<SpfWalk> WalkSpf(dns::Inquiry& inquiry, std::string domain) {
  Walker walker(inquiry, NormalDomain(domain));
  co_return co_await walker.Run();
}

bool ReachesSpf(const SpfWalk& walk, std::string_view include) {
  return Find(walk.root, NormalDomain(include)) == Search::kFound;
}

std::string WithInclude(std::string_view record, std::string_view include) {
  const std::string added = "include:" + std::string(include);
  if (!IsSpf(record)) return "v=spf1 " + added + " ~all";
  std::vector<std::string_view> terms = TermsOf(record);
  auto end = std::find_if(terms.begin(), terms.end(), IsAll);
  const auto same = [&](std::string_view term) { return IsIncludeOf(term, include); };
  const auto first = std::find_if(terms.begin(), end, same);
  if (first != end && !IsNegated(*first)) return std::string(record);
  std::erase_if(terms, same);  // negated, or behind the all
  end = std::find_if(terms.begin(), terms.end(), IsAll);
  if (end == terms.end()) end = std::find_if(terms.begin(), terms.end(), IsRedirect);
  terms.insert(end, added);
  std::string result = "v=spf1";
  for (const std::string_view term : terms) result.append(" ").append(term);
  return result;
}

}  // namespace sendstep::mailauth
