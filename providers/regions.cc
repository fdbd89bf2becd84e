#include "providers/regions.h"

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "providers/pattern.h"
#include "providers/registry.h"

namespace sendstep::providers {

std::string HostOfRegion(const Profile& profile, std::string_view region) {
  const profile::v1::Regions& regions = profile.regions();
  if (const auto named = regions.hosts().find(std::string(region));
      named != regions.hosts().end()) {
    return named->second;
  }
  if (regions.pattern().empty() || !re2::RE2::FullMatch(region, CachedPattern(regions.pattern()))) {
    return "";
  }
  return absl::StrReplaceAll(regions.host_template(), {{"{region}", std::string(region)}});
}

std::string RegionOfHost(const Profile& profile, std::string_view host) {
  const profile::v1::Regions& regions = profile.regions();
  for (const auto& [region, region_host] : regions.hosts()) {
    if (absl::EqualsIgnoreCase(absl::string_view(host.data(), host.size()), region_host)) {
      return region;
    }
  }
  std::string region;
  if (!regions.host_pattern().empty()) {
    re2::RE2::FullMatch(host, CachedPattern(regions.host_pattern()), &region);
  }
  return region;
}

std::string KnownRegions(const Profile& profile) {
  return absl::StrJoin(profile.regions().known(), ", ");
}

}  // namespace sendstep::providers
