// DKIM signatures of composed messages (RFC 6376). No I/O, no clock.
#ifndef SENDSTEP_TRANSPORT_MIME_DKIM_H_
#define SENDSTEP_TRANSPORT_MIME_DKIM_H_

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/content.h"
#include "transport/base/result.h"
#include "transport/mime/dkim_canonical.h"
#include "transport/mime/dkim_key.h"

namespace sendstep::mime {

// `message` with a DKIM-Signature of each key in front, of which none signs another. Relaxed forms
// of header and body (3.4), all of the body, `at` as the time (t=). Each signed field is listed
// once more than the message has it, so that none can be added (8.15). Reads the message in
// portions. Error: Stage::kConfig, a key that cannot sign.
base::Result<base::Content> DkimSigned(base::Content message, const std::vector<DkimKey>& keys,
                                       std::chrono::system_clock::time_point at);

// The parts of it.

// SHA-256 of the canonical body, in base64 (bh=), and the header before it, with the line break of
// its last field.
struct DkimDigest {
  std::string header;
  std::string body_hash;
};
DkimDigest DigestMessage(const base::Content& message, DkimForm body_form);

// What is signed (3.7): the fields named, of those with the same name the last one first, and the
// DKIM-Signature itself, in which b= is empty, without its last line break.
std::string DkimSigningInput(std::string_view header, const std::vector<std::string_view>& names,
                             std::string_view signature_field, DkimForm header_form);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_DKIM_H_
