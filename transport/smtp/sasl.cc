#include "transport/smtp/sasl.h"

#include <openssl/evp.h>

#include <algorithm>

namespace sendstep::smtp {
namespace {

constexpr size_t kMaxStatusBytes = 32;

base::Secret TakeSecret(std::string& text) {
  base::Secret secret(text);
  base::Wipe(text);
  return secret;
}

// The value of "status" in XOAUTH2's error: {"status":"401","schemes":"bearer", ...}.
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

std::optional<std::string> DecodeBase64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0 || text.size() > kMaxAuthLineBytes) return std::nullopt;
  if (text.empty()) return std::string();
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (text.substr(0, text.size() - padding).find_first_not_of(kAlphabet) != text.npos) {
    return std::nullopt;
  }
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
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
  if (!credentials.oauth2_token.empty()) return {SaslMechanism::kXOAuth2};
  std::vector<SaslMechanism> fitting = preferred;
  std::erase(fitting, SaslMechanism::kXOAuth2);
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

base::Secret SaslExchange::Message() const {
  const base::Secret message = mechanism_ == SaslMechanism::kXOAuth2 ? XOAuth2Message(credentials_)
                                                                     : PlainMessage(credentials_);
  return EncodeBase64(message.Reveal());
}

base::Secret SaslExchange::Command() const {
  const std::string command = "AUTH " + std::string(MechanismName(mechanism_));
  if (mechanism_ == SaslMechanism::kLogin) return base::Secret(command + "\r\n");
  const base::Secret initial = Message();
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
  if (mechanism_ == SaslMechanism::kXOAuth2) {
    const std::string json = DecodeBase64(challenge).value_or("");
    if (json.find('{') != std::string::npos && failure_.empty()) {
      const std::string status = JsonStatus(json);
      failure_ =
          status.empty() ? "the token was refused" : "the token was refused, status " + status;
      return base::Secret();
    }
  }
  // The server did not take the initial response, or there was none.
  if (step == 0) return Message();
  return std::nullopt;
}

}  // namespace sendstep::smtp
