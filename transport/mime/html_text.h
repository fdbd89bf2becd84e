// The plain text of an HTML body, for readers whose programs show no HTML and for filters that
// count it against an email when there is none.
#ifndef SENDSTEP_TRANSPORT_MIME_HTML_TEXT_H_
#define SENDSTEP_TRANSPORT_MIME_HTML_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace sendstep::mime {

// Larger bodies, and those nested deeper than 256 elements, are not read: that could take long.
inline constexpr size_t kMaxHtmlForText = size_t{1} << 20;

// What a reader would see of `html` (UTF-8), as lines of UTF-8 that end in LF: paragraphs apart by
// an empty line, list items with "-" or their number, links as "text <address>", pictures as their
// alternative texts, quotations behind ">". Scripts, styles and what is hidden are left out. Broken
// HTML is read as browsers would. Empty: there is nothing to see, or it is not read.
std::string TextOfHtml(std::string_view html);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_HTML_TEXT_H_
