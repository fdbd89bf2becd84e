// What holds for every server; private to explain.cc.
#ifndef SENDSTEP_PROVIDERS_EXPLAIN_POLICY_H_
#define SENDSTEP_PROVIDERS_EXPLAIN_POLICY_H_

#include <chrono>
#include <string>

#include "providers/explain.h"

namespace sendstep::providers {

// How long to wait before the next try makes sense.
inline constexpr std::chrono::seconds kHeldBackDelay{1};  // at least
inline constexpr std::chrono::seconds kNetworkDelay{10};
inline constexpr std::chrono::seconds kThrottleDelay{60};
inline constexpr std::chrono::seconds kAuthDelay{60};
inline constexpr std::chrono::seconds kGreylistDelay{300};
inline constexpr std::chrono::seconds kMailboxFullDelay{1800};
inline constexpr std::chrono::seconds kQuotaDelay{3600};

// The login is by OAuth token.
bool HasToken(const Resolved& resolved);

// "smtp.example.com:587".
std::string Endpoint(const Resolved& resolved);

// A failure that will repeat.
Explained Permanent(std::string reason, Fault fault, std::string message, std::string what_to_do);

// A failure that may pass.
Explained Passing(std::string reason, Fault fault, std::chrono::milliseconds retry_after,
                  std::string message, std::string what_to_do);

// Failures without a reply: network, TLS, protocol.
Explained ExplainCause(const base::Error& error, const Resolved& resolved);

// Refusals, by stage, reply code, enhanced code and words.
Explained ExplainReply(const base::Error& error, const base::Reply& reply,
                       const Resolved& resolved);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_EXPLAIN_POLICY_H_
