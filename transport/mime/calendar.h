// A calendar object as an email carries it (RFC 6047): an invitation, a change, a cancellation.
#ifndef SENDSTEP_TRANSPORT_MIME_CALENDAR_H_
#define SENDSTEP_TRANSPORT_MIME_CALENDAR_H_

#include <string>
#include <string_view>

#include "transport/base/result.h"

namespace sendstep::mime {

// The method of `object`, in capitals ("REQUEST"). Checked is what a mail program needs to see one
// at all: content lines, folded or not, that end with CRLF or LF (RFC 5545 3.1); one VCALENDAR of
// version 2.0 with a single METHOD (RFC 5546 1.4); BEGIN and END in pairs, at most 8 deep; at least
// one component, and a UID in each that needs one. Errors: Stage::kConfig, Cause::kInvalid, with a
// phrase that says what is missing.
base::Result<std::string> CalendarMethod(std::string_view object);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_CALENDAR_H_
