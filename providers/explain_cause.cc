// Failures without a reply.
#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "providers/explain_policy.h"
#include "providers/ports.h"

namespace sendstep::providers {
namespace {

using base::Cause;
using base::Error;
using base::Stage;
using smtp::TlsPolicy;

constexpr size_t kMaxDetail = 200;

// " (certificate has expired)", or nothing.
std::string Detail(const Error& error) {
  if (error.detail.empty() || error.detail.size() > kMaxDetail) return "";
  return absl::StrCat(" (", error.detail, ")");
}

// The other ports to try, in words.
std::string OtherPorts(const Resolved& resolved) {
  std::string ports;
  if (resolved.profile != nullptr) {
    for (const auto& port : resolved.profile->ports()) {
      if (port.number() == resolved.settings.port || port.number() == 25) continue;
      absl::StrAppend(&ports, ports.empty() ? "" : " or ", port.number());
    }
  }
  if (!ports.empty()) return ports;
  return resolved.settings.port == 587 ? "465" : "587";
}

// What to do where the port is one of POP3 or IMAP; empty: it is not.
std::string MailboxAdvice(const Resolved& resolved) {
  const char* protocol = MailboxProtocol(resolved.settings.port);
  if (protocol == nullptr) return "";
  return absl::StrCat("Port ", resolved.settings.port, " is ", protocol,
                      "'s, which fetches mail: set the port to ", OtherPorts(resolved), ".");
}

// What DNS was asked about.
const std::string& Sought(const Resolved& resolved) {
  return resolved.settings.host.empty() ? resolved.discover_domain : resolved.settings.host;
}

Explained NotDiscovered(const Error& error, const Resolved& resolved) {
  const std::string& domain = resolved.discover_domain;
  if (!resolved.settings.host.empty()) {
    return Permanent("HOST_NOT_FOUND", Fault::kConfig,
                     absl::StrCat("The host ", resolved.settings.host,
                                  ", which the SRV records of ", domain, " name, does not exist."),
                     "Write the server that your provider documents into host instead of "
                     "discover_domain, and tell whoever runs the domain.");
  }
  return Permanent("HOST_NOT_FOUND", Fault::kConfig,
                   absl::StrCat("DNS names no server that takes mail from users of ", domain,
                                Detail(error), "."),
                   "Write the server that your provider documents into host instead of "
                   "discover_domain.");
}

Explained HostNotFound(const Error& error, const Resolved& resolved) {
  if (!resolved.discover_domain.empty()) return NotDiscovered(error, resolved);
  std::string advice = "Check the server's name for a slip.";
  if (const std::string similar = resolved.SimilarHost(); !similar.empty()) {
    advice = absl::StrCat("Did you mean ", similar, "?");
  } else if (!resolved.region.empty()) {
    advice = absl::StrCat("Check the region: ", resolved.region, " has no SMTP server.");
  }
  return Permanent("HOST_NOT_FOUND", Fault::kConfig,
                   absl::StrCat("The host ", resolved.settings.host, " does not exist."), advice);
}

Explained ConnectionRefused(const Resolved& resolved) {
  const uint16_t port = resolved.settings.port;
  std::string advice = MailboxAdvice(resolved);
  if (advice.empty()) {
    const bool listed = resolved.profile != nullptr && ProfileForm(*resolved.profile, port);
    advice = listed ? absl::StrCat("A firewall on the way may refuse it: try port ",
                                   OtherPorts(resolved), ".")
                    : absl::StrCat("Check host and port; try port ", OtherPorts(resolved), ".");
  }
  return Passing("CONNECTION_REFUSED", Fault::kNetwork, kNetworkDelay,
                 absl::StrCat("Nothing listens on ", Endpoint(resolved), "."), advice);
}

Explained ConnectTimeout(const Resolved& resolved) {
  std::string advice = MailboxAdvice(resolved);
  if (advice.empty()) {
    advice = resolved.settings.port == 25
                 ? absl::StrCat("Many networks and clouds block outbound port 25: use port ",
                                OtherPorts(resolved), ".")
                 : absl::StrCat("A firewall may block the port, or it is the wrong one: try port ",
                                OtherPorts(resolved), ".");
  }
  return Passing("TIMEOUT", Fault::kNetwork, kNetworkDelay,
                 absl::StrCat(Endpoint(resolved), " did not answer the connection in time."),
                 advice);
}

Explained TimedOut(const Error& error, const Resolved& resolved) {
  if (error.stage == Stage::kTcp) return ConnectTimeout(resolved);
  if (error.stage == Stage::kDns) {
    return Passing("TIMEOUT", Fault::kNetwork, kNetworkDelay,
                   absl::StrCat("Looking up ", Sought(resolved), " took too long."),
                   "Try again; if it goes on, check the name server of the machine that sends.");
  }
  if (error.stage == Stage::kTls && resolved.settings.tls.policy == TlsPolicy::kImplicit) {
    return Passing(
        "TIMEOUT", Fault::kNetwork, kNetworkDelay,
        absl::StrCat(Endpoint(resolved), " did not answer the TLS handshake in time."),
        "Check that the port speaks implicit TLS: ports 25, 587 and 2525 want STARTTLS.");
  }
  const bool silent = error.stage == Stage::kEhlo && error.detail.starts_with("no greeting");
  return Passing("TIMEOUT", Fault::kProvider, kThrottleDelay,
                 absl::StrCat(Endpoint(resolved), " did not answer in time at stage ",
                              std::string(base::StageName(error.stage)), Detail(error), "."),
                 silent
                     ? "Nothing was sent. If it goes on, check the port: one that wants TLS from "
                       "the first byte says nothing until then (choose tls implicit)."
                     : "Try again later. Nothing was sent.");
}

Explained ConnectionLost(const Error& error, const Resolved& resolved) {
  std::string advice = MailboxAdvice(resolved);
  if (advice.empty()) {
    advice = error.stage == Stage::kEhlo ? "Check that domain is your own and that the port speaks "
                                           "the chosen form of TLS; some servers "
                                           "close without a word when they dislike either."
                                         : "Try again. Nothing was sent.";
  }
  return Passing("CONNECTION_LOST", Fault::kNetwork, kNetworkDelay,
                 absl::StrCat(Endpoint(resolved), " closed the connection at stage ",
                              std::string(base::StageName(error.stage)), Detail(error), "."),
                 advice);
}

// The protocol that the server's first words belong to; null: none that is known.
const char* OtherProtocol(const Error& error) {
  constexpr std::pair<std::string_view, const char*> kGreetings[] = {
      {"HTTP/", "HTTP"}, {"SSH-", "SSH"}, {"+OK", "POP3"}, {"* OK", "IMAP"}};
  for (const auto& [greeting, protocol] : kGreetings) {
    if (error.detail.find(greeting) != std::string::npos) return protocol;
  }
  return nullptr;
}

Explained NotSmtp(const char* protocol, const Resolved& resolved) {
  return Permanent(
      "PROTOCOL_ERROR", Fault::kConfig,
      absl::StrCat(Endpoint(resolved), " is no SMTP server: it speaks ", protocol, "."),
      absl::StrCat("Set host and port to those of the SMTP server; its port is usually ",
                   OtherPorts(resolved), "."));
}

Explained Protocol(const Error& error, const Resolved& resolved) {
  const std::string message = absl::StrCat(
      Endpoint(resolved), " does not answer as an SMTP server does", Detail(error), ".");
  if (const std::string advice = MailboxAdvice(resolved); !advice.empty()) {
    return Permanent("PROTOCOL_ERROR", Fault::kConfig, message, advice);
  }
  const char* other = error.stage == Stage::kEhlo ? OtherProtocol(error) : nullptr;
  if (other != nullptr) return NotSmtp(other, resolved);
  if (error.error_class == base::ErrorClass::kTransient) {
    return Passing("PROTOCOL_ERROR", Fault::kProvider, kThrottleDelay, message,
                   "Try again; if it goes on, check host and port.");
  }
  return Permanent("PROTOCOL_ERROR", Fault::kProvider, message,
                   "Check host and port: this may be no SMTP server, or a proxy in front of it.");
}

Explained TlsOnPlaintextPort(const Error& error, const Resolved& resolved) {
  const uint16_t port = resolved.settings.port;
  std::string advice = MailboxAdvice(resolved);
  if (advice.empty()) {
    if (const char* other = OtherProtocol(error)) return NotSmtp(other, resolved);
    advice =
        absl::StrCat("Set tls to starttls", UsualForm(port) == TlsPolicy::kImplicit ? "" : " or on",
                     ", or use the port for implicit TLS, usually 465.");
  }
  return Permanent("TLS_ON_PLAINTEXT_PORT", Fault::kConfig,
                   absl::StrCat("Port ", port, " of ", resolved.settings.host,
                                " wants STARTTLS; you chose implicit TLS."),
                   advice);
}

Explained PlaintextOnTlsPort(const Resolved& resolved) {
  const uint16_t port = resolved.settings.port;
  std::string advice = MailboxAdvice(resolved);
  if (advice.empty()) {
    advice =
        absl::StrCat("Set tls to implicit", UsualForm(port) == TlsPolicy::kImplicit ? " or on" : "",
                     ", or use port 587 with STARTTLS.");
  }
  return Permanent(
      "PLAINTEXT_ON_TLS_PORT", Fault::kConfig,
      absl::StrCat("Port ", port, " of ", resolved.settings.host, " wants implicit TLS; you chose ",
                   resolved.settings.tls.policy == TlsPolicy::kNone ? "no TLS" : "STARTTLS", "."),
      advice);
}

Explained Certificate(const Error& error, const Resolved& resolved) {
  if (!resolved.settings.tls.pinned_key_sha256.empty()) {
    return Permanent("CERTIFICATE_INVALID", Fault::kConfig,
                     absl::StrCat(resolved.settings.host, " is not trusted", Detail(error), "."),
                     "Ask the server's operator whether its key is a new one, and then set "
                     "pinned_key_sha256 to that one's; otherwise somebody stands in its place.");
  }
  const bool own = error.detail.starts_with("certificate ");
  const bool issuers = error.detail.starts_with("an issuer's certificate ");
  if (issuers && !resolved.settings.tls.ca_pem.empty()) {
    return Permanent("CERTIFICATE_INVALID", Fault::kConfig,
                     absl::StrCat("The certificate of ", resolved.settings.host,
                                  " cannot be trusted", Detail(error), "."),
                     "Replace the certificate in ca_pem by the CA's present one, or tell the "
                     "server's operator where it is an intermediate one of the server.");
  }
  if (own && error.detail.find(" has expired ") != std::string::npos) {
    return Permanent("CERTIFICATE_INVALID", Fault::kProvider,
                     absl::StrCat("The certificate of ", resolved.settings.host, " has expired."),
                     "Tell the server's operator to renew it; do not switch verification off.");
  }
  if (issuers || (own && error.detail.find(" is not valid before ") != std::string::npos)) {
    return Permanent("CERTIFICATE_INVALID", Fault::kProvider,
                     absl::StrCat("The certificate of ", resolved.settings.host,
                                  " cannot be trusted", Detail(error), "."),
                     "Tell the server's operator, and check the clock of the machine that sends; "
                     "do not switch verification off.");
  }
  if (const std::string& domain = resolved.settings.tls.server_name; !domain.empty()) {
    const std::string& host = resolved.settings.host;
    return Permanent(
        "CERTIFICATE_INVALID", Fault::kConfig,
        absl::StrCat("DNS names ", Endpoint(resolved), " as the server of ", domain,
                     ", and its certificate does not say so", Detail(error), "."),
        absl::StrCat("DNS alone is not trusted with a password. If you know that ", host,
                     " is the right server, write ", host, " into host and ",
                     resolved.settings.port, " into port instead of discover_domain."));
  }
  std::string advice =
      "If the server has a private CA, give its certificate in ca_pem; otherwise check the host's "
      "name: the "
      "certificate must be valid for it.";
  if (!resolved.settings.tls.ca_pem.empty()) {
    advice =
        "Check that ca_pem is the CA of this server and that the certificate is valid for its "
        "name.";
  }
  return Permanent("CERTIFICATE_INVALID", Fault::kConfig,
                   absl::StrCat("The certificate of ", resolved.settings.host, " is not trusted",
                                Detail(error), "."),
                   advice);
}

Explained TlsFailed(const Error& error, const Resolved& resolved) {
  const std::string message =
      absl::StrCat("The TLS handshake with ", Endpoint(resolved), " failed", Detail(error), ".");
  constexpr char kAdvice[] =
      "Check port and form of TLS (465 implicit; 25, 587 and 2525 STARTTLS) and that the server "
      "speaks TLS 1.2 "
      "or newer.";
  if (error.error_class == base::ErrorClass::kTransient) {
    return Passing("TLS_FAILED", Fault::kNetwork, kNetworkDelay, message, kAdvice);
  }
  return Permanent("TLS_FAILED", Fault::kProvider, message, kAdvice);
}

// What to give instead, where the server names mechanisms that other credentials fit; empty: none.
std::string OtherCredentials(const Error& error, const Resolved& resolved) {
  // "the server offers AUTH XOAUTH2, not PLAIN, LOGIN"
  const std::string offered = error.detail.substr(0, error.detail.find(", not "));
  const auto offers = [&](const char* mechanism) {
    return offered.find(mechanism) != std::string::npos;
  };
  const bool passwords = offers("PLAIN") || offers("LOGIN");
  if (!offers("offers AUTH ")) return "";
  if (HasToken(resolved) && passwords) {
    return "It takes passwords: give password in place of oauth2_token.";
  }
  if (!HasToken(resolved) && offers("XOAUTH2")) {
    return "It takes OAuth tokens only: give oauth2_token in place of password.";
  }
  if (passwords || offers("XOAUTH2")) return "";
  return "sendstep speaks PLAIN, LOGIN and XOAUTH2 only: ask for one of them, or try another port.";
}

Explained AuthNotOffered(const Error& error, const Resolved& resolved) {
  std::string advice = "Check the port: servers often offer AUTH on 587 and 465 only";
  advice += resolved.settings.tls.policy == TlsPolicy::kNone
                ? ", and only once TLS is on: switch it on."
                : "; or the administrator has switched SMTP AUTH off. A server that wants no login "
                  "needs no "
                  "username and password.";
  if (const std::string other = OtherCredentials(error, resolved); !other.empty()) advice = other;
  return Permanent("AUTH_NOT_OFFERED", Fault::kConfig,
                   absl::StrCat(Endpoint(resolved), " offers no login that fits the credentials",
                                Detail(error), "."),
                   advice);
}

Explained TokenNotFetched(const Error& error) {
  const std::string message = absl::StrCat("Nothing was sent: ", error.detail, ".");
  constexpr char kAdvice[] =
      "The operator finds the reason in the server's log, and the settings in the relay's oauth2.";
  if (error.cause == Cause::kCertificate) {
    return Permanent("CERTIFICATE_INVALID", Fault::kPlugin, message, kAdvice);
  }
  if (error.error_class == base::ErrorClass::kTransient) {
    return Passing("AUTH_UNAVAILABLE", Fault::kNetwork, kAuthDelay, message, kAdvice);
  }
  return Permanent("AUTH_REFUSED", Fault::kPlugin, message, kAdvice);
}

Explained HeldBack(const Error& error, const Resolved& resolved) {
  return Passing(
      "HELD_BACK", Fault::kPlugin,
      std::max<std::chrono::milliseconds>(error.retry_after, kHeldBackDelay),
      absl::StrCat("This account already sends as much to ", resolved.settings.host,
                   " as its limits in sendstep allow", Detail(error), "; nothing was sent."),
      "Call again later, or with a longer deadline, in which the email waits for its turn. Where "
      "the "
      "account may send more, the operator can raise max_connections and max_mails_per_second of "
      "its "
      "relay, or --max-connections-per-account.");
}

}  // namespace

Explained ExplainCause(const Error& error, const Resolved& resolved) {
  const std::string endpoint = Endpoint(resolved);
  switch (error.cause) {
    case Cause::kInvalid:
      return Permanent("FIELD_INVALID", Fault::kConfig,
                       absl::StrCat("A value cannot be sent as it is", Detail(error), "."),
                       "Correct the value and send again.");
    case Cause::kHostNotFound:
      return HostNotFound(error, resolved);
    case Cause::kDnsFailed:
      return Passing("DNS_FAILED", Fault::kNetwork, kNetworkDelay,
                     absl::StrCat("Looking up ", Sought(resolved), " failed", Detail(error), "."),
                     "Try again; if it goes on, check the name server of the machine that sends.");
    case Cause::kConnectionRefused:
      return ConnectionRefused(resolved);
    case Cause::kProxy: {
      const std::string message =
          absl::StrCat("The operator's proxy does not lead to ", endpoint, Detail(error), ".");
      constexpr char kAdvice[] =
          "The operator of sendstep looks at the relay's proxy and at the proxy's log.";
      if (error.error_class == base::ErrorClass::kTransient) {
        return Passing("PROXY_FAILED", Fault::kPlugin, kNetworkDelay, message, kAdvice);
      }
      return Permanent("PROXY_FAILED", Fault::kPlugin, message, kAdvice);
    }
    case Cause::kUnreachable:
      return Passing("HOST_UNREACHABLE", Fault::kNetwork, kNetworkDelay,
                     absl::StrCat("There is no way to ", endpoint, Detail(error), "."),
                     "Check that the machine that sends may reach this host.");
    case Cause::kTimeout:
      return TimedOut(error, resolved);
    case Cause::kCancelled:
      return Passing("CANCELLED", Fault::kCaller, std::chrono::seconds(1),
                     "The caller cancelled before the email was sent.", "Call again to send it.");
    case Cause::kConnectionLost:
      return ConnectionLost(error, resolved);
    case Cause::kProtocol:
      return Protocol(error, resolved);
    case Cause::kTlsOnPlaintextPort:
      return TlsOnPlaintextPort(error, resolved);
    case Cause::kPlaintextOnTlsPort:
      return PlaintextOnTlsPort(resolved);
    case Cause::kTlsFailed:
      return TlsFailed(error, resolved);
    case Cause::kClientCertificate:
      return Permanent("TLS_FAILED", Fault::kConfig,
                       absl::StrCat(endpoint, " takes only clients with a certificate."),
                       "sendstep presents none: use a host and port of the provider that take a "
                       "username and password.");
    case Cause::kCertificate:
      // At AUTH it is the token endpoint's.
      return error.stage == Stage::kAuth ? TokenNotFetched(error) : Certificate(error, resolved);
    case Cause::kTokenNotFetched:
      return TokenNotFetched(error);
    case Cause::kStartTlsNotOffered:
      return Permanent(
          "STARTTLS_NOT_OFFERED", Fault::kConfig,
          absl::StrCat(endpoint, " does not offer STARTTLS, and without TLS nothing is sent."),
          "Use a port with TLS (465 with tls implicit), or check that no firewall or virus scanner "
          "removes STARTTLS; in a network of your own, tls off sends unprotected.");
    case Cause::kStartTlsInjection:
      return Permanent(
          "STARTTLS_INJECTION", Fault::kNetwork,
          absl::StrCat(
              "Bytes came from ", endpoint,
              " between STARTTLS and the handshake: somebody on the way put them there, or "
              "the server is faulty."),
          "Do not switch TLS off; use implicit TLS (port 465) and tell the server's operator.");
    case Cause::kAuthNotOffered:
      return AuthNotOffered(error, resolved);
    case Cause::kPlaintextCredentials:
      return Permanent(
          "PLAINTEXT_CREDENTIALS", Fault::kConfig,
          absl::StrCat("Without TLS to ", endpoint, " anyone on the way could read the password."),
          "Switch TLS on; in a network of your own, set allow_plaintext_auth.");
    case Cause::kMessageTooLarge:
      return Permanent("MESSAGE_TOO_LARGE", Fault::kConfig,
                       absl::StrCat("The email is larger than ", resolved.settings.host, " takes",
                                    Detail(error), "."),
                       "Send smaller attachments, or a link to them.");
    case Cause::kSmtpUtf8NotOffered:
      return Permanent(
          "SMTPUTF8_NOT_OFFERED", Fault::kConfig,
          absl::StrCat("An address has letters beyond ASCII before its @, and ",
                       resolved.settings.host, " does not take such addresses", Detail(error), "."),
          "Use an address in plain letters, or a provider that offers SMTPUTF8.");
    case Cause::kExtensionNotOffered:
      return Permanent("EXTENSION_NOT_OFFERED", Fault::kConfig,
                       absl::StrCat("The email asks for what ", resolved.settings.host,
                                    " does not offer", Detail(error), "."),
                       "Take it from the email, or use a provider that offers it.");
    case Cause::kGateClosed:
      return Passing("LEDGER_UNAVAILABLE", Fault::kPlugin, kNetworkDelay,
                     "sendstep could not record in its ledger that it was about to send the email, "
                     "so nothing was sent.",
                     "Call again; if it goes on, the operator of sendstep finds the reason in the "
                     "server's log: the ledger's disk or database does not take writes.");
    case Cause::kHeldBack:
      return HeldBack(error, resolved);
    case Cause::kStopped:
      return Passing("SHUTTING_DOWN", Fault::kPlugin, std::chrono::seconds(1),
                     "The server is stopping; nothing was sent.", "Call again.");
    case Cause::kGreetingRefused:
    case Cause::kRefused:
      break;
  }
  return Permanent("PROTOCOL_ERROR", Fault::kProvider,
                   absl::StrCat(endpoint, " refused without a reply", Detail(error), "."),
                   "Try a test send and look at its transcript.");
}

}  // namespace sendstep::providers
