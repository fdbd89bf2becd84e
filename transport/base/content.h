// The bytes of a message in order: text that it owns, and files of others that become base64 only
// as they are read, so that nobody holds a large attachment a second time. No I/O.
#ifndef SENDSTEP_TRANSPORT_BASE_CONTENT_H_
#define SENDSTEP_TRANSPORT_BASE_CONTENT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::base {

class Content {
 public:
  struct Piece {
    std::string text;
    std::string_view file;  // set: read as base64; `text` is empty then
    size_t size = 0;        // as read
  };

  Content() = default;
  explicit Content(std::string text) { Append(std::move(text)); }

  void Append(std::string text);
  // In front of all.
  void Prepend(std::string text);
  // `file` in lines of 76 digits (RFC 2045 6.8), the last of them without a line break. The bytes
  // must outlive this and its readers.
  void AppendBase64(std::string_view file);

  size_t size() const { return size_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  bool ends_with_line_break() const;

 private:
  std::vector<Piece> pieces_;  // none of them empty
  size_t size_ = 0;
};

// Reads a content once, from its begin. The content outlives it and does not change.
class ContentReader {
 public:
  explicit ContentReader(const Content& content) : content_(content) {}

  // The next bytes, at most `most` of them: a view into the content or, where they had to be
  // encoded, into `scratch`, to which they were appended and whose capacity never grows. Empty: the
  // end, or no whole line of base64 fits `most` or what is left of the capacity.
  std::string_view Next(size_t most, std::string& scratch);
  bool done() const { return piece_ == content_.pieces().size(); }

 private:
  std::string_view NextEncoded(std::string_view file, size_t most, std::string& scratch);
  void Advance(size_t bytes, size_t of);

  const Content& content_;
  size_t piece_ = 0;
  size_t offset_ = 0;  // into its text or file
};

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_CONTENT_H_
