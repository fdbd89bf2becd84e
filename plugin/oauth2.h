// OAuth 2.0 as far as a relay needs it: what is asked of a token endpoint, and what its answer
// means. No waiting, no network.
#ifndef SENDSTEP_PLUGIN_OAUTH2_H_
#define SENDSTEP_PLUGIN_OAUTH2_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "transport/base/result.h"
#include "transport/base/secret.h"
#include "transport/net/https_post.h"

namespace sendstep::plugin {

struct AccessToken {
  base::Secret token;
  std::chrono::seconds life{0};  // from when it was asked for
};

// A service account, out of its JSON key file.
struct ServiceAccountKey {
  std::string client_email;
  std::string private_key_id;
  std::string token_uri;
  base::Secret private_key;  // PEM, RSA
};

// The error says what is wrong with the file and repeats nothing of it.
absl::StatusOr<ServiceAccountKey> ParseServiceAccountKey(const base::Secret& json);

// Of an https URL without user and fragment. Nothing: it is none.
std::optional<net::HttpsRequest> ParseTokenUrl(std::string_view url);

// RFC 7523 3, RS256 (RFC 7518 3.3), valid for an hour. `subject` is the user that it acts for.
// The error: the key is none that can sign.
absl::StatusOr<base::Secret> SignAssertion(const ServiceAccountKey& key, const std::string& subject,
                                           const std::string& scope, const std::string& audience,
                                           std::chrono::system_clock::time_point now);

// Forms of the grants; an empty scope is left out.
base::Secret ClientCredentialsForm(std::string_view client_id, const base::Secret& client_secret,
                                   std::string_view scope);
base::Secret AssertionForm(const base::Secret& assertion);

// RFC 6749 5. Errors as TokenNotFetched().
base::Result<AccessToken> ReadTokenAnswer(const net::HttpsAnswer& answer);

// Stage::kAuth; `why` is an OAuth error code or a few words, which callers see.
base::Error TokenNotFetched(base::ErrorClass error_class, std::string_view why);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_OAUTH2_H_
