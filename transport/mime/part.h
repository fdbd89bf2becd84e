// The parts of a message (RFC 2045, RFC 2046) as a tree, and their bytes.
#ifndef SENDSTEP_TRANSPORT_MIME_PART_H_
#define SENDSTEP_TRANSPORT_MIME_PART_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/content.h"
#include "transport/mime/body_encoding.h"
#include "transport/mime/message.h"

namespace sendstep::mime {

// A leaf, or a multipart with children.
struct Part {
  // Content-* fields with their line breaks; of a multipart none: WritePart makes them.
  std::string header;
  Encoding encoding = Encoding::k7Bit;
  // What a leaf holds: `text`, or what `file` points to, which outlives the part.
  std::string text;
  const std::string* file = nullptr;

  std::string multipart;  // subtype: "mixed", "alternative", "related"
  std::vector<Part> children;

  std::string_view Content() const { return file != nullptr ? *file : text; }
};

// A body of text/`subtype` in UTF-8.
Part TextPart(std::string_view subtype, std::string_view text);

// A calendar object as a body (RFC 6047 2.4): what mail programs show with buttons to answer.
Part CalendarPart(std::string_view object, std::string method);

// An attachment, or where `is_inline` what the HTML beside it shows. base64, but message/* stays
// readable (RFC 2046 5.2.1 forbids to encode it): 7bit if its bytes allow that, else
// application/octet-stream, which may be encoded. multipart/* is application/octet-stream, too: as
// a leaf it cannot be written.
Part FilePart(const Attachment& attachment, bool is_inline);

// multipart/`subtype` of `children`; of a single child that child.
Part Multipart(std::string_view subtype, std::vector<Part> children);

// About the bytes that WritePart adds to the text.
size_t TextSize(const Part& part);

// `text`, then header, empty line and body, and a line break where there is none at the end.
// Boundaries are made from `boundary_seed` and occur in no part. Large files that become base64 are
// pieces of their own, which the part's files outlive; all that lies between two of them is one.
base::Content WritePart(const Part& part, std::string_view boundary_seed, std::string text);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_PART_H_
