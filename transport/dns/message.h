// DNS messages as the network has them (RFC 1035 4). What is read here is hostile: every length is
// checked, and a message that breaks a rule is refused as a whole. No I/O.
#ifndef SENDSTEP_TRANSPORT_DNS_MESSAGE_H_
#define SENDSTEP_TRANSPORT_DNS_MESSAGE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "transport/dns/lookup.h"

namespace sendstep::dns {

// More of them in a row is no answer but a mistake, or an attack.
inline constexpr size_t kMaxAliases = 8;

// `name` in lower case and without the last dot, as messages are asked and read. Nothing where DNS
// cannot be asked for it: see Lookup::Query.
std::optional<std::string> AskableName(std::string_view name);

enum class Reading {
  kDone,
  kAskOn,  // the CNAMEs lead out of the message: answer.aliases.back() has to be asked for
};

// Reads the message that came for `name`, an AskableName, and `type`. `answer` holds what earlier
// messages of the same chain of CNAMEs said, at first nothing; this one's part is added.
//
// The message must repeat the question byte for byte. Of its answer section count the CNAMEs from
// `name` on, in any order, and the records where these end; of the others the SOA of a negative
// answer (RFC 2308) and the extended error (RFC 8914) of a failure.
Reading ReadMessage(std::string_view message, const std::string& name, RecordType type,
                    Answer& answer);

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_MESSAGE_H_
