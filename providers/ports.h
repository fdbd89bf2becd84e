// What is known of TCP ports and their form of TLS.
#ifndef SENDSTEP_PROVIDERS_PORTS_H_
#define SENDSTEP_PROVIDERS_PORTS_H_

#include <optional>
#include <string>

#include "protos/sendstep/profile/v1/profile.pb.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {

// The form the profile gives the port.
std::optional<smtp::TlsPolicy> ProfileForm(const profile::v1::Profile& profile, uint16_t port);

// The form the port has by custom: implicit for 465, 2465 and 8465, STARTTLS for 25, 587, 2525 and
// 2587.
std::optional<smtp::TlsPolicy> UsualForm(uint16_t port);

// ProfileForm, else UsualForm, else STARTTLS.
smtp::TlsPolicy FormOf(const profile::v1::Profile& profile, uint16_t port);

// The port where the settings name none: the profile's default, else 25. Settings that insist on
// implicit TLS get the profile's first port of that form, else 465.
uint16_t DefaultPort(const profile::v1::Profile& profile, std::optional<smtp::TlsPolicy> form);

// "587, 25, 2525, 465"; empty where the profile lists none.
std::string PortList(const profile::v1::Profile& profile);

// "implicit TLS", "STARTTLS", "plaintext".
const char* FormName(smtp::TlsPolicy form);

// "POP3" or "IMAP" for the ports of these, else null.
const char* MailboxProtocol(uint16_t port);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_PORTS_H_
