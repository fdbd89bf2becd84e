// An email as a value, ready to be composed. Everything in it has been checked (see Address);
// compose checks once more what would break the format and refuses it.
#ifndef SENDSTEP_TRANSPORT_MIME_MESSAGE_H_
#define SENDSTEP_TRANSPORT_MIME_MESSAGE_H_

#include <optional>
#include <string>
#include <vector>

#include "transport/base/address.h"

namespace sendstep::mime {

// A mailbox with its display name (UTF-8, may be empty).
struct Mailbox {
  base::Address address;
  std::string name;
};

struct Attachment {
  std::string filename;      // UTF-8, may be empty
  std::string content_type;  // "type/subtype", optional parameters; empty: application/octet-stream
  std::string content;       // the bytes
  std::string content_id;    // without brackets; set: an inline part shown as "cid:..."
};

struct Header {
  std::string name;
  std::string value;  // UTF-8
};

// List-Unsubscribe (RFC 2369 3.2).
struct Unsubscribe {
  std::string url;                       // https, ASCII; or empty
  std::optional<base::Address> mailbox;  // of the url and this, one at least
  bool one_click = false;                // a POST to the url suffices (RFC 8058)
};

enum class Priority { kNormal, kHigh, kLow };

struct Message {
  Mailbox from;
  std::optional<Mailbox> sender;  // who sends for the author
  std::vector<Mailbox> to;
  std::vector<Mailbox> cc;
  // There is no bcc: who is not in a header cannot leak from one.
  std::vector<Mailbox> reply_to;
  std::string subject;  // UTF-8
  std::string text;     // UTF-8, any line breaks; empty: made from the HTML
  std::string html;     // UTF-8, any line breaks; empty: none
  std::vector<Attachment> attachments;
  std::vector<Header> headers;
  std::string in_reply_to;              // msg-id with brackets, or empty
  std::vector<std::string> references;  // msg-ids with brackets
  std::optional<Unsubscribe> unsubscribe;
  Priority priority = Priority::kNormal;
  std::string calendar;  // an object that has a method (calendar.h), or empty
};

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_MESSAGE_H_
