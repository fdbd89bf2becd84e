// The canonical forms of header fields and bodies that DKIM signs (RFC 6376 3.4). No I/O.
#ifndef SENDSTEP_TRANSPORT_MIME_DKIM_CANONICAL_H_
#define SENDSTEP_TRANSPORT_MIME_DKIM_CANONICAL_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::mime {

enum class DkimForm {
  kSimple,   // RFC 6376 3.4.1, 3.4.3
  kRelaxed,  // RFC 6376 3.4.2, 3.4.4
};

// `field` with its last line break, or without one.
std::string CanonicalField(std::string_view field, DkimForm form);

// The fields of `header` in order, each with its line breaks. Views into it.
std::vector<std::string_view> HeaderFields(std::string_view header);

// Whether `field` has this name, whatever their case.
bool IsField(std::string_view field, std::string_view name);

// Gives a body that comes in any portions in its canonical form to `sink`, in portions too.
class DkimBody {
 public:
  using Sink = std::function<void(std::string_view)>;

  DkimBody(DkimForm form, Sink sink) : form_(form), sink_(std::move(sink)) {}

  void Append(std::string_view bytes);
  // The body ends here. A line break is added to a last line without one.
  void Finish();

 private:
  size_t TextAtFront(std::string_view bytes) const;
  void Text(std::string_view text);
  void Put(std::string_view text);
  void Flush();

  const DkimForm form_;
  const Sink sink_;
  std::string out_;     // canonical, not yet given away
  bool empty_ = true;   // there was no text yet
  bool cr_ = false;     // the last byte was a CR
  bool blank_ = false;  // blanks, and then no text yet
  size_t breaks_ = 0;   // line breaks, and then no text yet
};

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_DKIM_CANONICAL_H_
