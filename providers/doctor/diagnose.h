// A domain and a provider -> a diagnosis.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_DIAGNOSE_H_
#define SENDSTEP_PROVIDERS_DOCTOR_DIAGNOSE_H_

#include <boost/asio/awaitable.hpp>

#include "providers/doctor/diagnosis.h"
#include "transport/dns/inquiry.h"

namespace sendstep::doctor {

// All DNS questions of it go through `inquiry`, those that do not need another's answer side by
// side. Answers that could not be had leave a verdict kUnknown, never a wrong one.
boost::asio::awaitable<Diagnosis> Diagnose(dns::Inquiry& inquiry, Question question);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_DIAGNOSE_H_
