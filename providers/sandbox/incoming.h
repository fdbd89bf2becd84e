// A message while it is being received: goes to the Maildir as it comes, so that memory does not
// grow with its size.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_INCOMING_H_
#define SENDSTEP_PROVIDERS_SANDBOX_INCOMING_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "providers/sandbox/dialog.h"
#include "providers/sandbox/maildir.h"

namespace sendstep::providers::sandbox {

// Destroyed before a successful Keep(), it leaves nothing behind. After a failure it swallows the
// rest.
class Incoming {
 public:
  // `headers` gives what comes before the message, for the name it will have.
  Incoming(const Maildir& maildir, const std::function<std::string(std::string_view)>& headers);

  // Takes the next part of the content.
  void Append(std::string_view content);
  // How the message stands; no id.
  Received received() const { return {.outcome = outcome_, .id = {}}; }
  // The content is complete: moves it into new/. Once.
  Received Keep();

 private:
  void Fail(Received::Outcome outcome);
  void Write(std::string_view bytes);

  std::optional<MaildirFile> file_;  // unset after a failure
  uint64_t size_ = 0;                // of the content, as SIZE counts (RFC 1870 3)
  Received::Outcome outcome_ = Received::Outcome::kKept;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_INCOMING_H_
