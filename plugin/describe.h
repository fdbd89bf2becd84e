// Who the server is, for engines and forms.
#ifndef SENDSTEP_PLUGIN_DESCRIBE_H_
#define SENDSTEP_PLUGIN_DESCRIBE_H_

#include "plugin/account.h"
#include "plugin/in_flight.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::plugin {

v1::DescribeResponse Describe(const AccountCatalog& catalog, const InFlightLimits& in_flight);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_DESCRIBE_H_
