// A reply of an SMTP server (RFC 5321 4.2), as a value.
#ifndef SENDSTEP_TRANSPORT_BASE_REPLY_H_
#define SENDSTEP_TRANSPORT_BASE_REPLY_H_

#include <string>
#include <vector>

namespace sendstep::base {

struct Reply {
  // Three digits, 200 to 599.
  int code = 0;
  // Enhanced status code (RFC 3463) such as "5.7.8". Empty where the server gave none, or one whose
  // class contradicts the code.
  std::string enhanced_code;
  // Text of each line, without code, separator, enhanced code and line break.
  std::vector<std::string> lines;

  bool Positive() const { return code >= 200 && code < 400; }
  bool Transient() const { return code >= 400 && code < 500; }
  bool Permanent() const { return code >= 500 && code < 600; }

  // The lines joined by one blank, cut to `max_bytes` at a UTF-8 boundary; bytes that are not UTF-8
  // and control characters come out as "?".
  std::string Text(size_t max_bytes = 512) const;

  // Drops the text beyond `max_bytes`: of one reply the server may send 64 kB, and of replies one
  // to each recipient.
  void Shorten(size_t max_bytes);
};

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_REPLY_H_
