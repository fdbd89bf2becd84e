// Encoded words (RFC 2047): Unicode text in header fields.
#ifndef SENDSTEP_TRANSPORT_MIME_ENCODED_WORD_H_
#define SENDSTEP_TRANSPORT_MIME_ENCODED_WORD_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::mime {

// The length limit of one encoded word, and of a header line that has any (RFC 2047 2).
inline constexpr size_t kMaxEncodedWord = 75;
inline constexpr size_t kMaxEncodedLine = 76;

// The room that one encoded word always fits in, whatever character it carries.
inline constexpr size_t kMinEncodedWord = 24;

// True where a reader would not get `text` back as it is typed: it is not ASCII, has what looks
// like an encoded word, or a blank at an end.
bool NeedsEncoding(std::string_view text);

// `text` (valid UTF-8, not empty) as encoded words, to be written with one blank or fold between
// them. "Q" or "B", whichever is shorter; fit for phrases, too (RFC 2047 5 (3)). No character is
// split. The first word has at most `first_room` bytes, which is at least kMinEncodedWord.
std::vector<std::string> EncodedWords(std::string_view text, size_t first_room);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_ENCODED_WORD_H_
