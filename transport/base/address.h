// Mail addresses and domain names: parsing, checking, A-labels. No I/O.
#ifndef SENDSTEP_TRANSPORT_BASE_ADDRESS_H_
#define SENDSTEP_TRANSPORT_BASE_ADDRESS_H_

#include <string>
#include <string_view>

#include "transport/base/result.h"

namespace sendstep::base {

// A checked addr-spec (RFC 5322 3.4.1, RFC 6531 3.3). Made only by ParseAddress, so holding one
// means that it can stand in a header and in a command: no control characters, no blanks outside a
// quoted local part, no second "@" outside quotes, lengths within RFC 5321 4.5.3.1.
class Address {
 public:
  // As in the source; a quoted local part keeps its quotes.
  const std::string& local_part() const { return local_part_; }
  // Lower-case A-labels (RFC 5890), or an address literal "[192.0.2.1]", "[IPv6:2001:db8::1]".
  const std::string& domain() const { return domain_; }
  // local-part "@" domain, ready for an envelope.
  std::string Spec() const { return local_part_ + "@" + domain_; }
  // The local part is not ASCII: sending wants SMTPUTF8.
  bool NeedsSmtpUtf8() const;

  friend bool operator==(const Address&, const Address&) = default;

 private:
  friend Result<Address> ParseAddress(std::string_view text);
  std::string local_part_;
  std::string domain_;
};

// Limits: local part 64 bytes, domain 255, label 63 (RFC 5321 4.5.3.1, RFC 1035 2.3.4). The error's
// detail names the part that is wrong: "the domain has an empty label". No display names, comments,
// groups, source routes or obsolete forms.
Result<Address> ParseAddress(std::string_view text);

// `name` as lower-case A-labels (IDNA 2008, UTS #46 non-transitional). A trailing dot is dropped.
Result<std::string> ToAsciiDomain(std::string_view name);

// A name for EHLO (RFC 5321 4.1.1.1): a domain comes back as A-labels, an IP address (v4 or v6,
// with or without brackets) as an address literal.
Result<std::string> ToEhloName(std::string_view name);

// What stands before the last "@" of `text`; all of it where there is none.
std::string_view LocalPartOf(std::string_view text);

// Valid UTF-8 (RFC 3629: no overlong forms, no surrogates).
bool IsUtf8(std::string_view text);
bool IsAscii(std::string_view text);

// True where `utf8` holds what may end a line, a header or a C string: a C0 control other than TAB,
// DEL, a C1 control, U+2028 or U+2029, or is not UTF-8 at all.
bool HasControlCharacter(std::string_view utf8);

// True where a code point of `utf8` becomes CR, LF or NUL in a program that keeps only its low byte
// (CVE-2025-7962: U+760A, U+760D). Asked of fields that travel unencoded: local parts, ids, media
// types, header names. Text that RFC 2047 encodes and domains, which travel as A-labels, cannot be
// narrowed, and U+010D is a letter of Czech.
bool NarrowsToLineBreak(std::string_view utf8);

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_ADDRESS_H_
