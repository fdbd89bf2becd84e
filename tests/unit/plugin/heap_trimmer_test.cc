#include "plugin/heap_trimmer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace sendstep::plugin {
namespace {

size_t ResidentBytes() {
  size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(HeapTrimmerTest, MemoryOfALargeRequestGoesBackToTheSystem) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || \
    __has_feature(thread_sanitizer)
  GTEST_SKIP() << "the sanitizers bring a malloc of their own";
#endif
  constexpr size_t kBytes = size_t{128} << 20;
  constexpr size_t kBlock = 8192;
  std::vector<std::unique_ptr<std::string>> blocks, kept;
  for (size_t held = 0; held < kBytes; held += kBlock) {
    blocks.push_back(std::make_unique<std::string>(kBlock, 'x'));
    // Small ones in between, that stay.
    if (held % (64 * kBlock) == 0) kept.push_back(std::make_unique<std::string>(100, 'y'));
  }
  const size_t full = ResidentBytes();
  blocks.clear();
  EXPECT_GT(ResidentBytes(), full - kBytes / 2) << "malloc did not keep it";
  HeapTrimmer trimmer;
  trimmer.Freed(kBytes);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (ResidentBytes() > full - kBytes / 2 && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_LE(ResidentBytes(), full - kBytes / 2);
}

TEST(HeapTrimmerTest, EndsAtOnceWithItsOwner) {
  const auto before = std::chrono::steady_clock::now();
  { HeapTrimmer trimmer; }
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
}

}  // namespace
}  // namespace sendstep::plugin
