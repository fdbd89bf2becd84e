#include "transport/base/address.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <netinet/in.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "transport/base/utf8.h"

namespace sendstep::base {
namespace {

constexpr size_t kMaxLocalPart = 64;
constexpr size_t kMaxLabel = 63;
// 255 bytes as DNS counts them: a length byte before every label and one for the root.
constexpr size_t kMaxDomain = 253;
// A path has 256 bytes with its "<" and ">" (RFC 5321 4.5.3.1.3).
constexpr size_t kMaxAddress = 254;
// More than 255 bytes of A-labels can come from; keeps libidn2 from huge input.
constexpr size_t kMaxUnicodeDomain = 1024;

Error Invalid(std::string detail) {
  return Failed(Stage::kConfig, Cause::kInvalid, ErrorClass::kPermanent, std::move(detail));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// atext of RFC 5322 3.2.3, its ASCII part.
bool IsAtext(char c) {
  return IsLetter(c) || IsDigit(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

// Blanks and marks that a reader cannot see, as copied from web pages and documents. The joiners
// U+200C and U+200D stay: some scripts spell with them.
bool IsInvisible(char32_t c) {
  return c == 0xA0 || c == 0xAD || c == 0x1680 || c == 0x180E || (c >= 0x2000 && c <= 0x200B) ||
         c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202F) ||
         (c >= 0x205F && c <= 0x206F) || c == 0x3000 || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB);
}

bool HasInvisible(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = DecodeUtf8(text);
    if (IsInvisible(c.value)) return true;
    text.remove_prefix(c.size);
  }
  return false;
}

// `c` of `part` is not allowed: the phrase that says so.
std::string HasCharacter(std::string_view part, char c) {
  const std::string has = "the " + std::string(part) + " has ";
  if (c == ' ') return has + "a blank";
  if (c == '"') return has + "a quotation mark";
  return has + "\"" + c + "\"";
}

// What is wrong with a part of the address whatever its syntax.
std::optional<std::string> BrokenText(std::string_view part, std::string_view text) {
  if (!IsUtf8(text)) return "the " + std::string(part) + " is not valid UTF-8";
  if (HasControlCharacter(text) || text.find('\t') != std::string_view::npos) {
    return "the " + std::string(part) + " has a control character";
  }
  return std::nullopt;
}

// Dot-atom (RFC 5322 3.2.3).
std::optional<std::string> BrokenDotAtom(std::string_view local) {
  for (char c : local) {
    if (IsAscii({&c, 1}) && c != '.' && !IsAtext(c)) return HasCharacter("local part", c);
  }
  if (local.front() == '.') return "the local part begins with a dot";
  if (local.back() == '.') return "the local part ends with a dot";
  if (local.find("..") != std::string_view::npos) return "the local part has two dots in a row";
  return std::nullopt;
}

// Where the quoted string that `text` begins with ends, past its closing quotation mark (RFC 5321
// 4.1.2: blanks as they are, anything printable after a backslash); npos where it is never closed.
size_t QuotedEnd(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1;
    if (text[i] == '\\') ++i;
  }
  return std::string_view::npos;
}

std::optional<std::string> BrokenLocalPart(std::string_view local) {
  if (local.empty()) return "the local part is empty";
  if (auto broken = BrokenText("local part", local)) return broken;
  if (local.size() > kMaxLocalPart) {
    return "the local part is longer than " + std::to_string(kMaxLocalPart) + " bytes";
  }
  if (NarrowsToLineBreak(local)) {
    return "the local part has a character that some mail programs turn into a line break";
  }
  if (HasInvisible(local)) return "the local part has an invisible character";
  return local.front() == '"' ? std::nullopt : BrokenDotAtom(local);
}

// Letters, digits and hyphens (RFC 5321 4.1.2, STD 3), and the sizes of RFC 1035.
std::optional<std::string> BrokenAsciiDomain(std::string_view domain) {
  if (domain.size() > kMaxDomain) {
    return "the domain is longer than " + std::to_string(kMaxDomain) + " bytes";
  }
  for (size_t begin = 0; begin <= domain.size();) {
    const size_t end = std::min(domain.find('.', begin), domain.size());
    const std::string_view label = domain.substr(begin, end - begin);
    if (label.empty()) return "the domain has an empty label";
    for (char c : label) {
      if (!IsLetter(c) && !IsDigit(c) && c != '-') return HasCharacter("domain", c);
    }
    if (label.size() > kMaxLabel) {
      return "the domain has a label longer than " + std::to_string(kMaxLabel) + " bytes";
    }
    if (label.front() == '-') return "the domain has a label that begins with a hyphen";
    if (label.back() == '-') return "the domain has a label that ends with a hyphen";
    begin = end + 1;
  }
  return std::nullopt;
}

// Unicode -> A-labels, still to be checked.
Result<std::string> ToALabels(std::string_view name) {
  if (name.size() > kMaxUnicodeDomain) {
    return Invalid("the domain is longer than " + std::to_string(kMaxDomain) + " bytes");
  }
  // UTS #46 would drop most of them without a word.
  if (HasInvisible(name)) return Invalid("the domain has an invisible character");
  char* raw = nullptr;
  // Not IDN2_USE_STD3_ASCII_RULES: it drops what STD 3 forbids, and another domain comes out.
  const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
  const int code = idn2_to_ascii_8z(std::string(name).c_str(), &raw, flags);
  const std::unique_ptr<char, decltype(&idn2_free)> owner(raw, idn2_free);
  if (code == IDN2_TOO_BIG_LABEL || code == IDN2_PUNYCODE_BIG_OUTPUT) {
    return Invalid("the domain has a label longer than " + std::to_string(kMaxLabel) + " bytes");
  }
  if (code == IDN2_TOO_BIG_DOMAIN) {
    return Invalid("the domain is longer than " + std::to_string(kMaxDomain) + " bytes");
  }
  if (code != IDN2_OK) {
    return Invalid("the domain is not a valid international name (" +
                   std::string(idn2_strerror(code)) + ")");
  }
  return std::string(raw);
}

// The address literal for an IPv4 or IPv6 address, in its shortest form.
std::optional<std::string> ToLiteral(std::string_view ip) {
  const std::string text(ip);
  if (text.find('\0') != std::string::npos) return std::nullopt;
  char shortest[INET6_ADDRSTRLEN];
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    return "[" + std::string(inet_ntop(AF_INET, &v4, shortest, sizeof shortest)) + "]";
  }
  in6_addr v6;
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    return "[IPv6:" + std::string(inet_ntop(AF_INET6, &v6, shortest, sizeof shortest)) + "]";
  }
  return std::nullopt;
}

