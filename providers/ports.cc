#include "providers/ports.h"

#include "absl/strings/str_cat.h"

namespace sendstep::providers {

using profile::v1::Port;
using profile::v1::Profile;
using smtp::TlsPolicy;

namespace {

std::optional<TlsPolicy> PolicyOf(const Port& port) {
  switch (port.tls()) {
    case profile::v1::TLS_FORM_STARTTLS:
      return TlsPolicy::kStartTls;
    case profile::v1::TLS_FORM_IMPLICIT:
      return TlsPolicy::kImplicit;
    case profile::v1::TLS_FORM_NONE:
      return TlsPolicy::kNone;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<TlsPolicy> ProfileForm(const Profile& profile, uint16_t number) {
  for (const Port& port : profile.ports()) {
    if (port.number() == number) return PolicyOf(port);
  }
  return std::nullopt;
}

std::optional<TlsPolicy> UsualForm(uint16_t port) {
  switch (port) {
    case 465:
    case 2465:
    case 8465:
      return TlsPolicy::kImplicit;
    case 25:
    case 587:
    case 2525:
    case 2587:
      return TlsPolicy::kStartTls;
    default:
      return std::nullopt;
  }
}

TlsPolicy FormOf(const Profile& profile, uint16_t port) {
  if (const auto form = ProfileForm(profile, port)) return *form;
  return UsualForm(port).value_or(TlsPolicy::kStartTls);
}

uint16_t DefaultPort(const Profile& profile, std::optional<TlsPolicy> form) {
  const auto usual = static_cast<uint16_t>(profile.default_port());
  if (form == TlsPolicy::kImplicit && (usual == 0 || FormOf(profile, usual) != form)) {
    for (const Port& port : profile.ports()) {
      if (PolicyOf(port) == form) return static_cast<uint16_t>(port.number());
    }
    return 465;
  }
  return usual == 0 ? 25 : usual;
}

std::string PortList(const Profile& profile) {
  std::string list;
  for (const Port& port : profile.ports()) {
    absl::StrAppend(&list, list.empty() ? "" : ", ", port.number());
  }
  return list;
}

const char* FormName(TlsPolicy form) {
  switch (form) {
    case TlsPolicy::kImplicit:
      return "implicit TLS";
    case TlsPolicy::kStartTls:
      return "STARTTLS";
    case TlsPolicy::kNone:
      break;
  }
  return "plaintext";
}

const char* MailboxProtocol(uint16_t port) {
  if (port == 110 || port == 995) return "POP3";
  if (port == 143 || port == 993) return "IMAP";
  return nullptr;
}

}  // namespace sendstep::providers
