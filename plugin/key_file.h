// A key that this server makes once and keeps: 32 random bytes in a file that only its user reads.
#ifndef SENDSTEP_PLUGIN_KEY_FILE_H_
#define SENDSTEP_PLUGIN_KEY_FILE_H_

#include <cstddef>
#include <filesystem>

#include "absl/status/statusor.h"
#include "transport/base/secret.h"

namespace sendstep::plugin {

inline constexpr size_t kKeyBytes = 32;

// Reads `file`; makes it (mode 0600, on disk before anyone sees its name) where there is none. Of
// several processes that start at once one makes the key and all return the same.
// FailedPrecondition: wrong size, not a regular file, another user's, or readable by group or
// others. The messages name the file, never its content.
absl::StatusOr<base::Secret> LoadOrMakeKey(const std::filesystem::path& file);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_KEY_FILE_H_
