// Whether a server asks to be used less.
#ifndef SENDSTEP_TRANSPORT_NET_THROTTLE_H_
#define SENDSTEP_TRANSPORT_NET_THROTTLE_H_

#include "transport/base/error.h"

namespace sendstep::net {

// 421, 432, 450, 451, 452 and 454, but not where the reply is about one address, one mailbox or one
// message (RFC 3463 x.1, x.2, x.6, 4.5.3), or about a recipient without saying why.
bool AsksToSlowDown(const base::Error& error);

// As a server turns away a connection that is too much: no connection, none that is answered, none
// that lasts beyond the greeting, or 421 or 454 before a message was begun.
bool TurnsAway(const base::Error& error);

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_THROTTLE_H_
