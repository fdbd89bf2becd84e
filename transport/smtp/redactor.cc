#include "transport/smtp/redactor.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "transport/base/address.h"
#include "transport/smtp/sasl.h"

namespace sendstep::smtp {
namespace {

constexpr size_t kMinRawBytes = 4;
constexpr size_t kLongFormBytes = 24;
constexpr size_t kPieceBytes = sizeof(uint64_t);

uint64_t Piece(std::string_view text, size_t at) {
  uint64_t piece;
  std::memcpy(&piece, text.data() + at, sizeof(piece));
  return piece;
}

}  // namespace

Redactor::Redactor(const std::optional<Credentials>& credentials) {
  if (!credentials) return;
  // LOGIN says the username in base64; that form stands for nobody's reading.
  Add(EncodeBase64(credentials->username));
  if (credentials->username_is_secret) AddRaw(credentials->username);
  if (!credentials->password.empty()) {
    AddRaw(credentials->password.Reveal());
    Add(EncodeBase64(credentials->password.Reveal()));
    Add(EncodeBase64(PlainMessage(*credentials).Reveal()));
  }
  if (!credentials->oauth2_token.empty()) {
    AddRaw(credentials->oauth2_token.Reveal());
    Add(EncodeBase64(credentials->oauth2_token.Reveal()));
    Add(EncodeBase64(XOAuth2Message(*credentials).Reveal()));
    Add(EncodeBase64(OAuthBearerMessage(*credentials).Reveal()));
  }
  std::sort(pieces_.begin(), pieces_.end());
}

Redactor::~Redactor() { OPENSSL_cleanse(pieces_.data(), pieces_.size() * sizeof(uint64_t)); }

void Redactor::AddRaw(std::string_view secret) {
  if (secret.size() >= kMinRawBytes) Add(base::Secret(secret));
}

void Redactor::Add(base::Secret form) {
  const std::string_view text = form.Reveal();
  if (text.empty()) return;
  for (size_t i = 0; text.size() >= kLongFormBytes && i + kPieceBytes <= text.size(); ++i) {
    pieces_.push_back(Piece(text, i));
  }
  forms_.push_back(std::move(form));
}

size_t Redactor::Match(std::string_view text, size_t at) const {
  size_t matched = 0;
  for (const base::Secret& form : forms_) {
    if (text.substr(at).starts_with(form.Reveal())) {
      matched = std::max(matched, form.Reveal().size());
    }
  }
  for (size_t i = at; i + kPieceBytes <= text.size(); ++i) {
    if (!std::binary_search(pieces_.begin(), pieces_.end(), Piece(text, i))) break;
    matched = std::max(matched, i + kPieceBytes - at);
  }
  return matched;
}

std::string Redactor::Redact(std::string_view text) const {
  if (forms_.empty()) return std::string(text);
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const size_t secret = Match(text, at);
    if (secret == 0) {
      shown += text[at++];
      continue;
    }
    if (!shown.ends_with(kRedacted)) shown += kRedacted;
    at += secret;
  }
  return shown;
}

std::string Redactor::Line(std::string_view text) const {
  std::string line = Redact(text);
  const bool utf8 = base::IsUtf8(line);
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) c = '?';
  }
  return line;
}

base::Reply Redactor::Redact(base::Reply reply) const {
  for (std::string& line : reply.lines) line = Redact(line);
  return reply;
}

}  // namespace sendstep::smtp
