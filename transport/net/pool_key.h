// What settings must have in common to share connections.
#ifndef SENDSTEP_TRANSPORT_NET_POOL_KEY_H_
#define SENDSTEP_TRANSPORT_NET_POOL_KEY_H_

#include <string>

#include "transport/smtp/settings.h"

namespace sendstep::net {

// Equal where two settings may share connections: all but limits and timeouts is the same. Secrets
// cannot be read from it. Differs from one run of the program to the next. Threads: thread-safe.
std::string PoolKey(const smtp::SmtpSettings& settings);

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_POOL_KEY_H_
