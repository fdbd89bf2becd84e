#include "transport/mailauth/dmarc_record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "transport/mailauth/tag_list.h"

namespace sendstep::mailauth {
namespace {

constexpr std::string_view kVersion = "v=DMARC1";
// More report addresses than receivers need honour (RFC 7489 6.2).
constexpr size_t kFewUris = 2;

// Tags that RFC 7489 had and RFC 9989 has not.
constexpr std::array<std::string_view, 3> kRemoved = {"pct", "rf", "ri"};
constexpr std::array<std::string_view, 11> kKnown = {"v",   "p", "sp",  "np",  "adkim", "aspf",
                                                     "psd", "t", "rua", "ruf", "fo"};

std::optional<DmarcPolicy> ParsePolicy(std::string_view text) {
  const std::string lower = LowerAscii(text);
  if (lower == "none") return DmarcPolicy::kNone;
  if (lower == "quarantine") return DmarcPolicy::kQuarantine;
  if (lower == "reject") return DmarcPolicy::kReject;
  return std::nullopt;
}

bool IsMailto(std::string_view uri) {
  const std::string lower = LowerAscii(uri.substr(0, 7));
  const size_t at = uri.find('@');
  return lower == "mailto:" && at != std::string_view::npos && at > 7 && at + 1 < uri.size();
}

// Decodes %2C and the like, and drops the size limit of RFC 7489 ("!10m").
std::string DecodedUri(std::string_view uri) {
  std::string out;
  for (size_t i = 0; i < uri.size() && uri[i] != '!'; ++i) {
    unsigned char byte = 0;
    const char* hex = uri.data() + i + 1;
    if (uri[i] == '%' && i + 2 < uri.size() &&
        std::from_chars(hex, hex + 2, byte, 16).ptr == hex + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += uri[i];
    }
  }
  return out;
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  ParsedDmarc Run() {
    const TagList list = ParseTagList(text_);
    for (const std::string& part : list.malformed) {
      Say(Severity::kError, "dmarc.syntax", "\"" + part + "\" is not a tag (name=value).",
          "Separate the tags by semicolons.");
    }
    for (size_t i = 0; i < list.tags.size(); ++i) Take(list.tags[i], i);
    ParsedDmarc parsed;
    // RFC 9989: without a policy that can be read, a record that asks for reports counts as p=none.
    if (!has_policy_) {
      const bool reports = !record_.rua.empty();
      Say(Severity::kError, "dmarc.no_policy",
          reports ? "There is no valid p=: receivers take it as p=none."
                  : "There is no valid p=: receivers ignore the record.",
          "Add p=none, p=quarantine or p=reject.");
      if (!reports) {
        parsed.problems = std::move(problems_);
        return parsed;
      }
    }
    parsed.problems = problems_;
    record_.problems = std::move(problems_);
    parsed.record = std::move(record_);
    return parsed;
  }

 private:
  void Say(Severity severity, std::string id, std::string message, std::string what_to_do = {}) {
    problems_.push_back(
        {severity, std::move(id), std::string(name_), std::move(message), std::move(what_to_do)});
  }

  void Bad(const Tag& tag, const std::string& allowed) {
    Say(Severity::kError, "dmarc.bad_value",
        "\"" + tag.name + "=" + Excerpt(tag.value) + "\" has no meaning: receivers pass over it.",
        "Write " + allowed + ".");
  }

  void Take(const Tag& tag, size_t place) {
    if (std::ranges::count(seen_, tag.name) > 0) {
      Say(Severity::kError, "dmarc.duplicate_tag", "The tag " + tag.name + " occurs twice.",
          "Keep one of them.");
      return;
    }
    seen_.push_back(tag.name);
    if (std::ranges::count(kRemoved, tag.name) > 0) return TakeRemoved(tag);
    if (std::ranges::count(kKnown, tag.name) == 0) {
      Say(Severity::kWarning, "dmarc.unknown_tag",
          "Receivers do not know the tag \"" + Excerpt(tag.name) + "\".", "Remove it.");
      return;
    }
    if (tag.name == "p" && place != 1) {
      Say(Severity::kWarning, "dmarc.p_not_second",
          "p= does not follow v=DMARC1: receivers that go by RFC 7489 ignore the record.",
          "Write it as the second tag.");
    }
    if (tag.name == "p" || tag.name == "sp" || tag.name == "np") return TakePolicy(tag);
    if (tag.name == "adkim" || tag.name == "aspf") return TakeAlignment(tag);
    if (tag.name == "rua" || tag.name == "ruf") return TakeUris(tag);
    if (tag.name == "t") return TakeTesting(tag);
    if (tag.name == "psd") TakePublicSuffix(tag);
  }

  void TakeRemoved(const Tag& tag) {
    if (tag.name == "pct") {
      int percent = 0;
      const char* end = tag.value.data() + tag.value.size();
      const auto read = std::from_chars(tag.value.data(), end, percent);
      if (read.ec != std::errc() || read.ptr != end || percent < 0 || percent > 100) {
        return Bad(tag, "no pct= at all");
      }
      record_.pct = percent;
      if (percent == 100) return;  // its default: nothing changes
    }
    Say(Severity::kWarning, "dmarc.removed_tag",
        "RFC 9989 has removed " + tag.name + "=: receivers differ in what they make of it.",
        tag.name == "pct" ? "Write t=y in its place while you try a policy out, or nothing."
                          : "Remove it.");
  }

  void TakePolicy(const Tag& tag) {
    const std::optional<DmarcPolicy> policy = ParsePolicy(tag.value);
    if (!policy) return Bad(tag, "none, quarantine or reject");
    if (tag.name == "p") {
      record_.p = *policy;
      has_policy_ = true;
    } else {
      (tag.name == "sp" ? record_.sp : record_.np) = policy;
    }
  }

  void TakeAlignment(const Tag& tag) {
    const std::string lower = LowerAscii(tag.value);
    if (lower != "r" && lower != "s") return Bad(tag, "r or s");
    (tag.name == "adkim" ? record_.adkim : record_.aspf) =
        lower == "s" ? Alignment::kStrict : Alignment::kRelaxed;
  }

  void TakeTesting(const Tag& tag) {
    const std::string lower = LowerAscii(tag.value);
    if (lower != "y" && lower != "n") return Bad(tag, "y or n");
    record_.testing = lower == "y";
    if (record_.testing) {
      Say(Severity::kInfo, "dmarc.testing",
          "t=y: receivers apply the policy one step milder than it says.");
    }
  }

  void TakePublicSuffix(const Tag& tag) {
    const std::string lower = LowerAscii(tag.value);
    if (lower != "y" && lower != "n" && lower != "u") return Bad(tag, "y, n or u");
    record_.psd = lower == "y"   ? PublicSuffixFlag::kYes
                  : lower == "n" ? PublicSuffixFlag::kNo
                                 : PublicSuffixFlag::kUnknown;
  }

  void TakeUris(const Tag& tag) {
    std::vector<std::string>& uris = tag.name == "rua" ? record_.rua : record_.ruf;
    std::string_view rest = tag.value;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(','), rest.size());
      const std::string uri = DecodedUri(Trimmed(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (uri.empty()) continue;
      if (IsMailto(uri)) {
        uris.push_back(uri);
      } else {
        Say(Severity::kError, "dmarc.bad_uri",
            "\"" + Excerpt(uri) + "\" in " + tag.name + "= is no mailto: address: no report comes.",
            "Write mailto: and an address.");
      }
    }
    if (uris.size() > kFewUris) {
      Say(Severity::kWarning, "dmarc.too_many_uris",
          "Receivers need not send reports to more than two addresses of " + tag.name + "=.",
          "Keep two.");
    }
  }

  std::string_view text_, name_;
  DmarcRecord record_;
  bool has_policy_ = false;
  std::vector<std::string> seen_;
  std::vector<Problem> problems_;
};

}  // namespace

std::string_view DmarcPolicyName(DmarcPolicy policy) {
  switch (policy) {
    case DmarcPolicy::kNone:
      return "none";
    case DmarcPolicy::kQuarantine:
      return "quarantine";
    case DmarcPolicy::kReject:
      return "reject";
  }
  return "none";
}

bool IsDmarc(std::string_view text) {
  // "v", "=" and "DMARC1" may have blanks around them (RFC 9989 4.7); what follows is another tag.
  const std::string_view first = text.substr(0, text.find(';'));
  std::string squeezed;
  for (const char c : first) {
    if (c != ' ' && c != '\t') squeezed += c;
  }
  return squeezed == kVersion && !first.empty() && first.front() == 'v';
}

ParsedDmarc ParseDmarc(std::string_view text, std::string_view name) {
  return Parser(text, name).Run();
}

}  // namespace sendstep::mailauth