// Removes the tag of an IPv6 literal (RFC 5321 4.1.3).
bool ConsumeIpv6Tag(std::string_view& text) {
  constexpr std::string_view kTag = "ipv6:";
  if (text.size() < kTag.size() || !std::equal(kTag.begin(), kTag.end(), text.begin(),
                                               [](char a, char b) { return a == Lower(b); })) {
    return false;
  }
  text.remove_prefix(kTag.size());
  return true;
}

// `text` begins with "[".
Result<std::string> ParseLiteral(std::string_view text) {
  if (text.back() != ']') return Invalid("the address literal has no closing \"]\"");
  text = text.substr(1, text.size() - 2);
  const bool tagged = ConsumeIpv6Tag(text);
  auto literal = ToLiteral(text);
  const bool is_v6 = literal && literal->find(':') != std::string::npos;
  if (!literal || (tagged && !is_v6)) {
    return Invalid("the address literal is not an IP address");
  }
  if (is_v6 && !tagged)
    return Invalid("the address literal of an IPv6 address begins with \"[IPv6:\"");
  return *std::move(literal);
}

Result<std::string> ParseDomainPart(std::string_view domain) {
  if (domain.empty()) return Invalid("the domain is empty");
  if (domain.front() == '[') {
    if (auto broken = BrokenText("domain", domain)) return Invalid(*std::move(broken));
    return ParseLiteral(domain);
  }
  if (domain.find('@') != std::string_view::npos) return Invalid("there is more than one \"@\"");
  if (domain.size() > 1 && domain.back() == '.') return Invalid("the domain ends with a dot");
  if (auto literal = ToLiteral(domain)) {
    return Invalid("the domain is an IP address: write it as " + *literal);
  }
  return ToAsciiDomain(domain);
}

}  // namespace

bool Address::NeedsSmtpUtf8() const { return !IsAscii(local_part_); }

Result<Address> ParseAddress(std::string_view text) {
  if (text.empty()) return Invalid("the address is empty");
  const bool quoted = text.front() == '"';
  size_t at = text.find('@');
  if (quoted) {
    at = QuotedEnd(text);
    if (at == std::string_view::npos)
      return Invalid("the local part has no closing quotation mark");
    if (at < text.size() && text[at] != '@') {
      return Invalid("the local part goes on after its closing quotation mark");
    }
  }
  if (at >= text.size()) return Invalid("there is no \"@\"");
  const std::string_view local = text.substr(0, at);
  if (auto broken = BrokenLocalPart(local)) return Invalid(*std::move(broken));
  auto domain = ParseDomainPart(text.substr(at + 1));
  if (!domain) return domain.error();
  if (local.size() + 1 + domain->size() > kMaxAddress) {
    return Invalid("the address is longer than " + std::to_string(kMaxAddress) + " bytes");
  }
  Address address;
  address.local_part_ = local;
  address.domain_ = *std::move(domain);
  return address;
}

std::string_view LocalPartOf(std::string_view text) { return text.substr(0, text.rfind('@')); }

Result<std::string> ToAsciiDomain(std::string_view name) {
  if (name.size() > 1 && name.back() == '.') name.remove_suffix(1);
  if (name.empty()) return Invalid("the domain is empty");
  if (auto broken = BrokenText("domain", name)) return Invalid(*std::move(broken));
  std::string domain(name);
  if (!IsAscii(name)) {
    auto labels = ToALabels(name);
    if (!labels) return labels.error();
    domain = *std::move(labels);
  }
  std::transform(domain.begin(), domain.end(), domain.begin(), Lower);
  if (auto broken = BrokenAsciiDomain(domain)) return Invalid(*std::move(broken));
  return domain;
}

Result<std::string> ToEhloName(std::string_view name) {
  std::string_view ip = name;
  const bool bracketed = ip.size() >= 2 && ip.front() == '[' && ip.back() == ']';
  if (bracketed) ip = ip.substr(1, ip.size() - 2);
  const bool tagged = ConsumeIpv6Tag(ip);
  auto literal = ToLiteral(ip);
  if (literal && (!tagged || literal->find(':') != std::string::npos)) return *std::move(literal);
  if (bracketed) return Invalid("the address literal is not an IP address");
  return ToAsciiDomain(name);
}

}  // namespace sendstep::base
