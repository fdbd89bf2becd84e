#include "plugin/heap_trimmer.h"

#include <malloc.h>
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace sendstep::plugin {
namespace {

// Smaller requests leave nothing worth the work.
constexpr size_t kLarge = size_t{1} << 20;
constexpr uint64_t kEnough = uint64_t{16} << 20;
constexpr std::chrono::seconds kPause{2};

}  // namespace

HeapTrimmer::HeapTrimmer()
    : thread_([this](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock(mutex);
        uint64_t given_back = 0;
        while (!stopped.wait_for(lock, stop, kPause, [&] { return stop.stop_requested(); })) {
          const uint64_t freed = freed_;
          if (freed - given_back < kEnough) continue;
          ::malloc_trim(0);
          given_back = freed;
        }
      }) {
  pthread_setname_np(thread_.native_handle(), "heap-trimmer");
}

void HeapTrimmer::Freed(size_t bytes) {
  if (bytes >= kLarge) freed_ += bytes;
}

}  // namespace sendstep::plugin
