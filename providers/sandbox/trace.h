// What the sandbox writes before a message, as the last mail server on its way does (RFC 5321 4.4).
#ifndef SENDSTEP_PROVIDERS_SANDBOX_TRACE_H_
#define SENDSTEP_PROVIDERS_SANDBOX_TRACE_H_

#include <chrono>
#include <string>
#include <string_view>

#include "providers/sandbox/dialog.h"

namespace sendstep::providers::sandbox {

// Return-Path: the envelope's sender. X-Envelope-To: its accepted recipients, in order, separated
// by ", " and folded; with the Bcc ones, which no other header names. Received: the hop. A message
// may bring headers of the same names: the first of each is the sandbox's.
std::string TraceHeaders(const Dialog& dialog, std::string_view client_ip, std::string_view id,
                         std::chrono::system_clock::time_point now);

// The whole report that recipients of a message with `id` have it (RFC 3464), to its sender, who
// asked for it; as a message of its own, with the id `report_id`.
std::string SuccessReport(const Transaction& transaction, std::string_view id,
                          std::string_view report_id, std::chrono::system_clock::time_point now);

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_TRACE_H_
