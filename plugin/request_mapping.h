// The wire -> SendCommand. Everything a caller can get wrong is found here, all of it at once, with
// the path of the field; past this point nothing is validated again and no generated type is used.
#ifndef SENDSTEP_PLUGIN_REQUEST_MAPPING_H_
#define SENDSTEP_PLUGIN_REQUEST_MAPPING_H_

#include <optional>
#include <string>
#include <vector>

#include "plugin/account.h"
#include "plugin/command.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::plugin {

// Requests are taken by value, so that a caller who moves them in has nothing large copied.

Checked<SendCommand> MapExecute(v1::ExecuteRequest request, const AccountCatalog& catalog,
                                bool request_id_required);

// The email's recipients give way to `to`; without a body the test message's is sent.
Checked<SendCommand> MapTestSend(v1::TestSendRequest request, const AccountCatalog& catalog);

// Its depth is one that asks more than the settings themselves.
bool ReachesServer(const v1::ValidateConfigRequest& request);

// What ValidateConfig works on.
struct ValidateCommand {
  Account account;
  v1::SmtpConfig effective;
  // Set for VALIDATE_DEPTH_SENDER.
  std::optional<smtp::Envelope> envelope;
  std::vector<std::string> recipient_names;
  bool connect = false;
  // The From address and the envelope sender (none: the null reverse-path) whose deliverability is
  // asked for.
  std::optional<base::Address> diagnose_from, diagnose_sender;
};
Checked<ValidateCommand> MapValidate(v1::ValidateConfigRequest request,
                                     const AccountCatalog& catalog);

// At most kMaxRequestIdBytes of printable ASCII without blanks.
void CheckRequestId(const std::string& id, bool required,
                    std::vector<providers::Finding>& findings);

// The test message, as an email: what the reader should know about why it came.
v1::Email TestEmail();

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_REQUEST_MAPPING_H_
