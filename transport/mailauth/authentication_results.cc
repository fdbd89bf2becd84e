#include "transport/mailauth/authentication_results.h"

#include <algorithm>
#include <utility>

#include "transport/mailauth/tag_list.h"

namespace sendstep::mailauth {
namespace {

constexpr size_t kMaxBytes = 64 * 1024;
constexpr size_t kMaxResults = 50;
constexpr size_t kMaxProperties = 50;

// A word, a quoted string, a comment or one of ";=" of the field.
struct Token {
  enum Kind { kEnd, kWord, kComment, kSemicolon, kEquals } kind = kEnd;
  std::string text;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token Next() {
    while (!text_.empty() && IsBlank(text_.front())) text_.remove_prefix(1);
    if (text_.empty()) return {};
    switch (text_.front()) {
      case ';':
        text_.remove_prefix(1);
        return {Token::kSemicolon, ";"};
      case '=':
        text_.remove_prefix(1);
        return {Token::kEquals, "="};
      case '(':
        return {Token::kComment, Comment()};
      case '"':
        return {Token::kWord, QuotedString()};
      default:
        return {Token::kWord, Word()};
    }
  }

 private:
  static bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  // Nested ones are part of it (RFC 5322 3.2.2).
  std::string Comment() {
    std::string text;
    int depth = 0;
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c == '\\' && !text_.empty()) {
        text += text_.front();
        text_.remove_prefix(1);
        continue;
      }
      if (c == '(' && depth++ == 0) continue;
      if (c == ')' && --depth == 0) break;
      text += IsBlank(c) ? ' ' : c;
    }
    return text;
  }

  std::string QuotedString() {
    std::string text;
    text_.remove_prefix(1);
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"') break;
      if (c == '\\' && !text_.empty()) {
        text += text_.front();
        text_.remove_prefix(1);
      } else {
        text += c;
      }
    }
    return text;
  }

  // A value may hold "=" itself (base64), which ends a name only.
  std::string Word() {
    const size_t end = std::min(text_.find_first_of(" \t\r\n;=(\""), text_.size());
    std::string text(text_.substr(0, end));
    text_.remove_prefix(end);
    return text;
  }

  std::string_view text_;
};

std::vector<Token> Tokens(std::string_view value) {
  Lexer lexer(value.substr(0, kMaxBytes));
  std::vector<Token> tokens;
  do {
    tokens.push_back(lexer.Next());
  } while (tokens.back().kind != Token::kEnd);
  return tokens;
}

bool IsMethod(const std::string& name) {
  constexpr std::string_view kMethods[] = {
      "spf",       "dkim",       "dmarc",     "arc", "auth",  "iprev", "bimi", "compauth",
      "dkim-adsp", "domainkeys", "sender-id", "vbr", "dnswl", "rrvs",  "smime"};
  return std::ranges::count(kMethods, name) > 0;
}

class Parser {
 public:
  explicit Parser(std::string_view value) : tokens_(Tokens(value)) {}

  AuthenticationResults Run() {
    SkipComments();
    // Who says so, and a version; some receivers leave both out.
    if (Is(Token::kWord) && !IsKind(1, Token::kEquals)) {
      out_.authserv_id = LowerAscii(Take().text);
      while (!Is(Token::kSemicolon) && !Is(Token::kEnd) && !IsKind(1, Token::kEquals)) Take();
    }
    while (!Is(Token::kEnd)) Statement();
    return std::move(out_);
  }

 private:
  bool IsKind(size_t ahead, Token::Kind kind) const {
    return at_ + ahead < tokens_.size() && tokens_[at_ + ahead].kind == kind;
  }
  bool Is(Token::Kind kind) const { return IsKind(0, kind); }
  Token Take() { return Is(Token::kEnd) ? Token() : tokens_[at_++]; }
  void SkipComments() {
    while (Is(Token::kComment)) Take();
  }

  void Statement() {
    const Token token = Take();
    if (token.kind == Token::kComment && !out_.results.empty()) {
      AddReason(token.text);
    } else if (token.kind == Token::kWord && Is(Token::kEquals)) {
      Take();
      Pair(token.text, Value());
    }
  }

  // Of a pair: a word, with the "=" that is part of it.
  std::string Value() {
    SkipComments();
    std::string value;
    if (Is(Token::kWord)) value = Take().text;
    while (Is(Token::kEquals)) {
      Take();
      value += "=";
      if (Is(Token::kWord) && !IsKind(1, Token::kEquals)) value += Take().text;
    }
    return value;
  }

  void Pair(const std::string& name, std::string value) {
    const std::string lower = LowerAscii(name);
    const std::string method = lower.substr(0, lower.find('/'));
    if (IsMethod(method)) {
      if (out_.results.size() < kMaxResults) {
        out_.results.push_back({method, LowerAscii(value), {}, {}});
      }
    } else if (out_.results.empty()) {
      return;
    } else if (lower == "reason") {
      AddReason(value);
    } else if (out_.results.back().properties.size() < kMaxProperties) {
      out_.results.back().properties.push_back({lower, std::move(value)});
    }
  }

  void AddReason(const std::string& text) {
    std::string& reason = out_.results.back().reason;
    if (!reason.empty()) reason += "; ";
    reason += text;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  AuthenticationResults out_;
};

}  // namespace

std::string_view AuthResult::Property(std::string_view name) const {
  const auto found = std::ranges::find(properties, name, &AuthProperty::name);
  return found == properties.end() ? std::string_view() : found->value;
}

const AuthResult* AuthenticationResults::Find(std::string_view method) const {
  const AuthResult* first = nullptr;
  for (const AuthResult& result : results) {
    if (result.method != method) continue;
    if (result.result == "pass") return &result;
    if (first == nullptr) first = &result;
  }
  return first;
}

AuthenticationResults ParseAuthenticationResults(std::string_view value) {
  return Parser(value).Run();
}

}  // namespace sendstep::mailauth
