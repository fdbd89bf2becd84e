// How much of an SMTP server one account may use: what profiles, the operator and relays say, each
// checked and put over what holds otherwise.
#ifndef SENDSTEP_PROVIDERS_SENDING_LIMITS_H_
#define SENDSTEP_PROVIDERS_SENDING_LIMITS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "protos/sendstep/profile/v1/profile.pb.h"
#include "transport/smtp/settings.h"

namespace sendstep::providers {

inline constexpr int kMaxConnections = 10'000;

// What somebody says of the limits. 0: nothing.
struct LimitChoice {
  uint32_t max_connections = 0;
  uint32_t max_mails_per_connection = 0;
  uint32_t max_idle_seconds = 0;
  double max_mails_per_second = 0;
};

LimitChoice LimitsOf(const profile::v1::Profile& profile);

// What is wrong, one sentence a field: "max_connections is not from 1 to 10000". Empty: nothing.
std::vector<std::string> LimitFaults(const LimitChoice& choice);

// `limits`, and over them what `choice` says; what is out of bounds is moved to the nearest one.
smtp::SendingLimits WithChoice(smtp::SendingLimits limits, const LimitChoice& choice);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_SENDING_LIMITS_H_
