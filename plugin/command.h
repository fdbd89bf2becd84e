// What a request comes to once it has been checked: the values the use cases work on.
#ifndef SENDSTEP_PLUGIN_COMMAND_H_
#define SENDSTEP_PLUGIN_COMMAND_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "providers/finding.h"
#include "providers/resolve.h"
#include "transport/base/error.h"
#include "transport/mime/dkim_key.h"
#include "transport/mime/message.h"
#include "transport/smtp/envelope.h"

namespace sendstep::plugin {

class TokenSource;

// No caller is authenticated yet: all are one tenant.
inline constexpr std::string_view kTenant = "default";
// The ledger's space of Execute, and its Message-IDs'.
inline constexpr std::string_view kExecute = "execute";

// Whose SMTP account sends, resolved. Field paths of its findings are absolute
// ("config.smtp.port").
struct Account {
  providers::Resolved resolved;
  // The operator's relay that was used; empty: the caller's own settings.
  std::string relay;
  // The operator's default sandbox: any sender may be used, nothing leaves.
  bool is_sandbox = false;
  // The relay's keys that sign as the sender.
  std::vector<mime::DkimKey> dkim;
  // The relay has keys, and none of them does.
  bool no_dkim_key_fits = false;
  // Of keys that its provider signs with; for a diagnosis.
  std::vector<std::string> dkim_selectors;
  // Why DNS led to no server: the settings have no host.
  std::optional<base::Error> not_discovered;
  // Where the relay's tokens come from; null: the settings have all that a login takes.
  TokenSource* tokens = nullptr;
};

// One email with the account it leaves from. Use only when no finding is an error.
struct SendCommand {
  Account account;
  mime::Message message;
  smtp::Envelope envelope;
  // One per recipient of the envelope, as the request spelled it.
  std::vector<std::string> recipient_names;
  // The engine's key; empty: none.
  std::string request_id;
  // Sent to everyone or to nobody.
  bool all_or_nothing = false;
  // Also where an earlier attempt may have been delivered.
  bool resend_on_uncertain = false;
};

// A checked value, or what is wrong with it; warnings may accompany a good one.
template <class T>
struct Checked {
  T value;
  std::vector<providers::Finding> findings;

  bool ok() const {
    for (const providers::Finding& finding : findings) {
      if (finding.severity == providers::Severity::kError) return false;
    }
    return true;
  }
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_COMMAND_H_
