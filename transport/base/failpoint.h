// Named places at which a crash is worth testing. In every program but the crash tests' own server
// Failpoint() does nothing; that one links tests/crash/failpoint.cc, which replaces it.
#ifndef SENDSTEP_TRANSPORT_BASE_FAILPOINT_H_
#define SENDSTEP_TRANSPORT_BASE_FAILPOINT_H_

#include <string_view>

namespace sendstep::base {

// May end the process. Threads: any.
void Failpoint(std::string_view name);

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_FAILPOINT_H_
