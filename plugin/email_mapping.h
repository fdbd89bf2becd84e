// v1.Email -> message and envelope, every field checked.
#ifndef SENDSTEP_PLUGIN_EMAIL_MAPPING_H_
#define SENDSTEP_PLUGIN_EMAIL_MAPPING_H_

#include <string>
#include <vector>

#include "plugin/command.h"
#include "protos/sendstep/v1/email_action.pb.h"
#include "transport/mime/message.h"
#include "transport/smtp/envelope.h"

namespace sendstep::plugin {

// The recipients' own rules, which ValidateConfig needs without a body.
struct MappedRecipients {
  std::vector<mime::Mailbox> to, cc;
  std::vector<base::Address> envelope;  // To, Cc, Bcc in order, none twice
  std::vector<std::string> names;       // of the envelope's, as the request spelled them
};
Checked<MappedRecipients> MapRecipients(const v1::Email& email);

// The envelope without its recipients. Its sender is the one asked for, else From's address. `tls`:
// of the account.
Checked<smtp::Envelope> MapEnvelope(const v1::Email& email, const base::Address& from,
                                    const smtp::TlsSettings& tls);

// Subject, bodies, attachments, headers and thread. `from`, `to` and `cc` are left to the caller.
// Bodies and attachments are taken out of `email`, not copied.
Checked<mime::Message> MapContent(v1::Email& email);

// Limits of the provider that are known: recipients of one email. `count` of them are asked for.
void CheckProviderLimits(const providers::Profile* profile, size_t count,
                         std::vector<providers::Finding>& findings);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_EMAIL_MAPPING_H_
