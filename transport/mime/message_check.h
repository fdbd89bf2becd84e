// What would break the format, found before a byte is written.
#ifndef SENDSTEP_TRANSPORT_MIME_MESSAGE_CHECK_H_
#define SENDSTEP_TRANSPORT_MIME_MESSAGE_CHECK_H_

#include <optional>
#include <string>
#include <string_view>

#include "transport/mime/message.h"

namespace sendstep::mime {

// msg-id of RFC 5322 3.6.4 as the world writes it: printable ASCII in angle brackets, no blanks, no
// further brackets, short enough for a line. "@" is not asked for: what is answered may lack it.
bool IsMessageId(std::string_view id);

// A phrase that names the field and says what is wrong with it; nothing where `message` can be
// composed.
std::optional<std::string> FindProblem(const Message& message);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_MESSAGE_CHECK_H_
