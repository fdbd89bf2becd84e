// YAML (and so JSON) text as a protobuf message, by the JSON mapping of its type.
//
// Guided by the message's descriptor: the schema decides what a scalar is, so that "password:
// 12345" or "subject: 2024" reach a string field as typed, leading zeros and all. Beyond the JSON
// mapping:
//   names     snake_case or lowerCamelCase
//   enums     full name, number, or the name without its prefix in any case ("tls: starttls")
//   bytes     base64, either alphabet, blanks ignored
//   durations "1.5s"; timestamps as RFC 3339
//   null      leaves the field unset, except in lists
// Refused: unknown fields, a field named twice, two members of a oneof, more than one document,
// application tags.
//
// Limits: 40 MiB of text, 32 levels, 100,000 values (each use of an alias counts all it stands
// for). Threads: reentrant.
#ifndef SENDSTEP_PLUGIN_YAML_MESSAGE_H_
#define SENDSTEP_PLUGIN_YAML_MESSAGE_H_

#include <google/protobuf/message.h>

#include <string_view>

#include "absl/status/status.h"

namespace sendstep::plugin {

// Merges `yaml` into `out`, which should be empty. An empty document is an empty message.
// InvalidArgument says "<name>:<line>: <field path>: <what is wrong>"; it never holds the value of
// a field, since that may be a secret. `out` is then half filled: throw it away.
absl::Status YamlToMessage(std::string_view yaml, std::string_view name,
                           google::protobuf::Message& out);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_YAML_MESSAGE_H_
