// Lists of tags, "name=value; name=value" (RFC 6376 3.2), as DKIM and DMARC records have them.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_TAG_LIST_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_TAG_LIST_H_

#include <string>
#include <string_view>
#include <vector>

namespace sendstep::mailauth {

struct Tag {
  std::string name;   // lower case, for both kinds of record read it without case
  std::string value;  // without the blanks around it
};

struct TagList {
  std::vector<Tag> tags;  // in order
  // Parts without "=", or with a name that is none, as written.
  std::vector<std::string> malformed;
};

// At most 64 parts are looked at; more are malformed.
TagList ParseTagList(std::string_view text);

// `text` without the blanks, tabs and line ends around it.
std::string_view Trimmed(std::string_view text);

std::string LowerAscii(std::string_view text);

// `text` as one short line for a message: what no terminal shows is "?", the rest after 60 bytes
// "...".
std::string Excerpt(std::string_view text);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_TAG_LIST_H_
