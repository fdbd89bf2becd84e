// Patterns of profiles, compiled once: case-insensitive RE2, leftmost-first, linear time on any
// input.
#ifndef SENDSTEP_PROVIDERS_PATTERN_H_
#define SENDSTEP_PROVIDERS_PATTERN_H_

#include <re2/re2.h>

#include <memory>
#include <string>

namespace sendstep::providers {

// Never null; ask ok() before use.
std::unique_ptr<const re2::RE2> CompilePattern(const std::string& pattern);

// As CompilePattern, kept for the life of the process, so only for patterns of a registry. From any
// thread.
const re2::RE2& CachedPattern(const std::string& pattern);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_PATTERN_H_
