#include "transport/smtp/sasl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "transport/base/base64.h"

namespace sendstep::smtp {
namespace {

constexpr size_t kMaxStatusBytes = 32;

base::Secret TakeSecret(std::string& text) {
  base::Secret secret(text);
  base::Wipe(text);
  return secret;
}

// The value of "status" in OAuth's error: {"status":"401","schemes":"bearer", ...}.
std::string JsonStatus(std::string_view json) {
  constexpr std::string_view kKey = "\"status\"";
  const size_t key = json.find(kKey);
  if (key == std::string_view::npos) return {};
  json.remove_prefix(key + kKey.size());
  json.remove_prefix(std::min(json.find_first_not_of(" \t:\""), json.size()));
  const auto is_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  };
  const auto end = std::find_if_not(json.begin(), json.end(), is_word);
  return std::string(json.begin(), end).substr(0, kMaxStatusBytes);
}

// Printable, without commas, never the same twice (RFC 5802 5.1).
std::string NewNonce() {
  std::array<unsigned char, 18> bytes = {};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("the system's random generator failed");
  }
  return std::string(
      EncodeBase64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}).Reveal());
}

// RFC 2195 2.
base::Secret CramMd5Message(const Credentials& credentials, std::string_view challenge) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::string_view password = credentials.password.Reveal();
  std::array<unsigned char, 16> digest = {};
  if (HMAC(EVP_md5(), password.data(), static_cast<int>(password.size()),
           reinterpret_cast<const unsigned char*>(challenge.data()), challenge.size(),
           digest.data(), nullptr) == nullptr) {
    throw std::runtime_error("OpenSSL computes no MD5");
  }
  std::string message = credentials.username + " ";
  for (const unsigned char byte : digest) message += {kHex[byte >> 4], kHex[byte & 15]};
  return TakeSecret(message);
}

bool HasControlByte(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

base::Secret EncodeBase64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return TakeSecret(text);
}

base::Secret PlainMessage(const Credentials& credentials) {
  std::string message;
  message.reserve(2 + credentials.username.size() + credentials.password.Reveal().size());
  message += '\0';
  message += credentials.username;
  message += '\0';
  message += credentials.password.Reveal();
  return TakeSecret(message);
}

base::Secret OAuthBearerMessage(const Credentials& credentials) {
  std::string message;
  message.reserve(48 + 3 * credentials.username.size() + credentials.oauth2_token.Reveal().size());
  message += "n,a=";
  message += SaslName(credentials.username);
  message +=
      ",\x01"
      "auth=Bearer ";
  message += credentials.oauth2_token.Reveal();
  message += "\x01\x01";
  return TakeSecret(message);
}

base::Secret XOAuth2Message(const Credentials& credentials) {
  std::string message;
  message.reserve(32 + credentials.username.size() + credentials.oauth2_token.Reveal().size());
  message += "user=";
  message += credentials.username;
  message +=
      "\x01"
      "auth=Bearer ";
  message += credentials.oauth2_token.Reveal();
  message += "\x01\x01";
  return TakeSecret(message);
}

std::vector<SaslMechanism> FittingMechanisms(const Credentials& credentials,
                                             const std::vector<SaslMechanism>& preferred) {
  const bool token = !credentials.oauth2_token.empty();
  std::vector<SaslMechanism> fitting = preferred;
  std::erase_if(fitting,
                [token](SaslMechanism mechanism) { return TakesToken(mechanism) != token; });
  return fitting;
}

base::Result<void> CheckCredentials(const Credentials& credentials) {
  const auto invalid = [](std::string_view what) {
    return base::Failed(base::Stage::kAuth, base::Cause::kInvalid, base::ErrorClass::kPermanent,
                        std::string(what) + " holds a control character");
  };
  if (HasControlByte(credentials.username)) return invalid("the username");
  if (HasControlByte(credentials.password.Reveal())) return invalid("the password");
  if (HasControlByte(credentials.oauth2_token.Reveal())) return invalid("the token");
  return {};
}

const ChannelBinding& SaslExchange::NoBinding() {
  static const ChannelBinding& none = *new ChannelBinding;
  return none;
}

