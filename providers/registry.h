// The provider profiles: those embedded at build and those of an operator's folder.
//
// Threads: immutable after loading, so safe from any. Lifetime: pointers into it live as long as
// it.
#ifndef SENDSTEP_PROVIDERS_REGISTRY_H_
#define SENDSTEP_PROVIDERS_REGISTRY_H_

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "protos/sendstep/profile/v1/profile.pb.h"

namespace sendstep::providers {

using profile::v1::Profile;

// OK, or InvalidArgument with every fault of the profile, one a line: port and TLS form disagree, a
// pattern that does not compile or does not match its own example, an unknown reason or mechanism,
// ...
absl::Status CheckProfile(const Profile& profile);

class Registry {
 public:
  // The embedded profiles. They are checked by a test; a fault here is a bug and aborts.
  static Registry Embedded();

  // The embedded profiles and every *.textproto of `folder`; one with the id of an embedded profile
  // takes its place. InvalidArgument names file and line; nothing is loaded then.
  static absl::StatusOr<Registry> WithFolder(const std::filesystem::path& folder);

  // By id or alias, any case. Null: unknown.
  const Profile* FindByName(std::string_view name) const;
  // By host: a profile's host, another host of its, or one its regions make. Null: unknown.
  const Profile* FindByHost(std::string_view host) const;
  // By the domain of a mail address, e.g. "gmail.com". Null: unknown.
  const Profile* FindByMailDomain(std::string_view domain) const;
  // The id or alias nearest to a misspelt name; empty where none is near.
  std::string Nearest(std::string_view name) const;

  // "custom": what is used for hosts nobody knows.
  const Profile& Custom() const;
  // All, by id.
  const std::vector<std::unique_ptr<Profile>>& profiles() const { return profiles_; }

 private:
  std::vector<std::unique_ptr<Profile>> profiles_;
};

// The region a host of `profile` stands for; empty where it has none.
std::string RegionOfHost(const Profile& profile, std::string_view host);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_REGISTRY_H_
