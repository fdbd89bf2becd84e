#include "transport/mailauth/spf_record.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace sendstep::mailauth {
namespace {

constexpr size_t kMaxFaults = 16;
constexpr std::string_view kVersion = "v=spf1";
constexpr auto kNowhere = std::string_view::npos;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool IsVisible(char c) { return c > 0x20 && c < 0x7f; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsQualifier(char c) { return c == '+' || c == '-' || c == '?' || c == '~'; }

struct Name {
  std::string_view text;
  SpfKind kind;
};

constexpr std::array<Name, 8> kMechanisms = {{{"all", SpfKind::kAll},
                                              {"include", SpfKind::kInclude},
                                              {"a", SpfKind::kA},
                                              {"mx", SpfKind::kMx},
                                              {"ptr", SpfKind::kPtr},
                                              {"ip4", SpfKind::kIp4},
                                              {"ip6", SpfKind::kIp6},
                                              {"exists", SpfKind::kExists}}};

SpfKind MechanismOf(std::string_view name) {
  const std::string lower = Lower(name);
  for (const Name& mechanism : kMechanisms) {
    if (mechanism.text == lower) return mechanism.kind;
  }
  return SpfKind::kOther;
}

// Parses one term at a time into a record.
class TermParser {
 public:
  TermParser(std::string_view text, size_t offset, SpfRecord& record)
      : text_(text), record_(record) {
    term_.text = std::string(text);
    term_.offset = offset;
  }

  void Parse();

 private:
  void ParseModifier(std::string_view name, std::string_view value);
  void KeepOnce(SpfKind kind, std::string_view name, std::optional<SpfTerm>& place);
  void ParseMechanism(std::string_view name, std::string_view rest);
  bool ParseArgument(std::string_view name, std::string_view rest);
  bool ParseNetwork(std::string_view name, std::string_view argument);
  bool ParseDualPrefix(std::string_view& argument);
  bool ParseDomain(std::string_view domain);
  std::optional<unsigned> ParsePrefix(std::string_view digits, unsigned most);
  void UnknownMechanism(std::string_view name, std::string_view rest);

  bool WrongIfGlued(std::string_view part);
  // `part`, a part of the term, is wrong.
  bool Wrong(std::string_view part, std::string message);

  std::string_view text_;
  SpfTerm term_;
  SpfRecord& record_;
};

bool TermParser::Wrong(std::string_view part, std::string message) {
  if (record_.faults.size() >= kMaxFaults) return false;
  const auto offset = static_cast<size_t>(part.data() - text_.data());
  SpfFault fault{term_.offset + offset, std::max<size_t>(part.size(), 1), std::move(message)};
  record_.faults.push_back(std::move(fault));
  return false;
}

// True, and a fault: it is a blank that `part` lacks.
bool TermParser::WrongIfGlued(std::string_view part) {
  const std::string_view glued = GluedTerm(part);
  if (glued.empty()) return false;
  Wrong(glued, "a blank is missing in front of " + Quoted(glued));
  return true;
}

void TermParser::Parse() {
  const auto odd = std::find_if_not(text_.begin(), text_.end(), IsVisible);
  if (odd != text_.end()) {
    const std::string_view byte = text_.substr(static_cast<size_t>(odd - text_.begin()), 1);
    const bool control = static_cast<unsigned char>(*odd) < 0x80;
    Wrong(byte, control ? "a control character; terms are separated by blanks only"
                        : "a byte that is not ASCII; domains are written as A-labels (xn--)");
    return;
  }
  const bool qualified = IsQualifier(text_.front());
  std::string_view rest = text_;
  if (qualified) {
    term_.qualifier = text_.front();
    rest.remove_prefix(1);
  }
  const size_t end = std::min(rest.find_first_of(":/="), rest.size());
  const std::string_view name = rest.substr(0, end);
  rest.remove_prefix(end);
  if (!rest.starts_with('=')) return ParseMechanism(name, rest);
  if (qualified) {
    Wrong(text_.substr(0, 1), "a modifier (name=value) takes no qualifier");
    return;
  }
  ParseModifier(name, rest.substr(1));
}

void TermParser::ParseModifier(std::string_view name, std::string_view value) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  if (name.empty() || !std::isalpha(static_cast<unsigned char>(name.front())) ||
      !std::all_of(name.begin(), name.end(), fits)) {
    Wrong(name, "a modifier's name begins with a letter and has letters, digits, -, _ and . only");
    return;
  }
  const std::string lower = Lower(name);
  if (lower == "redirect" || lower == "exp") {
    if (!ParseDomain(value)) return;
    const bool redirect = lower == "redirect";
    KeepOnce(redirect ? SpfKind::kRedirect : SpfKind::kExp, name,
             redirect ? record_.redirect : record_.exp);
    return;
  }
  if (auto fault = CheckSpfMacros(value, SpfMacroUse::kDomain)) {
    Wrong(value.substr(fault->offset, fault->length), fault->message);
    return;
  }
  record_.others.push_back(std::move(term_));
}

void TermParser::KeepOnce(SpfKind kind, std::string_view name, std::optional<SpfTerm>& place) {
  if (place) {
    Wrong(text_, Lower(name) + "= may stand in a record once");
    return;
  }
  term_.kind = kind;
  place = std::move(term_);
}

void TermParser::ParseMechanism(std::string_view name, std::string_view rest) {
  term_.kind = MechanismOf(name);
  if (term_.kind == SpfKind::kOther) return UnknownMechanism(name, rest);
  if (ParseArgument(name, rest)) record_.mechanisms.push_back(std::move(term_));
}

void TermParser::UnknownMechanism(std::string_view name, std::string_view rest) {
  const std::string lower = Lower(name);
  if (lower == "redirect" || lower == "exp") {
    Wrong(name, "write " + lower + "= instead of " + lower + (rest.empty() ? "" : ":"));
  } else if (WrongIfGlued(text_)) {
    return;
  } else if (lower == "ip" || lower == "ipv4" || lower == "ipv6") {
    Wrong(name, "there is no mechanism " + Quoted(name) + "; write ip4: or ip6:");
  } else if (name.empty()) {
    Wrong(text_, "a mechanism's name is missing");
  } else if (name.find_first_not_of("0123456789.") == kNowhere) {
    Wrong(text_, "an address cannot stand alone: write ip4:" + std::string(name));
  } else {
    Wrong(name, "there is no mechanism " + Quoted(name));
  }
}

// `rest`: what follows the mechanism's name, empty or from ":" or "/" on.
bool TermParser::ParseArgument(std::string_view name, std::string_view rest) {
  const bool colon = rest.starts_with(':');
  std::string_view argument = colon ? rest.substr(1) : rest;
  switch (term_.kind) {
    case SpfKind::kAll:
      return rest.empty() || Wrong(rest, "all takes nothing behind it");
    case SpfKind::kIp4:
    case SpfKind::kIp6:
      if (!colon) return Wrong(text_, std::string(name) + " lacks its address");
      return ParseNetwork(name, argument);
    case SpfKind::kInclude:
    case SpfKind::kExists:
      if (!colon) return Wrong(text_, std::string(name) + " lacks its domain");
      return ParseDomain(argument);
    case SpfKind::kPtr:
      if (!colon) return rest.empty() || Wrong(rest, "ptr takes no prefix length");
      return ParseDomain(argument);
    default:
      if (!ParseDualPrefix(argument)) return false;
      if (!colon) return argument.empty() || Wrong(argument, "\"/\" begins a prefix length here");
      return ParseDomain(argument);
  }
}

bool TermParser::ParseNetwork(std::string_view name, std::string_view argument) {
  const bool v4 = term_.kind == SpfKind::kIp4;
  const size_t slash = argument.find('/');
  const std::string_view host = argument.substr(0, slash);
  boost::system::error_code error;
  term_.network = boost::asio::ip::make_address(std::string(host), error);
  const bool zone = host.find('%') != kNowhere;  // "fe80::1%eth0"
  if (error || zone) {
    if (WrongIfGlued(argument)) return false;
    return Wrong(host.empty() ? text_ : host, v4 ? "not an IPv4 address of four numbers (RFC 7208 "
                                                   "5.6: no port, no name, no leading zero)"
                                                 : "not an IPv6 address");
  }
  if (term_.network.is_v4() != v4) {
    return Wrong(text_.substr(0, static_cast<size_t>(host.data() - text_.data())),
                 "the address is one of IPv" + std::string(v4 ? "6" : "4") + ": write ip" +
                     (v4 ? "6" : "4") + ": instead of " + std::string(name) + ":");
  }
  if (slash == kNowhere) return true;
  const auto prefix = ParsePrefix(argument.substr(slash + 1), v4 ? 32 : 128);
  if (prefix) (v4 ? term_.prefix4 : term_.prefix6) = *prefix;
  return prefix.has_value();
}

// Takes "/24", "//64" or "/24//64" from the end of `argument`. A domain-spec may have slashes in
// it, but then a dot or a macro follows.
bool TermParser::ParseDualPrefix(std::string_view& argument) {
  const auto last_slash = [&] {
    const size_t slash = argument.rfind('/');
    if (slash == kNowhere) return slash;
    return argument.find_first_of(".%}", slash) == kNowhere ? slash : kNowhere;
  };
  size_t slash = last_slash();
  if (slash != kNowhere && slash > 0 && argument[slash - 1] == '/') {
    const auto prefix = ParsePrefix(argument.substr(slash + 1), 128);
    if (!prefix) return false;
    term_.prefix6 = *prefix;
    argument = argument.substr(0, slash - 1);
    slash = last_slash();
  }
  if (slash == kNowhere) return true;
  const std::string_view taken = argument.substr(slash);
  argument = argument.substr(0, slash);
  if (last_slash() != kNowhere) {
    return Wrong(taken, "an IPv6 prefix length has two slashes: \"/24//64\"");
  }
  const auto prefix = ParsePrefix(taken.substr(1), 32);
  if (prefix) term_.prefix4 = *prefix;
  return prefix.has_value();
}

std::optional<unsigned> TermParser::ParsePrefix(std::string_view digits, unsigned most) {
  unsigned prefix = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (WrongIfGlued(digits)) {
    return std::nullopt;
  } else if (digits.empty() || end != digits.data() + digits.size() || error != std::errc() ||
             prefix > most) {
    Wrong(digits, "a prefix length here is a number from 0 to " + std::to_string(most));
  } else if (digits.size() > 1 && digits.front() == '0') {
    Wrong(digits, "a prefix length has no leading zero");
  } else {
    return prefix;
  }
  return std::nullopt;
}

bool TermParser::ParseDomain(std::string_view domain) {
  const auto fault = CheckSpfDomainSpec(domain);
  if (!fault) {
    term_.domain = std::string(domain);
    return true;
  }
  if (domain.empty()) return Wrong(text_, "the domain is missing");
  const std::string_view part = domain.substr(fault->offset, fault->length);
  if (WrongIfGlued(domain)) return false;
  if (domain.find_first_not_of("0123456789./") == kNowhere) {
    return Wrong(domain, "a domain has to stand here; an address is written ip4:ADDRESS");
  }
  const size_t slash = domain.rfind('/');
  if (slash != kNowhere && domain.find_first_not_of("0123456789", slash + 1) == kNowhere) {
    return Wrong(domain.substr(slash), "no prefix length may stand here");
  }
  return Wrong(part, fault->message);
}

}  // namespace

