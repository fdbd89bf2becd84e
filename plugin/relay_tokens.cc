#include "plugin/relay_tokens.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/account.h"
#include "plugin/logging.h"
#include "plugin/oauth2.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
using base::Cause;
using base::ErrorClass;

// What callers may know of a failure on the way to the token endpoint.
base::Error Hidden(const base::Error& error) {
  switch (error.cause) {
    case Cause::kCancelled:
      return error;
    case Cause::kCertificate: {
      base::Error hidden = TokenNotFetched(ErrorClass::kPermanent,
                                           "the token endpoint's certificate is not trusted");
      hidden.cause = Cause::kCertificate;
      return hidden;
    }
    case Cause::kTimeout:
      return TokenNotFetched(ErrorClass::kTransient, "timeout");
    case Cause::kProtocol:
      return TokenNotFetched(ErrorClass::kTransient, "the answer makes no sense");
    default:
      return TokenNotFetched(ErrorClass::kTransient, "no connection");
  }
}

absl::StatusOr<net::HttpsRequest> MakeRequest(const std::string& relay,
                                              const relays::v1::OAuth2& oauth2) {
  const bool by_key = oauth2.has_service_account();
  const auto secret =
      by_key ? ReadSecret(oauth2.service_account().key(), relay, "oauth2.service_account.key")
             : ReadSecret(oauth2.client_credentials().client_secret(), relay,
                          "oauth2.client_credentials.client_secret");
  if (!secret) return absl::NotFoundError("the secret cannot be read");
  std::string url = oauth2.token_url();
  base::Secret form;
  if (by_key) {
    auto key = ParseServiceAccountKey(*secret);
    if (!key.ok()) return key.status();
    if (url.empty()) url = key->token_uri;
    auto assertion = SignAssertion(*key, oauth2.service_account().subject(), oauth2.scope(), url,
                                   std::chrono::system_clock::now());
    if (!assertion.ok()) return assertion.status();
    form = AssertionForm(*assertion);
  } else {
    form = ClientCredentialsForm(oauth2.client_credentials().client_id(), *secret, oauth2.scope());
  }
  auto request = ParseTokenUrl(url);
  if (!request) return absl::InvalidArgumentError("the token_uri is no https URL");
  request->form = std::move(form);
  request->ca_pem = oauth2.ca_pem();
  return *std::move(request);
}

// `oauth2` and the resolver outlive the call.
asio::awaitable<base::Result<AccessToken>> FetchToken(std::string relay,
                                                      const relays::v1::OAuth2& oauth2,
                                                      dns::Resolver& resolver,
                                                      base::Deadline deadline) {
  auto request = MakeRequest(relay, oauth2);
  if (!request.ok()) {
    Log(Level::kError, "token_not_fetched",
        {{"relay", relay}, {"detail", std::string(request.status().message())}});
    co_return TokenNotFetched(ErrorClass::kPermanent, "its settings or secret cannot be used");
  }
  const std::string host = request->host;
  const auto answer = co_await net::HttpsPost(*std::move(request), resolver, deadline);
  base::Result<AccessToken> token = answer ? ReadTokenAnswer(*answer) : Hidden(answer.error());
  if (token) {
    Log(Level::kInfo, "token_fetched",
        {{"relay", relay}, {"host", host}, {"life_seconds", token->life.count()}});
  } else {
    Log(Level::kError, "token_not_fetched",
        {{"relay", relay},
         {"host", host},
         {"http_status", answer ? answer->status : 0},
         {"detail", answer ? token.error().detail : answer.error().detail}});
  }
  co_return token;
}

}  // namespace

RelayTokens::RelayTokens(const asio::any_io_executor& executor, const Relays& relays,
                         dns::Resolver& resolver) {
  for (const std::string& name : relays.Names()) {
    const relays::v1::Relay& relay = *relays.Find(name);
    if (!relay.has_oauth2()) continue;
    auto fetch = [name, &oauth2 = relay.oauth2(), &resolver](base::Deadline deadline) {
      return FetchToken(name, oauth2, resolver, deadline);
    };
    sources_.try_emplace(name, std::make_shared<TokenSource>(executor, std::move(fetch)));
  }
}

TokenSource* RelayTokens::Find(const std::string& relay) const {
  const auto found = sources_.find(relay);
  return found == sources_.end() ? nullptr : found->second.get();
}

void RelayTokens::Stop() {
  for (const auto& [relay, source] : sources_) source->Stop();
}

}  // namespace sendstep::plugin
