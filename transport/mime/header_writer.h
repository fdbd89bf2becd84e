// Writes one header field, folded (RFC 5322 2.2.3): at most 76 bytes a line where there is a blank
// to fold at, and never more than 998.
#ifndef SENDSTEP_TRANSPORT_MIME_HEADER_WRITER_H_
#define SENDSTEP_TRANSPORT_MIME_HEADER_WRITER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "transport/mime/message.h"

namespace sendstep::mime {

// The field grows in `out`, which outlives the writer, and ends with the writer's life. Values hold
// no control characters; a TAB is written as a blank.
class HeaderWriter {
 public:
  HeaderWriter(std::string_view name, std::string& out);
  ~HeaderWriter();
  HeaderWriter(const HeaderWriter&) = delete;
  HeaderWriter& operator=(const HeaderWriter&) = delete;

  // A word that is not broken, after a blank or a fold.
  void Word(std::string_view word) { Word(" ", word); }

  // unstructured (RFC 5322 3.2.5), as encoded words where a reader would not get it back otherwise.
  void Unstructured(std::string_view text);

  // mailbox-list (RFC 5322 3.4), not empty.
  void Mailboxes(const std::vector<Mailbox>& mailboxes);

  // "; name=value" (RFC 2045 5.1), as RFC 2231 writes it where the value is not ASCII or long.
  void Parameter(std::string_view name, std::string_view value);

 private:
  void Word(std::string_view blanks, std::string_view word);
  void Fold(std::string_view blanks);
  void Append(std::string_view text);
  void Encoded(std::string_view text, bool fold_to_fit);
  void Phrase(std::string_view name);

  std::string& out_;
  size_t column_ = 0;  // of the line being written
};

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_HEADER_WRITER_H_
