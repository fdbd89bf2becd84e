// A diagnosis, as the contract says it.
#ifndef SENDSTEP_PLUGIN_DELIVERABILITY_MAPPING_H_
#define SENDSTEP_PLUGIN_DELIVERABILITY_MAPPING_H_

#include "protos/sendstep/v1/email_action.pb.h"
#include "providers/doctor/diagnosis.h"

namespace sendstep::plugin {

v1::Deliverability ToDeliverability(const doctor::Diagnosis& diagnosis);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_DELIVERABILITY_MAPPING_H_
