// The settings of a step as a JSON Schema, so that an engine can draw their form. Made from the
// contract's own descriptors and comments (protos/sendstep/v1/email_action.proto), so it cannot
// drift.
#ifndef SENDSTEP_PLUGIN_CONFIG_SCHEMA_H_
#define SENDSTEP_PLUGIN_CONFIG_SCHEMA_H_

#include <string>

#include "providers/registry.h"

namespace sendstep::plugin {

// JSON Schema 2020-12 of an object with "config" and "email" in the JSON mapping of Config and
// Email, as compact JSON. Secrets carry "writeOnly": true and "format": "password". For forms:
// title, description and x-order of each property; properties that belong behind an advanced toggle
// have an x-group, the toggle's label. Properties that only an operator's file may have are left
// out.
std::string ConfigSchema(const providers::Registry& registry);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_CONFIG_SCHEMA_H_
