// The parts of render.h that show what a server is: Describe's answer.
#include <google/protobuf/util/time_util.h>

#include <utility>
#include <vector>

#include "clients/cli/render.h"
#include "clients/cli/words.h"

namespace sendstep::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string Joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + Shown(word);
  return text;
}

void Add(Rows& rows, const char* name, std::string value) {
  if (!value.empty()) rows.push_back({name, std::move(value)});
}

// The first with the name, the others beneath it.
void AddEach(Rows& rows, const char* name,
             const google::protobuf::RepeatedPtrField<std::string>& lines) {
  for (int i = 0; i < lines.size(); ++i) rows.push_back({i == 0 ? name : "", Shown(lines[i])});
}

// As the profile says, else by the contract's rule.
std::string TlsOfPort(const v1::ProviderInfo& provider, uint32_t port) {
  for (const auto& p : provider.ports()) {
    if (p.port() == port) return p.tls() == v1::TLS_MODE_OFF ? "none" : LowerWord(p.tls());
  }
  if (port == 0) return "-";
  return port == 465 || port == 2465 || port == 8465 ? "implicit" : "starttls";
}

std::string UsernameForm(const v1::ProviderInfo& provider) {
  if (!provider.fixed_username().empty()) return Shown(provider.fixed_username()) + " (literally)";
  return Shown(provider.username_example());
}

std::string Megabytes(uint64_t bytes) {
  if (bytes >= 1024 * 1024 && bytes % (1024 * 1024) == 0) {
    return std::to_string(bytes / (1024 * 1024)) + " MiB";
  }
  return std::to_string(bytes) + " bytes";
}

Rows LimitRows(const v1::Limits& limits) {
  Rows rows;
  Add(rows, "recipients", std::to_string(limits.max_recipients()));
  Add(rows, "request", Megabytes(limits.max_request_bytes()));
  Add(rows, "message", Megabytes(limits.max_message_bytes()));
  Add(rows, "attachments", std::to_string(limits.max_attachments()));
  Add(rows, "extra headers", std::to_string(limits.max_headers()));
  if (limits.has_default_deadline()) {
    Add(rows, "default time",
        google::protobuf::util::TimeUtil::ToString(limits.default_deadline()));
  }
  if (limits.max_in_flight() > 0) {
    Add(rows, "at once", std::to_string(limits.max_in_flight()) + " calls");
    Add(rows, "", Megabytes(limits.max_in_flight_bytes()));
  }
  return rows;
}

}  // namespace

std::string RenderServer(const v1::DescribeResponse& answer, const Style& style) {
  std::string text = style.Strong(Shown(answer.name()) + " " + Shown(answer.version())) + "  " +
                     Joined(answer.api_versions()) + "\n";
  Rows rows;
  google::protobuf::RepeatedPtrField<std::string> providers;
  for (const auto& p : answer.providers()) *providers.Add() = p.id();
  Add(rows, "providers", Joined(providers));
  Add(rows, "relays", Joined(answer.relays()));
  Add(rows, "default relay", Shown(answer.default_relay()));
  text += Table(rows, "  ");
  if (answer.has_limits()) {
    text += style.Strong("limits") + "\n" + Table(LimitRows(answer.limits()), "  ");
  }
  if (!answer.has_sandbox()) return text;
  text += style.Strong("sandbox") + "  " + Shown(answer.sandbox().maildir()) + "\n";
  Rows behaviors;
  for (const auto& b : answer.sandbox().behaviors()) {
    behaviors.push_back({Shown(b.local_part()) + "@...", Shown(b.description())});
  }
  return text + Table(behaviors, "  ");
}

std::string RenderProviders(const v1::DescribeResponse& answer, const Style& style) {
  Rows rows = {{"PROVIDER", "HOST", "PORT", "TLS", "USERNAME"}};
  for (const auto& p : answer.providers()) {
    rows.push_back({Shown(p.id()), p.host().empty() ? "-" : Shown(p.host()),
                    p.default_port() == 0 ? "-" : std::to_string(p.default_port()),
                    TlsOfPort(p, p.default_port()), UsernameForm(p)});
  }
  const std::string table = Table(rows);
  const size_t end = table.find('\n');
  return style.Strong(table.substr(0, end)) + table.substr(end);
}

std::string RenderProvider(const v1::ProviderInfo& provider, const Style& style) {
  Rows rows;
  Add(rows, "aliases", Joined(provider.aliases()));
  Add(rows, "host", Shown(provider.host()));
  AddEach(rows, "hosts", provider.hosts());
  for (const auto& port : provider.ports()) {
    std::string line = std::to_string(port.port()) + " " + TlsOfPort(provider, port.port());
    if (port.port() == provider.default_port()) line += " (default)";
    rows.push_back({&port == &provider.ports(0) ? "ports" : "", line});
  }
  AddEach(rows, "regions", provider.regions());
  Add(rows, "mechanisms", Joined(provider.auth_mechanisms()));
  const std::string form = UsernameForm(provider);
  Add(rows, "username", form);
  Add(rows, form.empty() ? "username" : "", Shown(provider.username_help()));
  if (provider.username_is_secret()) Add(rows, "", "as secret as the password");
  Add(rows, "password", Shown(provider.password_help()));
  Add(rows, "domain", Shown(provider.domain_help()));
  AddEach(rows, "limits", provider.limits());
  AddEach(rows, "DNS", provider.dns_records());
  Add(rows, "mail domains", Joined(provider.mail_domains()));
  Add(rows, "see", Shown(provider.doc_url()));
  return style.Strong(Shown(provider.id())) + "  " + Shown(provider.title()) + "\n" +
         Table(rows, "  ");
}

}  // namespace sendstep::cli
