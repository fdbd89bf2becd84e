// Content transfer encodings (RFC 2045 6) and canonical line breaks.
#ifndef SENDSTEP_TRANSPORT_MIME_BODY_ENCODING_H_
#define SENDSTEP_TRANSPORT_MIME_BODY_ENCODING_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace sendstep::mime {

enum class Encoding { k7Bit, kQuotedPrintable, kBase64 };

// The value of Content-Transfer-Encoding.
std::string_view EncodingName(Encoding encoding);

// Every CRLF, lone CR and lone LF becomes CRLF.
std::string CanonicalLines(std::string_view text);

// 7bit as it is (RFC 2045 2.7): ASCII without NUL, CR and LF only as CRLF, no line over 998 bytes.
bool Is7Bit(std::string_view bytes);

// For text with canonical lines: 7bit where that is safe (a line that begins with "From " is not:
// mailboxes on the way change it), else the shorter of quoted-printable and base64.
Encoding ChooseEncoding(std::string_view canonical);

// About what AppendEncoded adds; of base64 never less.
size_t EncodedSize(std::string_view content, Encoding encoding);

// Appends `content`, without a line break of its own at the end. Quoted-printable wants canonical
// lines; its lines and those of base64 have at most 76 bytes.
void AppendEncoded(std::string_view content, Encoding encoding, std::string& out);

}  // namespace sendstep::mime

#endif  // SENDSTEP_TRANSPORT_MIME_BODY_ENCODING_H_