bool SpfTerm::costs_lookup() const {
  switch (kind) {
    case SpfKind::kInclude:
    case SpfKind::kA:
    case SpfKind::kMx:
    case SpfKind::kPtr:
    case SpfKind::kExists:
    case SpfKind::kRedirect:
      return true;
    default:
      return false;
  }
}

size_t SpfRecord::live_mechanisms() const {
  const auto all = std::find_if(mechanisms.begin(), mechanisms.end(),
                                [](const SpfTerm& term) { return term.kind == SpfKind::kAll; });
  const auto before = static_cast<size_t>(all - mechanisms.begin());
  return std::min(before + 1, mechanisms.size());
}

bool SpfRecord::has_all() const {
  return live_mechanisms() > 0 && mechanisms[live_mechanisms() - 1].kind == SpfKind::kAll;
}

bool IsSpf(std::string_view txt) {
  return Lower(txt.substr(0, kVersion.size())) == kVersion &&
         (txt.size() == kVersion.size() || txt[kVersion.size()] == ' ');
}

bool LooksLikeSpf(std::string_view txt) {
  if (IsSpf(txt)) return false;
  txt = txt.substr(std::min(txt.find_first_not_of(" \t\r\n\"'"), txt.size()));
  if (Lower(txt.substr(0, kVersion.size())) != kVersion) return false;
  return txt.size() == kVersion.size() || !IsDigit(txt[kVersion.size()]);
}

