// What the facts mean for mail from the domain. No I/O.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_JUDGE_H_
#define SENDSTEP_PROVIDERS_DOCTOR_JUDGE_H_

#include "providers/doctor/diagnosis.h"

namespace sendstep::doctor {

// DMARC passes where one aligned identifier does, fails where neither can (RFC 9989); what was not
// determined leaves kUnknown.
Verdict Judge(const Facts& facts);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_JUDGE_H_
