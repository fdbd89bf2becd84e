// Bytes of the server -> replies (RFC 5321 4.2), as they come in. Pure: no I/O.
//
// Strict where replies could be misread: three digits from 200 to 599, then a blank, a "-" or the
// end of the line, and the same code on every line of a reply. Lenient where servers are sloppy: a
// line may end in a bare LF and have no text.
#ifndef SENDSTEP_TRANSPORT_SMTP_REPLY_PARSER_H_
#define SENDSTEP_TRANSPORT_SMTP_REPLY_PARSER_H_

#include <string>
#include <string_view>

#include "transport/base/reply.h"

namespace sendstep::smtp {

class ReplyParser {
 public:
  static constexpr size_t kMaxLineBytes = 2048;  // with its line break; RFC 5321 4.5.3.1.5 says 512
  static constexpr size_t kMaxReplyBytes = 64 * 1024;
  static constexpr size_t kMaxReplyLines = 128;

  enum class Event {
    kNeedMore,   // all input is consumed, no line is complete
    kLine,       // one more line of a reply that goes on
    kReply,      // the last line of a reply: Take() it
    kTlsRecord,  // the line begins like a TLS alert or handshake record (RFC 8446 5.1)
    kMalformed,  // not a reply, or past a limit: fault() says which
  };

  // Takes at most one line off the front of `input`. After kTlsRecord and kMalformed the parser is
  // of no further use.
  Event Advance(std::string_view& input);

  // The last line, without its line break, as the server sent it. Empty where it is longer than the
  // limit: a part of it could be a part of a secret, which nobody recognises.
  const std::string& line() const { return line_; }
  // For people; empty but after kMalformed.
  std::string_view fault() const { return fault_; }

  // The reply; the parser is then ready for the next.
  base::Reply Take();

 private:
  Event EndLine();
  Event Malformed(std::string_view why) {
    fault_ = why;
    return Event::kMalformed;
  }

  base::Reply reply_;
  size_t reply_bytes_ = 0;
  std::string line_;
  bool line_complete_ = false;
  std::string_view fault_;  // of static text
};

// The enhanced status code (RFC 3463 2) that `text` begins with, if its class is that of `code`;
// else empty.
std::string_view LeadingEnhancedCode(int code, std::string_view text);

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_REPLY_PARSER_H_
