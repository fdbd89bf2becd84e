// The deliverability of what an account sends: the doctor's question, and its answer within the
// time that a call has for it.
#ifndef SENDSTEP_PLUGIN_DELIVERABILITY_H_
#define SENDSTEP_PLUGIN_DELIVERABILITY_H_

#include <boost/asio/awaitable.hpp>
#include <optional>

#include "plugin/command.h"
#include "providers/doctor/diagnosis.h"
#include "providers/registry.h"
#include "transport/base/address.h"
#include "transport/base/deadline.h"
#include "transport/dns/lookup.h"

namespace sendstep::plugin {

// What to ask for mail from `from` with this envelope sender (none: the null reverse-path, whose
// SPF is that of the EHLO name). nullopt: nothing to ask, for the mail stays in the sandbox or its
// sender has no domain.
// The profiles of `registry` and of `account` outlive it.
std::optional<doctor::Question> DeliverabilityOf(const Account& account,
                                                 const providers::Registry& registry,
                                                 const base::Address& from,
                                                 const std::optional<base::Address>& sender);

// Within kDiagnosisTime and `deadline`; what has no answer by then is unknown. A coroutine of a
// strand, which is the caller's.
boost::asio::awaitable<doctor::Diagnosis> DiagnoseInTime(dns::Lookup& lookup,
                                                         doctor::Question question,
                                                         base::Deadline deadline);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_DELIVERABILITY_H_
