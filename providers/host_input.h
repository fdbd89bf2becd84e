// What people paste into a field called "server": a name, an address, "host:port", a URL.
#ifndef SENDSTEP_PROVIDERS_HOST_INPUT_H_
#define SENDSTEP_PROVIDERS_HOST_INPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sendstep::providers {

struct HostInput {
  std::string host;              // lower-case A-labels, or an IP address without brackets
  std::optional<uint16_t> port;  // of "host:port"
  bool implicit_tls = false;     // the scheme was smtps
  // Why it is none of these; empty: it is. `reason` as in Finding.
  std::string reason;
  std::string message;
  std::string hint;

  bool ok() const { return reason.empty(); }
};

// Blanks around it and one trailing "/" are dropped. Schemes: http, https, smtp, smtps. A path, a
// query, a fragment, credentials and other schemes are refused; a refusal never repeats
// credentials.
HostInput ParseHostInput(std::string_view text);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_HOST_INPUT_H_
