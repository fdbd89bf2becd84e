#include "providers/pattern.h"

#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace sendstep::providers {

std::unique_ptr<const re2::RE2> CompilePattern(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  return std::make_unique<const re2::RE2>(pattern, options);
}

const re2::RE2& CachedPattern(const std::string& pattern) {
  using Cache = std::unordered_map<std::string, std::unique_ptr<const re2::RE2>>;
  static std::shared_mutex mutex;
  static Cache& cache = *new Cache;
  {
    const std::shared_lock lock(mutex);
    if (const auto found = cache.find(pattern); found != cache.end()) return *found->second;
  }
  const std::unique_lock lock(mutex);
  std::unique_ptr<const re2::RE2>& entry = cache[pattern];
  if (!entry) entry = CompilePattern(pattern);
  return *entry;
}

}  // namespace sendstep::providers
