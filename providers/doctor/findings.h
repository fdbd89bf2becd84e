// Everything wrong, or worth knowing, with the records of a domain. No I/O.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_FINDINGS_H_
#define SENDSTEP_PROVIDERS_DOCTOR_FINDINGS_H_

#include <vector>

#include "providers/doctor/diagnosis.h"

namespace sendstep::doctor {

// Errors first. What does not matter for mail through this provider is no error.
std::vector<mailauth::Problem> FindingsOf(const Facts& facts, const Verdict& verdict);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_FINDINGS_H_
