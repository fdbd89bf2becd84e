#include "transport/mailauth/spf_macro.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace sendstep::mailauth {
namespace {

constexpr size_t kMaxName = 253;
constexpr size_t kAllParts = 1000;  // more labels than a name can have
constexpr std::string_view kLetters = "slodipvh";
constexpr std::string_view kExplanationLetters = "crt";
constexpr std::string_view kDelimiters = ".-+,/_=";

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool Has(std::string_view set, char c) { return set.find(c) != std::string_view::npos; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || (Lower(c) >= 'a' && Lower(c) <= 'z'); }

// One piece of a macro-string: a run of literals, "%%", "%_", "%-", or "%{…}".
struct Piece {
  std::string_view text;  // as written
  std::string error;      // not empty: `text` is what is wrong
  char letter = 0;        // of "%{…}", lower case
  bool escaped = false;   // its letter is upper case: URL-escaped
  size_t parts = kAllParts;
  bool reversed = false;
  std::string_view delimiters = ".";

  bool literal() const { return !text.starts_with('%'); }
};

Piece Wrong(std::string_view text, std::string error) {
  Piece piece;
  piece.text = text;
  piece.error = std::move(error);
  return piece;
}

// Takes the number before "r" and the delimiters.
bool TakeParts(std::string_view& inside, Piece& piece) {
  if (inside.empty() || !IsDigit(inside.front())) return true;
  piece.parts = 0;
  for (; !inside.empty() && IsDigit(inside.front()); inside.remove_prefix(1)) {
    piece.parts = std::min(piece.parts * 10 + static_cast<size_t>(inside.front() - '0'), kAllParts);
  }
  return piece.parts > 0;
}

// `text` begins with "%{".
Piece ReadMacro(std::string_view text) {
  const size_t end = text.find('}');
  if (end == std::string_view::npos) return Wrong(text, "a macro lacks its \"}\"");
  Piece piece;
  piece.text = text.substr(0, end + 1);
  std::string_view inside = text.substr(2, end - 2);
  if (inside.empty()) return Wrong(piece.text, "a macro lacks its letter");
  piece.letter = Lower(inside.front());
  piece.escaped = piece.letter != inside.front();
  if (!Has(kLetters, piece.letter) && !Has(kExplanationLetters, piece.letter)) {
    return Wrong(piece.text, "there is no macro of this letter");
  }
  inside.remove_prefix(1);
  if (!TakeParts(inside, piece)) return Wrong(piece.text, "a macro cannot keep 0 parts");
  if (!inside.empty() && Lower(inside.front()) == 'r') {
    piece.reversed = true;
    inside.remove_prefix(1);
  }
  if (inside.find_first_not_of(kDelimiters) != std::string_view::npos) {
    return Wrong(piece.text, "after a macro's letter come a number, \"r\" and delimiters only");
  }
  if (!inside.empty()) piece.delimiters = inside;
  return piece;
}

// The piece that `text`, not empty, begins with.
Piece ReadPiece(std::string_view text) {
  if (text.starts_with("%{")) return ReadMacro(text);
  Piece piece;
  if (text.starts_with('%')) {
    piece.text = text.substr(0, 2);
    if (piece.text == "%%" || piece.text == "%_" || piece.text == "%-") return piece;
    return Wrong(piece.text, "\"%\" begins a macro here: write %{…}, %%, %_ or %-");
  }
  piece.text = text.substr(0, text.find('%'));
  return piece;
}

// Where `text` holds what no literal may be; its size: nowhere.
size_t FindNonLiteral(std::string_view text, bool blanks) {
  const auto odd = std::find_if(text.begin(), text.end(), [&](char c) {
    return (c < 0x21 || c > 0x7e) && !(blanks && c == ' ');
  });
  return static_cast<size_t>(odd - text.begin());
}

SpfFault FaultOf(std::string_view text, const Piece& piece) {
  return {static_cast<size_t>(piece.text.data() - text.data()), piece.text.size(), piece.error};
}

// Letters, digits and hyphens, none of these at an end, and not digits alone.
bool IsTopLabel(std::string_view label) {
  return !label.empty() && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) { return IsAlnum(c) || c == '-'; }) &&
         !std::all_of(label.begin(), label.end(), IsDigit);
}

std::string Nibbles(const boost::asio::ip::address_v6& ip) {
  std::string text;
  for (const unsigned char byte : ip.to_bytes()) {
    for (const int nibble : {byte >> 4, byte & 15}) {
      if (!text.empty()) text += '.';
      text += "0123456789ABCDEF"[nibble];
    }
  }
  return text;
}

