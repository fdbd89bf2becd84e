#include "transport/smtp/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stringprep.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "transport/base/base64.h"
#include "transport/smtp/sasl.h"

namespace sendstep::smtp {
namespace {

constexpr size_t kDigest = 32;  // bytes of SHA-256
constexpr size_t kMaxServerWords = 64;

using Digest = std::array<unsigned char, kDigest>;

// Cleared at the end of its life: from each of them the password could be guessed.
struct Key {
  Digest bytes = {};
  ~Key() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
std::string_view Text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

void Hmac(const Digest& key, std::string_view text, Digest& out) {
  HMAC(EVP_sha256(), key.data(), kDigest, Bytes(text), text.size(), out.data(), nullptr);
}

// What RFC 4013 makes of it. Where that forbids it, it stays: so it is stored, most likely, by a
// server that let it be chosen.
base::Secret Prepare(const base::Secret& text) {
  char* prepared = nullptr;
  const std::string_view given = text.Reveal();  // of a std::string: a zero follows
  const int result = stringprep_profile(given.data(), &prepared, "SASLprep", {});
  if (result != STRINGPREP_OK) return text;
  const std::string_view taken = prepared;
  base::Secret secret(taken);
  OPENSSL_cleanse(prepared, taken.size());
  std::free(prepared);
  return secret;
}

std::string Base64(std::string_view bytes) { return std::string(EncodeBase64(bytes).Reveal()); }

// Takes "NAME=value" and the comma behind it from `message`. Unset: that does not come next.
std::optional<std::string_view> Take(char name, std::string_view& message) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const size_t end = std::min(message.find(','), message.size());
  const std::string_view value = message.substr(2, end - 2);
  message.remove_prefix(std::min(end + 1, message.size()));
  return value;
}

std::optional<int> Number(std::string_view digits) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string SaslName(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == ',') {
      escaped += "=2C";
    } else if (c == '=') {
      escaped += "=3D";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

ScramClient::ScramClient(std::string_view username, const base::Secret& password,
                         ScramBinding binding, const ChannelBinding& channel, std::string nonce)
    : username_(SaslName(Prepare(base::Secret(username)).Reveal())),
      password_(Prepare(password)),
      binding_(binding),
      channel_(channel),
      nonce_(std::move(nonce)) {}

std::string ScramClient::Gs2Header() const {
  switch (binding_) {
    case ScramBinding::kBound:
      return "p=" + channel_.type + ",,";
    case ScramBinding::kPossible:
      return "y,,";
    case ScramBinding::kImpossible:
      return "n,,";
  }
  return "n,,";
}

std::string ScramClient::FirstBare() const { return "n=" + username_ + ",r=" + nonce_; }

std::string ScramClient::First() const { return Gs2Header() + FirstBare(); }

std::optional<std::string> ScramClient::Fail(std::string why) {
  failure_ = std::move(why);
  return std::nullopt;
}

std::optional<std::string> ScramClient::Final(std::string_view server_first) {
  std::string_view rest = server_first;
  const auto nonce = Take('r', rest);
  const auto salt_text = nonce ? Take('s', rest) : std::nullopt;
  const auto count_text = salt_text ? Take('i', rest) : std::nullopt;
  const auto salt = salt_text ? base::DecodeBase64(*salt_text) : std::nullopt;
  const auto count = count_text ? Number(*count_text) : std::nullopt;
  if (!count || !salt || salt->empty()) {
    return Fail("the server's answer is none of SCRAM (RFC 5802 7)");
  }
  // A nonce that is not ours and more: somebody repeats an earlier exchange.
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) {
    return Fail("the server answers another exchange than this one");
  }
  if (*count < kMinScramIterations || *count > kMaxScramIterations) {
    return Fail("the server asks for " + std::to_string(*count) + " iterations; " +
                std::to_string(kMinScramIterations) + " to " + std::to_string(kMaxScramIterations) +
                " are taken");
  }

  const std::string_view password = password_.Reveal();
  Key salted, client, stored, server, signature;
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), Bytes(*salt),
                    static_cast<int>(salt->size()), *count, EVP_sha256(), kDigest,
                    salted.bytes.data());
  Hmac(salted.bytes, "Client Key", client.bytes);
  Hmac(salted.bytes, "Server Key", server.bytes);
  EVP_Digest(client.bytes.data(), kDigest, stored.bytes.data(), nullptr, EVP_sha256(), nullptr);
  std::string header = Gs2Header();
  if (binding_ == ScramBinding::kBound) header += channel_.data;
  const std::string without_proof = "c=" + Base64(header) + ",r=" + std::string(*nonce);
  const std::string exchange = FirstBare() + "," + std::string(server_first) + "," + without_proof;
  Hmac(stored.bytes, exchange, signature.bytes);
  Key proof;
  for (size_t i = 0; i < kDigest; ++i) proof.bytes[i] = client.bytes[i] ^ signature.bytes[i];
  Hmac(server.bytes, exchange, signature.bytes);
  server_signature_ = Text(signature.bytes);
  return without_proof + ",p=" + Base64(Text(proof.bytes));
}

bool ScramClient::Verify(std::string_view server_final) {
  std::string_view rest = server_final;
  if (const auto error = Take('e', rest)) {
    failure_ = "the server says " + std::string(error->substr(0, kMaxServerWords));
    return false;
  }
  const auto verifier = Take('v', rest);
  const auto signature = verifier ? base::DecodeBase64(*verifier) : std::nullopt;
  verified_ = signature && !server_signature_.empty() &&
              signature->size() == server_signature_.size() &&
              CRYPTO_memcmp(signature->data(), server_signature_.data(), signature->size()) == 0;
  if (!verified_) failure_ = "the server does not prove that it knows the password";
  return verified_;
}

}  // namespace sendstep::smtp
