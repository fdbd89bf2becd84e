#include "plugin/describe.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <set>

#include "plugin/config_schema.h"
#include "plugin/limits.h"

namespace sendstep::plugin {
namespace {

using google::protobuf::util::TimeUtil;

v1::TlsMode TlsModeOf(profile::v1::TlsForm form) {
  switch (form) {
    case profile::v1::TLS_FORM_STARTTLS:
      return v1::TLS_MODE_STARTTLS;
    case profile::v1::TLS_FORM_IMPLICIT:
      return v1::TLS_MODE_IMPLICIT;
    case profile::v1::TLS_FORM_NONE:
      return v1::TLS_MODE_OFF;
    default:
      return v1::TLS_MODE_UNSPECIFIED;
  }
}

void AddDnsRecords(const profile::v1::Dns& dns, v1::ProviderInfo& out) {
  if (!dns.spf_include().empty()) out.add_dns_records("SPF: include:" + dns.spf_include());
  const auto add = [&out](const char* use, const auto& records) {
    for (const profile::v1::DnsRecord& record : records) {
      // "RECORD_TYPE_CNAME" -> "CNAME"
      const std::string type = profile::v1::RecordType_Name(record.type()).substr(12);
      const std::string target = record.target().empty() ? "" : " " + record.target();
      out.add_dns_records(use + record.name() + " " + type + target);
    }
  };
  add("DKIM: ", dns.dkim());
  add("DKIM, else: ", dns.dkim_else());
  add("Return path: ", dns.return_path());
}

v1::ProviderInfo ToProviderInfo(const providers::Profile& profile) {
  v1::ProviderInfo out;
  out.set_id(profile.id());
  out.set_title(profile.title());
  *out.mutable_aliases() = profile.aliases();
  out.set_host(profile.host().empty() ? profile.regions().host_template() : profile.host());
  std::set<std::string> hosts(profile.other_hosts().begin(), profile.other_hosts().end());
  std::set<std::string> regions(profile.regions().known().begin(), profile.regions().known().end());
  if (!profile.host().empty()) hosts.insert(profile.host());
  for (const auto& [region, host] : profile.regions().hosts()) {
    hosts.insert(host);
    regions.insert(region);
  }
  for (const std::string& host : hosts) out.add_hosts(host);
  for (const std::string& region : regions) out.add_regions(region);
  for (const profile::v1::Port& port : profile.ports()) {
    v1::PortInfo& info = *out.add_ports();
    info.set_port(port.number());
    info.set_tls(TlsModeOf(port.tls()));
  }
  out.set_default_port(profile.default_port());
  *out.mutable_auth_mechanisms() = profile.auth_mechanisms();
  out.set_username_help(profile.username().help());
  out.set_username_example(profile.username().example());
  out.set_username_is_secret(profile.username().secret());
  out.set_fixed_username(profile.username().fixed());
  out.set_password_help(profile.password().help());
  out.set_domain_help(profile.domain_help());
  *out.mutable_limits() = profile.limits();
  out.set_doc_url(profile.doc_url());
  *out.mutable_mail_domains() = profile.mail_domains();
  AddDnsRecords(profile.dns(), out);
  return out;
}

}  // namespace

v1::DescribeResponse Describe(const AccountCatalog& catalog, const InFlightLimits& in_flight) {
  v1::DescribeResponse out;
  out.set_name("sendstep");
  out.set_version(SENDSTEP_VERSION);
  out.add_api_versions("sendstep.v1");
  out.set_config_schema(ConfigSchema(*catalog.registry));
  for (const auto& profile : catalog.registry->profiles())
    *out.add_providers() = ToProviderInfo(*profile);

  v1::Limits& limits = *out.mutable_limits();
  limits.set_max_recipients(kMaxRecipients);
  limits.set_max_request_bytes(std::min(kMaxRequestBytes, in_flight.bytes));
  limits.set_max_message_bytes(kMaxEmailBytes);
  limits.set_max_attachments(kMaxAttachments);
  limits.set_max_headers(kMaxHeaders);
  *limits.mutable_default_deadline() = TimeUtil::SecondsToDuration(kDefaultDeadline.count());

  limits.set_max_in_flight(in_flight.calls);
  limits.set_max_in_flight_bytes(in_flight.bytes);

  for (const std::string& name : catalog.relays->Names()) out.add_relays(name);
  out.set_default_relay(catalog.relays->default_relay());
  if (catalog.sandbox == nullptr) return out;
  if (out.default_relay().empty()) out.set_default_relay("sandbox");
  out.mutable_sandbox()->set_maildir(catalog.sandbox->maildir().string());
  for (const providers::SandboxBehavior& behavior : providers::SandboxBehaviors()) {
    v1::SandboxBehavior& info = *out.mutable_sandbox()->add_behaviors();
    info.set_local_part(std::string(behavior.local_part));
    info.set_description(std::string(behavior.description));
  }
  return out;
}

}  // namespace sendstep::plugin
