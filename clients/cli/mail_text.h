// The header section of a stored mail, for people.
#ifndef SENDSTEP_CLIENTS_CLI_MAIL_TEXT_H_
#define SENDSTEP_CLIENTS_CLI_MAIL_TEXT_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sendstep::cli {

// The header section of `mail`, its last line break included, without the empty line that ends it.
// Lines end with CRLF or LF.
std::string_view HeaderSection(std::string_view mail);

// Its fields in order: name and unfolded value (RFC 5322 2.2.3), not decoded.
std::vector<std::pair<std::string, std::string>> HeaderFields(std::string_view mail);

// The decoded value of the first field called `name`, any case; empty: none.
std::string HeaderValue(const std::vector<std::pair<std::string, std::string>>& fields,
                        std::string_view name);

// The decoded entries of such a field that lists addresses (RFC 5322 3.4), such as "To".
std::vector<std::string> HeaderList(const std::vector<std::pair<std::string, std::string>>& fields,
                                    std::string_view name);

// Encoded words (RFC 2047, B and Q) of UTF-8, US-ASCII and ISO-8859-1 as UTF-8; blanks between two
// of them go (section 6.2). What cannot be decoded stays as it is. Not safe for a terminal: see
// Shown().
std::string DecodeWords(std::string_view value);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_MAIL_TEXT_H_
