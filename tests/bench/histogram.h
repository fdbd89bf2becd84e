// Latencies, counted in buckets that are at most 1.6 % wide: constant memory, whatever the number.
// Threads: one at a time.
#ifndef SENDSTEP_TESTS_BENCH_HISTOGRAM_H_
#define SENDSTEP_TESTS_BENCH_HISTOGRAM_H_

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

namespace sendstep::bench {

class Histogram {
 public:
  void Add(std::chrono::nanoseconds latency) {
    const auto us = static_cast<uint64_t>(std::max<int64_t>(
        0, std::chrono::duration_cast<std::chrono::microseconds>(latency).count()));
    const size_t bucket = BucketOf(us);
    if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
    ++buckets_[bucket];
    ++count_;
    max_us_ = std::max(max_us_, us);
  }

  uint64_t count() const { return count_; }
  double max_ms() const { return static_cast<double>(max_us_) / 1000; }

  // The least latency, in milliseconds, that `percent` of all do not exceed. 0: there are none.
  double PercentileMs(double percent) const {
    const auto rank = static_cast<uint64_t>(std::ceil(percent / 100 * static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      seen += buckets_[bucket];
      if (seen >= rank && seen > 0) {
        return std::min(static_cast<double>(UpperEdge(bucket)) / 1000, max_ms());
      }
    }
    return 0;
  }

 private:
  // Below 128 each microsecond has a bucket, above each power of two has 64.
  static constexpr int kBits = 6;

  static size_t BucketOf(uint64_t us) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(us)) - kBits - 1);
    return (static_cast<size_t>(shift) << kBits) + (us >> shift);
  }

  static uint64_t UpperEdge(size_t bucket) {
    if (bucket < (size_t{2} << kBits)) return bucket;
    const size_t shift = (bucket >> kBits) - 1;
    const uint64_t base = bucket - (shift << kBits);
    return ((base + 1) << shift) - 1;
  }

  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  uint64_t max_us_ = 0;
};

}  // namespace sendstep::bench

#endif  // SENDSTEP_TESTS_BENCH_HISTOGRAM_H_
