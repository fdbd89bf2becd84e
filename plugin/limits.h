// What the server takes, published by Describe. Bytes unless said otherwise.
#ifndef SENDSTEP_PLUGIN_LIMITS_H_
#define SENDSTEP_PLUGIN_LIMITS_H_

#include <chrono>
#include <cstddef>

namespace sendstep::plugin {

inline constexpr size_t kMaxRequestBytes = size_t{40} << 20;
// gRPC's own cap, above ours, so that a request somewhat too large is answered with the limit.
inline constexpr size_t kMaxReceiveBytes = size_t{64} << 20;
// Encoded: base64 makes 37 % more of an attachment.
inline constexpr size_t kMaxEmailBytes = size_t{56} << 20;
inline constexpr size_t kMaxRecipients = 1000;
inline constexpr size_t kMaxAttachments = 100;
inline constexpr size_t kMaxHeaders = 100;
// A subject, a display name, a file name, a header's value, one reference.
inline constexpr size_t kMaxLineBytes = 8192;
inline constexpr size_t kMaxReferences = 100;
inline constexpr size_t kMaxReplyTo = 100;
inline constexpr size_t kMaxRequestIdBytes = 256;
inline constexpr size_t kMaxContextBytes = 256;

// For a call that brings no deadline.
inline constexpr std::chrono::seconds kDefaultDeadline{120};
// A call that allows more is treated as if it allowed this.
inline constexpr std::chrono::hours kMaxDeadline{24};
// The answer leaves this much before the caller's deadline: 5 %, at least 100 ms.
inline constexpr std::chrono::milliseconds kMinAnswerMargin{100};
inline constexpr int kAnswerMarginPercent = 5;

// For what DNS says of a sender's domain.
inline constexpr std::chrono::seconds kDiagnosisTime{5};
inline constexpr size_t kMaxDkimSelectors = 10;
inline constexpr size_t kMaxSelectorBytes = 63;

// Of a Dsn's envelope id, as xtext (RFC 3461 4.4).
inline constexpr size_t kMaxEnvelopeId = 100;

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_LIMITS_H_