std::string_view GluedTerm(std::string_view text) {
  const std::string lower = Lower(text);
  for (const std::string_view all : {"~all", "-all", "?all", "+all"}) {
    if (lower.size() > all.size() && lower.ends_with(all)) {
      return text.substr(text.size() - all.size());
    }
  }
  size_t first = text.size();
  for (const std::string_view begin :
       {"ip4:", "ip6:", "include:", "exists:", "redirect=", "exp=", "v=spf1"}) {
    first = std::min(first, lower.find(begin, 2));  // not the term's own
  }
  if (first < text.size() && IsQualifier(text[first - 1])) --first;
  return text.substr(first);
}

SpfRecord ParseSpf(std::string_view record) {
  SpfRecord parsed;
  size_t at = kVersion.size();
  while ((at = record.find_first_not_of(' ', at)) != kNowhere) {
    const size_t end = std::min(record.find(' ', at), record.size());
    TermParser(record.substr(at, end - at), at, parsed).Parse();
    at = end;
  }
  return parsed;
}

std::string PointAt(std::string_view record, const SpfFault& fault, size_t columns) {
  const size_t offset = std::min(fault.offset, record.size());
  const size_t begin = offset > columns / 2 ? offset - columns / 2 : 0;
  std::string shown(record.substr(begin, columns));
  for (char& c : shown) c = IsVisible(c) || c == ' ' ? c : '?';
  const size_t room = shown.size() - std::min(offset - begin, shown.size());
  const size_t length = std::max<size_t>(std::min(fault.length, room), 1);
  return shown + "\n" + std::string(offset - begin, ' ') + std::string(length, '^');
}

std::string Quoted(std::string_view text) {
  constexpr size_t kMost = 80;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text.substr(0, kMost)) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (IsVisible(c) || c == ' ') {
      quoted += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    quoted += "\\x";
    quoted += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return quoted + (text.size() > kMost ? "…\"" : "\"");
}

}  // namespace sendstep::mailauth
