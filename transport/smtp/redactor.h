// Takes credentials out of what is shown: of what was sent and of what the server echoes back.
#ifndef SENDSTEP_TRANSPORT_SMTP_REDACTOR_H_
#define SENDSTEP_TRANSPORT_SMTP_REDACTOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/reply.h"
#include "transport/base/secret.h"
#include "transport/smtp/settings.h"

namespace sendstep::smtp {

inline constexpr std::string_view kRedacted = "[redacted]";

// Knows password, token and (where it is secret) username as they are and in every base64 form the
// mechanisms send. A form of 24 bytes or more is also found in pieces of 8 bytes or more, so that a
// server's cut or wrapped echo gives nothing away. Raw secrets under 4 bytes are not looked for:
// they occur everywhere, and blanking would spell them out.
class Redactor {
 public:
  explicit Redactor(const std::optional<Credentials>& credentials);
  Redactor(const Redactor&) = delete;
  Redactor& operator=(const Redactor&) = delete;
  ~Redactor();

  std::string Redact(std::string_view text) const;
  // One line for people: redacted, control bytes and bytes that are not UTF-8 as "?".
  std::string Line(std::string_view text) const;
  base::Reply Redact(base::Reply reply) const;

 private:
  void AddRaw(std::string_view secret);
  void Add(base::Secret form);
  // How many bytes at `at` belong to a secret.
  size_t Match(std::string_view text, size_t at) const;

  std::vector<base::Secret> forms_;
  std::vector<uint64_t> pieces_;  // sorted; every 8 bytes in a row of a long form
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_REDACTOR_H_
