// Region <-> host of a profile.
#ifndef SENDSTEP_PROVIDERS_REGIONS_H_
#define SENDSTEP_PROVIDERS_REGIONS_H_

#include <string>
#include <string_view>

#include "protos/sendstep/profile/v1/profile.pb.h"

namespace sendstep::providers {

// The host of `region` (lower case); empty where the profile knows no such region.
std::string HostOfRegion(const profile::v1::Profile& profile, std::string_view region);

// "us, eu": the regions worth listing to a person.
std::string KnownRegions(const profile::v1::Profile& profile);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_REGIONS_H_
