#include "plugin/request_mapping.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "plugin/email_mapping.h"
#include "plugin/limits.h"

namespace sendstep::plugin {
namespace {

using providers::Finding;
using providers::Severity;

void Append(std::vector<Finding>& to, std::vector<Finding> from) {
  std::ranges::move(from, std::back_inserter(to));
}

Finding Wrong(std::string field, std::string reason, std::string message) {
  return {Severity::kError, std::move(field), std::move(reason), std::move(message), {}, {}};
}

void CheckSize(size_t bytes, std::vector<Finding>& findings) {
  if (bytes <= kMaxRequestBytes) return;
  findings.push_back(Wrong("email", "LIMIT_EXCEEDED",
                           absl::StrCat("The request has ", bytes, " bytes; the limit is ",
                                        kMaxRequestBytes, " (40 MiB).")));
}

void CheckContext(const v1::Context& context, std::vector<Finding>& findings) {
  const std::pair<const char*, const std::string*> fields[] = {
      {"context.workflow_id", &context.workflow_id()},
      {"context.run_id", &context.run_id()},
      {"context.step_id", &context.step_id()}};
  for (const auto& [field, value] : fields) {
    if (value->size() > kMaxContextBytes) {
      findings.push_back(Wrong(field, "LIMIT_EXCEEDED",
                               absl::StrCat("Longer than ", kMaxContextBytes, " bytes.")));
    }
  }
}

Checked<SendCommand> MapSend(const v1::Config& config, v1::Email& email,
                             const std::string& request_id, bool id_required,
                             const v1::Context& context, const AccountCatalog& catalog) {
  Checked<SendCommand> result;
  std::vector<Finding>& findings = result.findings;
  SendCommand& command = result.value;
  CheckRequestId(request_id, id_required, findings);
  CheckContext(context, findings);
  command.request_id = request_id;

  Checked<MappedRecipients> recipients = MapRecipients(email);
  Checked<mime::Message> content = MapContent(email);
  Checked<AccountSource> source = FindAccount(config, catalog);
  const bool source_ok = source.ok();
  Append(findings, std::move(source.findings));
  if (source_ok) {
    Checked<mime::Mailbox> sender = ChooseSender(email, source.value);
    content.value.from = sender.value;
    const bool sender_ok = sender.ok();
    Append(findings, std::move(sender.findings));
    Checked<Account> account =
        ResolveAccount(source.value, catalog, sender_ok ? sender.value.address.domain() : "");
    command.account = std::move(account.value);
    Append(findings, std::move(account.findings));
  }
  Checked<smtp::Envelope> envelope =
      MapEnvelope(email, content.value.from.address, command.account.resolved.settings.tls);
  CheckProviderLimits(command.account.resolved.profile, recipients.value.envelope.size(), findings);
  Append(findings, std::move(recipients.findings));
  Append(findings, std::move(envelope.findings));
  Append(findings, std::move(content.findings));

  command.message = std::move(content.value);
  command.message.to = std::move(recipients.value.to);
  command.message.cc = std::move(recipients.value.cc);
  command.envelope = std::move(envelope.value);
  command.envelope.recipients = std::move(recipients.value.envelope);
  command.recipient_names = std::move(recipients.value.names);
  return result;
}

}  // namespace

void CheckRequestId(const std::string& id, bool required, std::vector<Finding>& findings) {
  if (id.empty() && required) {
    findings.push_back(
        {Severity::kError,
         "request_id",
         "REQUEST_ID_REQUIRED",
         "Missing: without it a retry would send the email again.",
         "Give each email an id of its own that is the same in every retry, such as the ids of "
         "workflow, run and step together.",
         {}});
  }
  if (id.size() > kMaxRequestIdBytes) {
    findings.push_back(Wrong("request_id", "LIMIT_EXCEEDED",
                             absl::StrCat("Longer than ", kMaxRequestIdBytes, " bytes.")));
  }
  if (!std::ranges::all_of(id, [](char c) { return c > ' ' && c < 0x7f; })) {
    findings.push_back(
        Wrong("request_id", "FIELD_INVALID", "Only printable ASCII without blanks."));
  }
}

Checked<SendCommand> MapExecute(v1::ExecuteRequest request, const AccountCatalog& catalog,
                                bool request_id_required) {
  const size_t bytes = request.ByteSizeLong();
  Checked<SendCommand> result =
      MapSend(request.config(), *request.mutable_email(), request.request_id(), request_id_required,
              request.context(), catalog);
  CheckSize(bytes, result.findings);
  if (!v1::DeliveryPolicy_IsValid(request.delivery())) {
    result.findings.push_back(Wrong("delivery", "FIELD_INVALID", "No such policy."));
  }
  result.value.all_or_nothing = request.delivery() == v1::DELIVERY_POLICY_ALL_OR_NOTHING;
  result.value.resend_on_uncertain = request.resend_on_uncertain();
  return result;
}

Checked<SendCommand> MapTestSend(v1::TestSendRequest request, const AccountCatalog& catalog) {
  const size_t bytes = request.ByteSizeLong();
  v1::Email& email = *request.mutable_email();
  const int named = email.to_size() + email.cc_size() + email.bcc_size();
  if (email.html().empty() && email.text().empty()) {
    const v1::Email test = TestEmail();
    if (email.subject().empty()) email.set_subject(test.subject());
    email.set_html(test.html());
    email.set_text(test.text());
  }
  const bool own_recipients = request.to_size() > 0;
  if (own_recipients) {
    email.clear_cc();
    email.clear_bcc();
    email.mutable_to()->Swap(request.mutable_to());
  }
  Checked<SendCommand> result = MapSend(request.config(), email, request.request_id(),
                                        /*id_required=*/false, request.context(), catalog);
  CheckSize(bytes, result.findings);
  if (!own_recipients && named > 0) return result;
  for (Finding& finding : result.findings) {
    // The recipients are the test's own.
    if (finding.field.starts_with("email.to")) finding.field.erase(0, std::string("email.").size());
  }
  return result;
}

bool ReachesServer(const v1::ValidateConfigRequest& request) {
  return request.depth() == v1::VALIDATE_DEPTH_SENDER ||
         request.depth() == v1::VALIDATE_DEPTH_CONNECT;
}

Checked<ValidateCommand> MapValidate(v1::ValidateConfigRequest request,
                                     const AccountCatalog& catalog) {
  Checked<ValidateCommand> result;
  std::vector<Finding>& findings = result.findings;
  ValidateCommand& command = result.value;
  const bool probe = request.depth() == v1::VALIDATE_DEPTH_SENDER;
  command.connect = ReachesServer(request);
  CheckContext(request.context(), findings);
  CheckSize(request.ByteSizeLong(), findings);
  if (!v1::ValidateDepth_IsValid(request.depth())) {
    findings.push_back(Wrong("depth", "FIELD_INVALID", "No such depth."));
  }

  Checked<AccountSource> source = FindAccount(request.config(), catalog);
  const bool source_ok = source.ok();
  Append(findings, std::move(source.findings));
  mime::Mailbox from;
  bool has_from = false;
  if (source_ok) {
    Checked<mime::Mailbox> sender = ChooseSender(request.email(), source.value);
    has_from = sender.ok();
    from = std::move(sender.value);
    // Settings alone need no sender; an email and a probe do.
    if (request.has_email() || probe || request.deliverability()) {
      Append(findings, std::move(sender.findings));
    }
    if (request.deliverability() && has_from) {
      command.diagnose_from = command.diagnose_sender = from.address;
    }
    Checked<Account> account =
        ResolveAccount(source.value, catalog, has_from ? from.address.domain() : "");
    command.account = std::move(account.value);
    Append(findings, std::move(account.findings));
    command.effective = EffectiveConfig(source.value, command.account);
    if (command.connect && command.account.resolved.ok() &&
        command.account.resolved.settings.ehlo_name.empty()) {
      findings.push_back(Wrong("config.smtp.domain", "FIELD_REQUIRED",
                               "No name for EHLO: neither a domain nor a sender is known."));
    }
  }
  if (!request.has_email() && !probe) return result;
  Checked<MappedRecipients> recipients = MapRecipients(request.email());
  Checked<smtp::Envelope> envelope =
      MapEnvelope(request.email(), from.address, command.account.resolved.settings.tls);
  CheckProviderLimits(command.account.resolved.profile, recipients.value.envelope.size(), findings);
  Append(findings, std::move(recipients.findings));
  if (command.diagnose_from && envelope.ok()) command.diagnose_sender = envelope.value.sender;
  Append(findings, std::move(envelope.findings));
  if (request.has_email()) {
    std::vector<Finding> content = MapContent(*request.mutable_email()).findings;
    // A probe needs no body.
    if (probe)
      std::erase_if(content, [](const Finding& f) {
        return f.reason == "FIELD_REQUIRED" && f.field == "email.html";
      });
    Append(findings, std::move(content));
  }
  if (probe) {
    command.envelope = std::move(envelope.value);
    command.envelope->recipients = std::move(recipients.value.envelope);
    command.recipient_names = std::move(recipients.value.names);
  }
  return result;
}

v1::Email TestEmail() {
  v1::Email email;
  email.set_subject("Test email from your workflow's Send Email step");
  email.set_text(
      "This is a test of the Send Email step of a workflow.\n\n"
      "That it reached you means that the step's SMTP settings work. If it came to the spam "
      "folder,\n"
      "look at the SPF, DKIM and DMARC records of the sender's domain.\n");
  email.set_html(
      "<p>This is a test of the <b>Send Email</b> step of a workflow.</p>"
      "<p>That it reached you means that the step's SMTP settings work. If it came to the spam "
      "folder, "
      "look at the SPF, DKIM and DMARC records of the sender's domain.</p>");
  return email;
}

}  // namespace sendstep::plugin
