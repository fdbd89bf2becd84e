#include "plugin/relays.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "plugin/oauth2.h"
#include "plugin/yaml_message.h"
#include "providers/sending_limits.h"
#include "transport/base/address.h"
#include "transport/mime/dkim_key.h"
#include "transport/net/tls_context.h"

namespace sendstep::plugin {
namespace {

constexpr int kMaxDkimKeys = 4;

bool IsRelayName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// Empty: there is none.
std::string ProxyFault(const relays::v1::Proxy& proxy) {
  if (!relays::v1::ProxyKind_IsValid(proxy.kind())) return "kind: there is no such kind";
  boost::system::error_code no_address;
  boost::asio::ip::make_address(proxy.host(), no_address);
  if (no_address) {
    const auto name = base::ToAsciiDomain(proxy.host());
    if (!name) return absl::StrCat("host: ", name.error().detail);
  }
  if (proxy.port() < 1 || proxy.port() > 65535) return "port: not from 1 to 65535";
  if (proxy.username().empty() != !proxy.has_password()) return "username and password go together";
  const bool http = proxy.kind() == relays::v1::PROXY_KIND_HTTP_CONNECT;
  if (http && absl::StrContains(proxy.username(), ':')) return "username: has a colon (RFC 7617 2)";
  if (!http && proxy.username().size() > 255) return "username: longer than 255 bytes (RFC 1929)";
  return "";
}

// All but the private keys, which are read at each use.
absl::Status CheckDkim(const std::string& where, const relays::v1::Relay& relay) {
  if (relay.dkim_size() > kMaxDkimKeys) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ".dkim: ", relay.dkim_size(), " keys; the limit is ", kMaxDkimKeys));
  }
  std::set<std::pair<std::string, std::string>> names;
  for (int i = 0; i < relay.dkim_size(); ++i) {
    const relays::v1::DkimKey& key = relay.dkim(i);
    const std::string path = absl::StrCat(where, ".", DkimPath(i));
    const auto domain = base::ToAsciiDomain(key.domain());
    if (!domain) {
      return absl::InvalidArgumentError(absl::StrCat(path, ".domain: ", domain.error().detail));
    }
    if (!mime::IsDkimSelector(key.selector())) {
      return absl::InvalidArgumentError(absl::StrCat(
          path,
          ".selector: it is one to 63 letters, digits and hyphens, or several such with dots"));
    }
    if (key.private_key().source_case() == v1::Secret::SOURCE_NOT_SET) {
      return absl::InvalidArgumentError(absl::StrCat(path, ".private_key: it is missing"));
    }
    if (!names.emplace(*domain, key.selector()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": another key has this domain and selector"));
    }
  }
  return absl::OkStatus();
}

// What is wrong with a relay's oauth2, its field first; empty: nothing.
std::string OAuth2Fault(const relays::v1::Relay& relay) {
  const relays::v1::OAuth2& oauth2 = relay.oauth2();
  const auto missing = [](const v1::Secret& secret) {
    return secret.source_case() == v1::Secret::SOURCE_NOT_SET ||
           (secret.has_value() && secret.value().empty());
  };
  if (relay.smtp().username().empty()) return "smtp.username: oauth2 needs it";
  if (relay.smtp().has_password()) return "smtp.password: not together with oauth2";
  if (relay.smtp().has_oauth2_token()) return "smtp.oauth2_token: not together with oauth2";
  if (!oauth2.token_url().empty() && !ParseTokenUrl(oauth2.token_url())) {
    return "oauth2.token_url: it must be an https URL";
  }
  smtp::TlsSettings tls;
  tls.ca_pem = oauth2.ca_pem();
  if (!tls.ca_pem.empty() && !net::GetTlsContext(tls)) {
    return "oauth2.ca_pem: it holds no certificate";
  }
  if (oauth2.has_client_credentials()) {
    if (oauth2.token_url().empty()) return "oauth2.token_url: client_credentials need it";
    if (oauth2.client_credentials().client_id().empty()) {
      return "oauth2.client_credentials.client_id: it is missing";
    }
    if (missing(oauth2.client_credentials().client_secret())) {
      return "oauth2.client_credentials.client_secret: it is missing";
    }
    return "";
  }
  if (!oauth2.has_service_account()) {
    return "oauth2: it needs client_credentials or service_account";
  }
  if (missing(oauth2.service_account().key())) return "oauth2.service_account.key: it is missing";
  if (oauth2.service_account().subject().empty()) {
    return "oauth2.service_account.subject: it is missing";
  }
  return "";
}

absl::Status CheckRelay(const std::string& name, const relays::v1::Relay& relay) {
  const std::string where = absl::StrCat("relays.", name);
  if (!IsRelayName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": a relay's name has lower case letters, digits, \"-\" and \"_\""));
  }
  if (relay.smtp().has_default_from()) {
    const auto sender = base::ParseAddress(relay.smtp().default_from().email());
    if (!sender) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".smtp.default_from.email: ", sender.error().detail));
    }
  }
  for (const std::string& domain : relay.allowed_from_domains()) {
    const auto ascii = base::ToAsciiDomain(domain);
    if (!ascii) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".allowed_from_domains: ", ascii.error().detail));
    }
  }
  if (relay.has_proxy()) {
    const std::string fault = ProxyFault(relay.proxy());
    if (!fault.empty()) return absl::InvalidArgumentError(absl::StrCat(where, ".proxy.", fault));
  }
  if (const std::string fault = relay.has_oauth2() ? OAuth2Fault(relay) : ""; !fault.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".", fault));
  }
  const std::vector<std::string> faults = providers::LimitFaults(LimitsOf(relay));
  if (!faults.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".", faults.front()));
  }
  return CheckDkim(where, relay);
}

}  // namespace

std::string DkimPath(int index) { return absl::StrCat("dkim[", index, "]"); }

providers::LimitChoice LimitsOf(const relays::v1::Relay& relay) {
  return {.max_connections = relay.max_connections(),
          .max_mails_per_connection = relay.max_mails_per_connection(),
          .max_mails_per_second = relay.max_mails_per_second()};
}

absl::StatusOr<Relays> Relays::Load(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return absl::NotFoundError(absl::StrCat(file.string(), ": cannot be read"));
  Relays relays;
  if (absl::Status status = YamlToMessage(text.str(), file.string(), relays.file_); !status.ok()) {
    return status;
  }
  for (const auto& [name, relay] : relays.file_.relays()) {
    if (absl::Status status = CheckRelay(name, relay); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", status.message()));
    }
  }
  const std::string& chosen = relays.file_.default_relay();
  if (!chosen.empty() && relays.Find(chosen) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.string(), ": default_relay: there is no relay \"", chosen, "\""));
  }
  return relays;
}

const relays::v1::Relay* Relays::Find(std::string_view name) const {
  const auto found = file_.relays().find(std::string(name));
  return found == file_.relays().end() ? nullptr : &found->second;
}

std::vector<std::string> Relays::Names() const {
  std::vector<std::string> names;
  for (const auto& entry : file_.relays()) names.push_back(entry.first);
  std::ranges::sort(names);
  return names;
}

}  // namespace sendstep::plugin
