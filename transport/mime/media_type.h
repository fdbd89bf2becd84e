// Media types (RFC 2045 5.1).
#ifndef SENDSTEP_TRANSPORT_MIME_MEDIA_TYPE_H_
#define SENDSTEP_TRANSPORT_MIME_MEDIA_TYPE_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sendstep::mime {

struct MediaType {
  std::string type;     // lower case
  std::string subtype;  // lower case
  // Names in lower case, values without quotes; each name once.
  std::vector<std::pair<std::string, std::string>> parameters;

  std::string Name() const { return type + "/" + subtype; }
};

// "type/subtype" and parameters, printable ASCII, at most 998 bytes. No comments, no RFC 2231
// names.
std::optional<MediaType> ParseMediaType(std::string_view text);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_MEDIA_TYPE_H_
