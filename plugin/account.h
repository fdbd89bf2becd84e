// Which SMTP account a request means: the caller's own settings, an operator's relay by name, or
// the operator's default. Who may send as whom is decided here.
#ifndef SENDSTEP_PLUGIN_ACCOUNT_H_
#define SENDSTEP_PLUGIN_ACCOUNT_H_

#include <optional>
#include <string>

#include "plugin/command.h"
#include "plugin/relay_tokens.h"
#include "plugin/relays.h"
#include "protos/sendstep/v1/email_action.pb.h"
#include "providers/registry.h"
#include "providers/resolve.h"
#include "providers/sandbox/sandbox.h"

namespace sendstep::plugin {

// Where discover_domain leads: at most one of the two.
struct Discovery {
  std::optional<providers::DiscoveredServer> server;
  std::optional<base::Error> error;
};

// What the server offers to choose from. Everything outlives the call.
struct AccountCatalog {
  const providers::Registry* registry = nullptr;
  const Relays* relays = nullptr;
  const providers::Sandbox* sandbox = nullptr;  // null: none
  std::string ehlo_name;                        // the operator's; empty: none
  smtp::SendingLimits limits;                   // where neither relay nor profile says any
  const RelayTokens* tokens = nullptr;          // null: no relay fetches any
  Discovery discovery = {};                     // what the request's discover_domain led to
};

// Settings found, sender not yet known.
struct AccountSource {
  providers::SmtpConfig config;
  std::string relay;        // empty: the caller's own settings
  bool is_sandbox = false;  // the sandbox as default: any sender may be used
  const relays::v1::Relay* operator_relay = nullptr;  // null unless a relay was used
  std::optional<smtp::ProxySettings> proxy;           // the relay's
};

// The operator's secret; nothing when the reference leads nowhere, which the log then says of
// `field` of `relay`.
std::optional<base::Secret> ReadSecret(const v1::Secret& secret, const std::string& relay,
                                       const std::string& field);

// Errors: unknown relay, no default, a reference to a secret in what the caller sent, a relay's
// secret that cannot be read. Secrets of relays are read here, each time.
Checked<AccountSource> FindAccount(const v1::Config& config, const AccountCatalog& catalog);

// What has to be asked of DNS before the account is resolved; nothing where that needs nothing.
std::optional<providers::DiscoveryNeed> NeedsDiscovery(const v1::Config& config,
                                                       const AccountCatalog& catalog);

// From: the email's, else the account's default_from, else its username where that is an address,
// else an error. On a relay any other sender than its default needs its domain among the allowed
// ones, and so does `envelope_sender`, where one is asked for.
Checked<mime::Mailbox> ChooseSender(const v1::Email& email, const AccountSource& source);

// The account itself; `from_domain` may be empty when there is no sender. Its limits are the
// relay's, else the profile's, else the catalog's. The relay's DKIM keys for that domain are read
// here, each time; one that cannot be used is an error.
Checked<Account> ResolveAccount(const AccountSource& source, const AccountCatalog& catalog,
                                const std::string& from_domain);

// InvalidArgument names the first relay whose settings cannot work, a malformed key included. A
// secret that cannot be read is logged and no error: it may come later.
absl::Status CheckRelays(const AccountCatalog& catalog);

// What the settings come to, as ValidateConfig shows it: secrets blanked, a relay's username too.
v1::SmtpConfig EffectiveConfig(const AccountSource& source, const Account& account);

// The default sender while the sandbox is the default relay.
inline constexpr std::string_view kSandboxSender = "sendstep@sandbox.test";

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_ACCOUNT_H_
