// The records to publish. No I/O.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_FIXES_H_
#define SENDSTEP_PROVIDERS_DOCTOR_FIXES_H_

#include <vector>

#include "providers/doctor/diagnosis.h"

namespace sendstep::doctor {

// What helps most first; never a second SPF or DMARC record.
std::vector<Fix> FixesFor(const Facts& facts, const Verdict& verdict);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_FIXES_H_
