// The reasons of the contract (enum Reason in protos/sendstep/v1/email_action.proto, without their
// prefix) that a profile's explanation may name. The contract's header stops at plugin, so the
// names are held here; a test of plugin compares them with the enum.
#ifndef SENDSTEP_PROVIDERS_REASONS_H_
#define SENDSTEP_PROVIDERS_REASONS_H_

#include <algorithm>
#include <array>
#include <string_view>

namespace sendstep::providers {

inline constexpr auto kReasons = std::to_array<std::string_view>({
    "FIELD_REQUIRED",
    "FIELD_INVALID",
    "CONTROL_CHARACTER",
    "ADDRESS_INVALID",
    "HEADER_REFUSED",
    "CONTENT_ID_DUPLICATE",
    "LIMIT_EXCEEDED",
    "PROVIDER_UNKNOWN",
    "RELAY_UNKNOWN",
    "HOST_INVALID",
    "SETTINGS_CONTRADICT",
    "CREDENTIALS_INCOMPLETE",
    "SECRET_REFERENCE_REFUSED",
    "PLAINTEXT_CREDENTIALS",
    "NO_DEFAULT_RELAY",
    "SENDER_NOT_ALLOWED",
    "SANDBOX_OFF",
    "SECRET_UNAVAILABLE",
    "HOST_NOT_FOUND",
    "DNS_FAILED",
    "CONNECTION_REFUSED",
    "HOST_UNREACHABLE",
    "TIMEOUT",
    "CONNECTION_LOST",
    "PROTOCOL_ERROR",
    "PROXY_FAILED",
    "TLS_ON_PLAINTEXT_PORT",
    "PLAINTEXT_ON_TLS_PORT",
    "TLS_FAILED",
    "CERTIFICATE_INVALID",
    "STARTTLS_NOT_OFFERED",
    "STARTTLS_INJECTION",
    "GREETING_REFUSED",
    "EHLO_REFUSED",
    "AUTH_NOT_OFFERED",
    "AUTH_REFUSED",
    "APP_PASSWORD_REQUIRED",
    "AUTH_DISABLED",
    "AUTH_REQUIRED",
    "AUTH_UNAVAILABLE",
    "FROM_NOT_ALLOWED",
    "SENDER_REFUSED",
    "RECIPIENTS_REFUSED",
    "MESSAGE_TOO_LARGE",
    "MESSAGE_REFUSED",
    "SMTPUTF8_NOT_OFFERED",
    "EXTENSION_NOT_OFFERED",
    "QUOTA_EXCEEDED",
    "RATE_LIMITED",
    "SERVER_UNAVAILABLE",
    "WRONG_HOST",
    "DELIVERY_UNCERTAIN",
    "CANCELLED",
    "DEADLINE_TOO_SHORT",
    "SHUTTING_DOWN",
    "NO_LEDGER",
    "INTERNAL",
    "REQUEST_ID_REQUIRED",
    "REQUEST_ID_REUSED",
    "REQUEST_IN_PROGRESS",
    "RECIPIENTS_PENDING",
    "LEDGER_UNAVAILABLE",
    "EXECUTION_NOT_FOUND",
    "NOT_UNCERTAIN",
    "HELD_BACK",
    "OVERLOADED",
    "WARNING",
});

constexpr bool IsReason(std::string_view name) {
  return std::find(kReasons.begin(), kReasons.end(), name) != kReasons.end();
}

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_REASONS_H_
