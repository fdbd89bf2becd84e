#include "plugin/oauth2.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "transport/base/base64.h"
#include "transport/base/utf8.h"

namespace sendstep::plugin {
namespace {

using base::ErrorClass;
using google::protobuf::Struct;
using std::chrono::seconds;

constexpr seconds kAssertionLife{3600};
// Where the answer has no expires_in, and the longest that is believed.
constexpr seconds kUsualLife{300};
constexpr seconds kMaxLife{86400};
// As providers/resolve_credentials takes them.
constexpr size_t kMaxTokenBytes = 8192;

std::string_view Text(const Struct& object, const char* name) {
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? std::string_view() : found->second.string_value();
}

// False: no JSON object.
bool Parse(std::string_view json, Struct& object) {
  return google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, &object).ok();
}

std::string Json(const Struct& object) {
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(object, &text);
  return status.ok() ? text : "";
}

// RFC 7515 2.
std::string Base64Url(std::string_view bytes) {
  std::string text;
  base::AppendBase64(bytes, text);
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(std::min(text.find('='), text.size()));
  return text;
}

// application/x-www-form-urlencoded, with nothing bare but RFC 3986's unreserved characters.
void AppendField(std::string_view name, std::string_view value, std::string& form) {
  constexpr char kHex[] = "0123456789ABCDEF";
  if (!form.empty()) form += '&';
  form.append(name).append("=");
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        std::string_view("-._~").find(c) != std::string_view::npos) {
      form += c;
    } else {
      form.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
}

base::Secret TakeSecret(std::string& text) {
  base::Secret secret(text);
  base::Wipe(text);
  return secret;
}

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// Null: none that RS256 can use.
Key ReadKey(const base::Secret& pem) {
  const std::string_view text = pem.Reveal();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  // Never asks a terminal for the password of an encrypted key.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr), EVP_PKEY_free);
  if (key && EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA) key.reset();
  return key;
}

std::string Rs256(EVP_PKEY* key, std::string_view text) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string signature(static_cast<size_t>(EVP_PKEY_size(key)), '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     bytes, text.size()) != 1) {
    return "";
  }
  signature.resize(size);
  return signature;
}

}  // namespace

absl::StatusOr<ServiceAccountKey> ParseServiceAccountKey(const base::Secret& json) {
  Struct object;
  if (!Parse(json.Reveal(), object)) return absl::InvalidArgumentError("it is no JSON object");
  ServiceAccountKey key;
  key.client_email = Text(object, "client_email");
  key.private_key_id = Text(object, "private_key_id");
  key.token_uri = Text(object, "token_uri");
  key.private_key = base::Secret(Text(object, "private_key"));
  if (key.client_email.empty()) return absl::InvalidArgumentError("it has no client_email");
  if (!ReadKey(key.private_key)) {
    return absl::InvalidArgumentError("its private_key is no RSA key in PEM");
  }
  return key;
}

std::optional<net::HttpsRequest> ParseTokenUrl(std::string_view url) {
  static const re2::RE2& pattern = *new re2::RE2(
      R"((?i:https)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::([0-9]{1,5}))?(/[!"$-~]*)?)");
  net::HttpsRequest request;
  std::string v6, name, port, target;
  if (!re2::RE2::FullMatch({url.data(), url.size()}, pattern, &v6, &name, &port, &target)) {
    return std::nullopt;
  }
  uint32_t number = 443;
  if (!port.empty() && (!absl::SimpleAtoi(port, &number) || number == 0 || number > 65535)) {
    return std::nullopt;
  }
  request.host = v6.empty() ? name : v6;
  request.port = static_cast<uint16_t>(number);
  if (!target.empty()) request.target = target;
  return request;
}

