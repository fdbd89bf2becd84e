// The operator's relays: named SMTP accounts, read once from a YAML or JSON file
// (protos/sendstep/relays/v1/relays.proto). Secrets are references that are looked up at each use,
// so that a rotated password needs no restart.
//
// Threads: thread-safe after loading.
#ifndef SENDSTEP_PLUGIN_RELAYS_H_
#define SENDSTEP_PLUGIN_RELAYS_H_

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "plugin/dkim_keys.h"
#include "protos/sendstep/relays/v1/relays.pb.h"
#include "providers/sending_limits.h"

namespace sendstep::plugin {

class Relays {
 public:
  // No relays; the sandbox is the default where there is one.
  Relays() = default;

  // InvalidArgument names the file and what is wrong in it: unknown fields, a default that does not
  // exist, a bad name, a default_from, domain or selector that is malformed, a limit out of bounds,
  // an oauth2 that is incomplete or contradicts the rest.
  static absl::StatusOr<Relays> Load(const std::filesystem::path& file);

  // Null: no such relay.
  const relays::v1::Relay* Find(std::string_view name) const;
  const std::string& default_relay() const { return file_.default_relay(); }
  std::vector<std::string> Names() const;
  DkimKeys& dkim_keys() const { return *dkim_keys_; }

 private:
  relays::v1::RelaysFile file_;
  std::shared_ptr<DkimKeys> dkim_keys_ = std::make_shared<DkimKeys>();
};

// What the operator says of how much of its server a relay may use.
providers::LimitChoice LimitsOf(const relays::v1::Relay& relay);

// Of a relay's DKIM key in messages: "dkim[0]".
std::string DkimPath(int index);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_RELAYS_H_
