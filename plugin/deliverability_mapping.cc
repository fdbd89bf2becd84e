#include "plugin/deliverability_mapping.h"

#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "transport/base/address.h"

namespace sendstep::plugin {
namespace {

// A record may hold any bytes; text of the contract is UTF-8, and a terminal obeys controls.
std::string Shown(const std::string& text) {
  return base::HasControlCharacter(text) ? absl::CHexEscape(text) : text;
}

v1::CanPass ToCanPass(doctor::CanPass can) {
  switch (can) {
    case doctor::CanPass::kYes:
      return v1::CAN_PASS_YES;
    case doctor::CanPass::kNo:
      return v1::CAN_PASS_NO;
    case doctor::CanPass::kUnknown:
      break;
  }
  return v1::CAN_PASS_UNKNOWN;
}

v1::ReceiverAction ToAction(doctor::ReceiverAction action) {
  switch (action) {
    case doctor::ReceiverAction::kNothing:
      return v1::RECEIVER_ACTION_NOTHING;
    case doctor::ReceiverAction::kSpamFolder:
      return v1::RECEIVER_ACTION_SPAM_FOLDER;
    case doctor::ReceiverAction::kRefuse:
      return v1::RECEIVER_ACTION_REFUSE;
    case doctor::ReceiverAction::kUnknown:
      break;
  }
  return v1::RECEIVER_ACTION_UNKNOWN;
}

v1::DnsSeverity ToSeverity(doctor::Severity severity) {
  switch (severity) {
    case doctor::Severity::kError:
      return v1::DNS_SEVERITY_ERROR;
    case doctor::Severity::kWarning:
      return v1::DNS_SEVERITY_WARNING;
    case doctor::Severity::kInfo:
      break;
  }
  return v1::DNS_SEVERITY_INFO;
}

v1::DnsAction ToAction(doctor::Fix::Action action) {
  switch (action) {
    case doctor::Fix::Action::kAdd:
      return v1::DNS_ACTION_ADD;
    case doctor::Fix::Action::kReplace:
      return v1::DNS_ACTION_REPLACE;
    case doctor::Fix::Action::kRemove:
      break;
  }
  return v1::DNS_ACTION_REMOVE;
}

void AddIdentifier(const std::string& mechanism, const doctor::Identifier& identifier,
                   v1::Deliverability& out) {
  v1::AuthenticatedIdentifier& added = *out.add_identifiers();
  added.set_mechanism(mechanism);
  added.set_domain(identifier.domain);
  added.set_can_pass(ToCanPass(identifier.aligned));
  added.set_why(identifier.why);
}

void AddNode(const mailauth::SpfNode& node, v1::SpfNode& out) {
  out.set_domain(node.domain);
  out.set_via(node.via);
  out.set_record(Shown(node.record));
  out.set_lookups(static_cast<uint32_t>(node.lookups));
  out.set_dead(node.dead);
  for (const mailauth::SpfNode& child : node.children) AddNode(child, *out.add_children());
}

void AddRecords(const doctor::Facts& facts, v1::Deliverability& out) {
  AddNode(facts.spf.root, *out.mutable_spf());
  for (const mailauth::DkimSelector& selector : facts.dkim) {
    v1::DkimSelectorSeen& seen = *out.add_dkim();
    seen.set_name(selector.name);
    seen.set_found(selector.answer.found());
    seen.set_usable(selector.usable());
    for (const std::string& alias : selector.answer.aliases) seen.add_aliases(Shown(alias));
  }
  v1::DmarcSeen& policy = *out.mutable_dmarc_policy();
  policy.set_name(facts.dmarc.record_name);
  policy.set_record(Shown(facts.dmarc.record_text));
  if (facts.dmarc.determined) {
    policy.set_policy(std::string(mailauth::DmarcPolicyName(facts.dmarc.effective)));
  }
  policy.set_organizational_domain(facts.dmarc.organizational_domain);
}

}  // namespace

v1::Deliverability ToDeliverability(const doctor::Diagnosis& diagnosis) {
  v1::Deliverability out;
  out.set_domain(diagnosis.facts.question.from_domain);
  out.set_dmarc(ToCanPass(diagnosis.verdict.dmarc));
  out.set_if_it_fails(ToAction(diagnosis.verdict.if_it_fails));
  out.set_summary(diagnosis.verdict.summary);
  AddIdentifier("spf", diagnosis.verdict.spf, out);
  AddIdentifier("dkim", diagnosis.verdict.dkim, out);
  for (const mailauth::Problem& problem : diagnosis.findings) {
    v1::DnsFinding& added = *out.add_findings();
    added.set_severity(ToSeverity(problem.severity));
    added.set_id(problem.id);
    added.set_name(problem.name);
    added.set_message(Shown(problem.message));
    added.set_what_to_do(Shown(problem.what_to_do));
  }
  for (const doctor::Fix& fix : diagnosis.fixes) {
    v1::DnsFix& added = *out.add_fixes();
    added.set_action(ToAction(fix.action));
    added.set_type(fix.type);
    added.set_name(fix.name);
    added.set_value(Shown(fix.value));
    added.set_from_account(fix.from_account);
    added.set_why(fix.why);
    added.set_doc_url(fix.doc_url);
  }
  AddRecords(diagnosis.facts, out);
  out.set_provider(doctor::ProviderOf(diagnosis.facts.question));
  out.set_queries(static_cast<uint32_t>(diagnosis.facts.queries));
  return out;
}

}  // namespace sendstep::plugin