SaslExchange::SaslExchange(SaslMechanism mechanism, const Credentials& credentials,
                           const ChannelBinding& channel, bool plus_offered)
    : mechanism_(mechanism), credentials_(credentials) {
  const bool plus = mechanism == SaslMechanism::kScramSha256Plus;
  if (!plus && mechanism != SaslMechanism::kScramSha256) return;
  // RFC 5802 6: "y" where the client could be bound and thinks that the server could not.
  const ScramBinding binding = plus                                   ? ScramBinding::kBound
                               : channel.type.empty() || plus_offered ? ScramBinding::kImpossible
                                                                      : ScramBinding::kPossible;
  scram_.emplace(credentials.username, credentials.password, binding, channel, NewNonce());
}

bool SaslExchange::HasInitialResponse() const {
  return mechanism_ != SaslMechanism::kLogin && mechanism_ != SaslMechanism::kCramMd5;
}

base::Secret SaslExchange::InitialResponse() const {
  switch (mechanism_) {
    case SaslMechanism::kScramSha256Plus:
    case SaslMechanism::kScramSha256:
      return EncodeBase64(scram_->First());
    case SaslMechanism::kOAuthBearer:
      return EncodeBase64(OAuthBearerMessage(credentials_).Reveal());
    case SaslMechanism::kXOAuth2:
      return EncodeBase64(XOAuth2Message(credentials_).Reveal());
    case SaslMechanism::kPlain:
    case SaslMechanism::kLogin:
    case SaslMechanism::kCramMd5:
      break;
  }
  return EncodeBase64(PlainMessage(credentials_).Reveal());
}

base::Secret SaslExchange::Command() const {
  const std::string command = "AUTH " + std::string(MechanismName(mechanism_));
  if (!HasInitialResponse()) return base::Secret(command + "\r\n");
  const base::Secret initial = InitialResponse();
  const size_t size = command.size() + 1 + initial.Reveal().size() + 2;
  if (size > kMaxAuthLineBytes) return base::Secret(command + "\r\n");
  std::string line;
  line.reserve(size);
  line += command;
  line += ' ';
  line += initial.Reveal();
  line += "\r\n";
  return TakeSecret(line);
}

std::optional<base::Secret> SaslExchange::Answer(std::string_view challenge) {
  const int step = answers_++;
  if (mechanism_ == SaslMechanism::kLogin) {
    if (step == 0) return EncodeBase64(credentials_.username);
    if (step == 1) return EncodeBase64(credentials_.password.Reveal());
    return std::nullopt;
  }
  const std::string words = base::DecodeBase64(challenge).value_or("");
  if (mechanism_ == SaslMechanism::kCramMd5) {
    if (step > 0 || words.empty()) return std::nullopt;
    return EncodeBase64(CramMd5Message(credentials_, words).Reveal());
  }
  // The server did not take the initial response, or there was none.
  if (step == 0 && words.empty()) return InitialResponse();
  if (scram_) return AnswerScram(words);
  if (TakesToken(mechanism_)) return AnswerOAuth(words);
  if (step == 0) return InitialResponse();
  return std::nullopt;
}

std::optional<base::Secret> SaslExchange::AnswerScram(const std::string& challenge) {
  if (scram_->answered()) {
    // Whatever it says, the server's verdict follows the empty line.
    scram_->Verify(challenge);
    return base::Secret();
  }
  const std::optional<std::string> final_message = scram_->Final(challenge);
  if (!final_message) return std::nullopt;
  return EncodeBase64(*final_message);
}

// RFC 7628 3.2.3 has the error answered by one byte 0x01, XOAUTH2 by an empty line; the refusal
// follows.
std::optional<base::Secret> SaslExchange::AnswerOAuth(const std::string& challenge) {
  if (!challenge.starts_with('{') || !failure_.empty()) return std::nullopt;
  const std::string status = JsonStatus(challenge);
  failure_ = status.empty() ? "the token was refused" : "the token was refused, status " + status;
  return mechanism_ == SaslMechanism::kOAuthBearer ? EncodeBase64("\x01") : base::Secret();
}

}  // namespace sendstep::smtp
