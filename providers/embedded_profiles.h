// The texts of providers/profiles as they were at build time. Only registry.cc and its tests look
// here.
#ifndef SENDSTEP_PROVIDERS_EMBEDDED_PROFILES_H_
#define SENDSTEP_PROVIDERS_EMBEDDED_PROFILES_H_

#include <span>
#include <string_view>

namespace sendstep::providers {

struct EmbeddedProfile {
  std::string_view file_name;  // "gmail.textproto"
  std::string_view text;
};

std::span<const EmbeddedProfile> EmbeddedProfiles();

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_EMBEDDED_PROFILES_H_