std::string ValueOf(char letter, const SpfMacroValues& values) {
  switch (letter) {
    case 's':
      return values.local_part + "@" + values.sender_domain;
    case 'l':
      return values.local_part;
    case 'o':
      return values.sender_domain;
    case 'd':
      return values.domain;
    case 'i':
      return values.ip.is_v4() ? values.ip.to_string() : Nibbles(values.ip.to_v6());
    case 'p':
      return values.validated;
    case 'v':
      return values.ip.is_v4() ? "in-addr" : "ip6";
    case 'h':
      return values.helo;
    case 'c':
      return values.ip.to_string();
    case 'r':
      return values.receiver;
    case 't':
      return std::to_string(values.now);
    default:
      return {};
  }
}

std::vector<std::string_view> Split(std::string_view text, std::string_view delimiters) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find_first_of(delimiters);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// All but the unreserved characters of RFC 3986 2.3.
std::string UrlEscape(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    if (IsAlnum(c) || Has("-._~", c)) {
      escaped += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      escaped += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return escaped;
}

std::string Expand(const Piece& piece, const SpfMacroValues& values) {
  if (piece.literal()) return std::string(piece.text);
  if (piece.text == "%%") return "%";
  if (piece.text == "%_") return " ";
  if (piece.text == "%-") return "%20";
  const std::string value = ValueOf(piece.letter, values);
  std::vector<std::string_view> parts = Split(value, piece.delimiters);
  if (piece.reversed) std::reverse(parts.begin(), parts.end());
  if (parts.size() > piece.parts) {
    parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(piece.parts));
  }
  std::string joined(parts.front());
  for (size_t i = 1; i < parts.size(); ++i) joined.append(".").append(parts[i]);
  return piece.escaped ? UrlEscape(joined) : joined;
}

}  // namespace

std::optional<SpfFault> CheckSpfMacros(std::string_view text, SpfMacroUse use) {
  const bool explanation = use == SpfMacroUse::kExplanation;
  for (std::string_view rest = text; !rest.empty();) {
    const Piece piece = ReadPiece(rest);
    if (!piece.error.empty()) return FaultOf(text, piece);
    const auto offset = static_cast<size_t>(rest.data() - text.data());
    if (piece.literal()) {
      const size_t odd = FindNonLiteral(piece.text, explanation);
      if (odd < piece.text.size()) {
        return SpfFault{offset + odd, 1, "only visible ASCII characters may stand here"};
      }
    }
    if (!explanation && Has(kExplanationLetters, piece.letter)) {
      return SpfFault{offset, piece.text.size(),
                      "the macros c, r and t may stand in explanations only"};
    }
    rest.remove_prefix(piece.text.size());
  }
  return std::nullopt;
}

std::optional<SpfFault> CheckSpfDomainSpec(std::string_view text) {
  if (text.empty()) return SpfFault{0, 1, "a domain is missing"};
  if (auto fault = CheckSpfMacros(text, SpfMacroUse::kDomain)) return fault;
  Piece last;
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(last.text.size())) {
    last = ReadPiece(rest);
  }
  if (!last.literal()) return std::nullopt;
  std::string_view end = last.text;
  if (end.ends_with('.')) end.remove_suffix(1);
  const size_t dot = end.rfind('.');
  const std::string_view top = dot == std::string_view::npos ? end : end.substr(dot + 1);
  const auto offset = static_cast<size_t>(top.data() - text.data());
  if (dot == std::string_view::npos) {
    return SpfFault{offset, std::max<size_t>(top.size(), 1),
                    "a domain has a dot, and a name like \"com\" behind it"};
  }
  if (IsTopLabel(top)) return std::nullopt;
  return SpfFault{offset, std::max<size_t>(top.size(), 1),
                  "a domain cannot end like this: its last label has letters, digits and inner "
                  "hyphens, not digits alone"};
}

bool UsesSpfMacro(std::string_view text, std::string_view letters) {
  while (!text.empty()) {
    const Piece piece = ReadPiece(text);
    if (Has(letters, piece.letter)) return true;
    text.remove_prefix(piece.text.size());
  }
  return false;
}

std::string ExpandSpfMacros(std::string_view text, const SpfMacroValues& values) {
  std::string expanded;
  while (!text.empty()) {
    const Piece piece = ReadPiece(text);
    expanded += Expand(piece, values);
    text.remove_prefix(piece.text.size());
  }
  return expanded;
}

std::string ExpandSpfDomain(std::string_view text, const SpfMacroValues& values) {
  const std::string expanded = ExpandSpfMacros(text, values);
  std::string_view name = expanded;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kMaxName) {
    const size_t dot = name.find('.', name.size() - kMaxName - 1);
    // Without one, a single label is too long: there is no such name, cut or not.
    name.remove_prefix(dot == std::string_view::npos ? name.size() - kMaxName : dot + 1);
  }
  return std::string(name);
}

std::string ReverseName(const boost::asio::ip::address& ip) {
  SpfMacroValues values;
  values.ip = ip;
  return ExpandSpfMacros("%{ir}.%{v}.arpa", values);
}

}  // namespace sendstep::mailauth