absl::StatusOr<base::Secret> SignAssertion(const ServiceAccountKey& key, const std::string& subject,
                                           const std::string& scope, const std::string& audience,
                                           std::chrono::system_clock::time_point now) {
  const Key signer = ReadKey(key.private_key);
  if (!signer) return absl::InvalidArgumentError("the private key is no RSA key in PEM");
  Struct header, claims;
  const auto set = [](Struct& object, const char* name, const std::string& value) {
    if (!value.empty()) (*object.mutable_fields())[name].set_string_value(value);
  };
  set(header, "alg", "RS256");
  set(header, "typ", "JWT");
  set(header, "kid", key.private_key_id);
  set(claims, "iss", key.client_email);
  set(claims, "sub", subject);
  set(claims, "scope", scope);
  set(claims, "aud", audience);
  const auto issued = std::chrono::floor<seconds>(now.time_since_epoch());
  (*claims.mutable_fields())["iat"].set_number_value(static_cast<double>(issued.count()));
  (*claims.mutable_fields())["exp"].set_number_value(
      static_cast<double>((issued + kAssertionLife).count()));
  std::string text = absl::StrCat(Base64Url(Json(header)), ".", Base64Url(Json(claims)));
  const std::string signature = Rs256(signer.get(), text);
  if (signature.empty()) return absl::InternalError("OpenSSL cannot sign with the private key");
  absl::StrAppend(&text, ".", Base64Url(signature));
  return TakeSecret(text);
}

base::Secret ClientCredentialsForm(std::string_view client_id, const base::Secret& client_secret,
                                   std::string_view scope) {
  std::string form;
  AppendField("grant_type", "client_credentials", form);
  AppendField("client_id", client_id, form);
  AppendField("client_secret", client_secret.Reveal(), form);
  if (!scope.empty()) AppendField("scope", scope, form);
  return TakeSecret(form);
}

base::Secret AssertionForm(const base::Secret& assertion) {
  std::string form;
  AppendField("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", form);
  AppendField("assertion", assertion.Reveal(), form);
  return TakeSecret(form);
}

base::Result<AccessToken> ReadTokenAnswer(const net::HttpsAnswer& answer) {
  Struct object;
  const bool json = Parse(answer.body.Reveal(), object);
  if (answer.status != 200) {
    // As it is not ours, it is repeated only where it is a code (5.2).
    const std::string error(Text(object, "error"));
    const bool code = re2::RE2::FullMatch(error, "[a-z_]{1,40}");
    // A gateway's word, and not the endpoint's.
    const bool gateway = !code && (answer.status == 403 || answer.status == 408);
    const bool passing = answer.status >= 500 || answer.status == 429 || gateway ||
                         error == "temporarily_unavailable" || error == "server_error";
    return TokenNotFetched(passing ? ErrorClass::kTransient : ErrorClass::kPermanent,
                           code ? error : absl::StrCat("HTTP status ", answer.status));
  }
  if (!json) return TokenNotFetched(ErrorClass::kTransient, "the answer is no JSON object");
  AccessToken token;
  const std::string_view text = Text(object, "access_token");
  if (text.empty() || text.size() > kMaxTokenBytes ||
      std::ranges::any_of(text, [](char c) { return c <= ' ' || c > '~'; })) {
    return TokenNotFetched(ErrorClass::kTransient, "the answer has no usable access_token");
  }
  token.token = base::Secret(text);
  token.life = kUsualLife;
  if (const auto life = object.fields().find("expires_in"); life != object.fields().end()) {
    // Some servers write it as a string.
    double number = life->second.number_value();
    if (life->second.has_string_value() &&
        !absl::SimpleAtod(life->second.string_value(), &number)) {
      number = 0;
    }
    if (number >= 1)
      token.life = seconds(
          static_cast<int64_t>(std::min<double>(number, static_cast<double>(kMaxLife.count()))));
  }
  return token;
}

base::Error TokenNotFetched(ErrorClass error_class, std::string_view why) {
  return base::Failed(base::Stage::kAuth, base::Cause::kTokenNotFetched, error_class,
                      "the relay's token could not be fetched: " + std::string(why));
}

}  // namespace sendstep::plugin
