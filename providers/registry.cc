#include "providers/registry.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "providers/edit_distance.h"
#include "providers/embedded_profiles.h"

namespace sendstep::providers {
namespace {

using ProfileById = std::map<std::string, std::unique_ptr<Profile>>;

// A profile is some kilobytes; more is a mistake of the folder.
constexpr std::uintmax_t kMaxProfileBytes = 1 << 20;

bool SameName(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Every line of `faults`, with the file's name before it.
absl::Status InFile(std::string_view file, std::string_view faults) {
  std::string lines;
  for (const auto& fault : absl::StrSplit(absl::string_view(faults.data(), faults.size()), '\n')) {
    absl::StrAppend(&lines, lines.empty() ? "" : "\n", std::string(file), ": ", fault);
  }
  return absl::InvalidArgumentError(lines);
}

absl::StatusOr<std::unique_ptr<Profile>> Parse(std::string_view file, std::string_view text) {
  auto profile = std::make_unique<Profile>();
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(std::string(text), profile.get())) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(file), ":", error.text()));
  }
  if (const absl::Status checked = CheckProfile(*profile); !checked.ok()) {
    return InFile(file, std::string(checked.message()));
  }
  return profile;
}

absl::Status CheckTogether(const ProfileById& profiles) {
  std::map<std::string, std::string> owners;
  const auto claim = [&](const std::string& what, const std::string& name,
                         const std::string& id) -> absl::Status {
    const auto [owner, fresh] = owners.try_emplace(what + name, id);
    if (fresh || owner->second == id) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(what, name, " belongs to two profiles: ", owner->second, " and ", id));
  };
  for (const auto& [id, profile] : profiles) {
    std::vector<std::pair<std::string, std::string>> claims = {{"name ", id}};
    for (const auto& alias : profile->aliases()) claims.emplace_back("name ", alias);
    for (const auto& host : profile->other_hosts()) claims.emplace_back("host ", host);
    for (const auto& [region, host] : profile->regions().hosts())
      claims.emplace_back("host ", host);
    if (!profile->host().empty()) claims.emplace_back("host ", profile->host());
    for (const auto& domain : profile->mail_domains()) claims.emplace_back("mail domain ", domain);
    for (const auto& [what, name] : claims) {
      if (absl::Status claimed = claim(what, name, id); !claimed.ok()) return claimed;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ProfileById> LoadEmbedded() {
  ProfileById profiles;
  for (const EmbeddedProfile& embedded : EmbeddedProfiles()) {
    auto profile = Parse(embedded.file_name, embedded.text);
    if (!profile.ok()) return profile.status();
    const std::string id = (*profile)->id();
    if (!profiles.emplace(id, *std::move(profile)).second) {
      return InFile(embedded.file_name, "its id is another file's too: " + id);
    }
  }
  if (!profiles.contains("custom")) return absl::InvalidArgumentError("no profile \"custom\"");
  if (const absl::Status checked = CheckTogether(profiles); !checked.ok()) return checked;
  return profiles;
}

absl::StatusOr<std::string> ReadProfile(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > kMaxProfileBytes) return InFile(path.string(), "larger than 1 MiB");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (size > 0) text << file.rdbuf();
  if (error || !file || !text) return InFile(path.string(), "cannot be read");
  return text.str();
}

absl::StatusOr<std::vector<std::filesystem::path>> ProfilesIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".textproto") files.push_back(entry->path());
  }
  if (error) return InFile(folder.string(), error.message());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::unique_ptr<Profile>> ById(ProfileById profiles) {
  std::vector<std::unique_ptr<Profile>> sorted;
  for (auto& [id, profile] : profiles) sorted.push_back(std::move(profile));
  return sorted;
}

}  // namespace

Registry Registry::Embedded() {
  auto profiles = LoadEmbedded();
  if (!profiles.ok()) {
    std::fprintf(stderr, "embedded profiles: %s\n", profiles.status().ToString().c_str());
    std::abort();
  }
  Registry registry;
  registry.profiles_ = ById(*std::move(profiles));
  return registry;
}

absl::StatusOr<Registry> Registry::WithFolder(const std::filesystem::path& folder) {
  auto profiles = LoadEmbedded();
  if (!profiles.ok()) return profiles.status();
  const auto files = ProfilesIn(folder);
  if (!files.ok()) return files.status();
  std::map<std::string, std::string> file_of;
  for (const std::filesystem::path& path : *files) {
    const auto text = ReadProfile(path);
    if (!text.ok()) return text.status();
    auto profile = Parse(path.string(), *text);
    if (!profile.ok()) return profile.status();
    const std::string id = (*profile)->id();
    if (const auto [other, fresh] = file_of.try_emplace(id, path.string()); !fresh) {
      return InFile(path.string(), "its id is that of " + other->second + " too: " + id);
    }
    (*profiles)[id] = *std::move(profile);
  }
  if (const absl::Status checked = CheckTogether(*profiles); !checked.ok()) {
    return InFile(folder.string(), std::string(checked.message()));
  }
  Registry registry;
  registry.profiles_ = ById(*std::move(profiles));
  return registry;
}

const Profile* Registry::FindByName(std::string_view name) const {
  for (const auto& profile : profiles_) {
    if (SameName(name, profile->id())) return profile.get();
    for (const std::string& alias : profile->aliases()) {
      if (SameName(name, alias)) return profile.get();
    }
  }
  return nullptr;
}

const Profile* Registry::FindByHost(std::string_view host) const {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty()) return nullptr;
  for (const auto& profile : profiles_) {
    if (SameName(host, profile->host())) return profile.get();
    for (const std::string& other : profile->other_hosts()) {
      if (SameName(host, other)) return profile.get();
    }
    if (!RegionOfHost(*profile, host).empty()) return profile.get();
  }
  return nullptr;
}

const Profile* Registry::FindByMailDomain(std::string_view domain) const {
  for (const auto& profile : profiles_) {
    for (const std::string& mail_domain : profile->mail_domains()) {
      if (SameName(domain, mail_domain)) return profile.get();
    }
  }
  return nullptr;
}

std::string Registry::Nearest(std::string_view name) const {
  const std::string wanted = absl::AsciiStrToLower(std::string(name.substr(0, 64)));
  std::string nearest;
  size_t least = 3;  // one more than the largest distance that still is near
  const auto consider = [&](const std::string& candidate) {
    const bool prefix =
        std::min(wanted.size(), candidate.size()) >= 3 &&
        (absl::StartsWith(candidate, wanted) || absl::StartsWith(wanted, candidate));
    const size_t distance = prefix ? 1 : EditDistance(wanted, candidate);
    if (distance >= least || distance >= wanted.size()) return;
    least = distance;
    nearest = candidate;
  };
  for (const auto& profile : profiles_) {
    consider(profile->id());
    for (const std::string& alias : profile->aliases()) consider(alias);
  }
  return nearest;
}

const Profile& Registry::Custom() const { return *FindByName("custom"); }

}  // namespace sendstep::providers
