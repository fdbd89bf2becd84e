// base64 (RFC 4648 4), padded: in one line, or in the lines that MIME wants (RFC 2045 6.8).
#ifndef SENDSTEP_TRANSPORT_BASE_BASE64_H_
#define SENDSTEP_TRANSPORT_BASE_BASE64_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sendstep::base {

inline constexpr size_t kBase64LineBytes = 57;     // become one line
inline constexpr size_t kBase64LineSize = 76 + 2;  // of that line, with its line break

// Unset where `text` is not base64 in one line with its padding.
std::optional<std::string> DecodeBase64(std::string_view text);

// One line of any length.
void AppendBase64(std::string_view bytes, std::string& out);

// Lines of 76 digits, the last of them without a line break.
void AppendBase64Lines(std::string_view bytes, std::string& out);
// What that appends.
size_t Base64LinesSize(size_t bytes);

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_BASE64_H_
