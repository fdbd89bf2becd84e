// Asks DNS what a diagnosis needs to know.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_GATHER_H_
#define SENDSTEP_PROVIDERS_DOCTOR_GATHER_H_

#include <boost/asio/awaitable.hpp>
#include <string>

#include "providers/doctor/diagnosis.h"
#include "transport/dns/inquiry.h"

namespace sendstep::doctor {

boost::asio::awaitable<Facts> Gather(dns::Inquiry& inquiry, Question question);

// Does `name` fit a target of a profile: "*" stands for any labels, "{domain}" for `domain`,
// "{domain-dashes}" for it with "-" in place of its dots.
bool FitsTarget(const std::string& name, const std::string& target, const std::string& domain);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_GATHER_H_
