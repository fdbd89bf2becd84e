// Makes the calls of a run and counts what becomes of them.
#ifndef SENDSTEP_TESTS_BENCH_GENERATOR_H_
#define SENDSTEP_TESTS_BENCH_GENERATOR_H_

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/histogram.h"
#include "tests/bench/payload.h"

namespace sendstep::bench {

struct LoadOptions {
  std::vector<std::string> addresses;  // that take turns
  int connections = 1;                 // to each
  uint64_t in_flight = 1;
  double rate = 0;     // calls a second, whatever is in flight; 0: `in_flight` calls at any time
  uint64_t count = 0;  // calls; 0: until `duration` is over
  std::chrono::milliseconds duration{0};       // 0: until `count` calls were made
  std::chrono::milliseconds deadline{60'000};  // of each call
};

struct Failure {
  uint64_t count = 0;
  std::string text;  // of the first
};

struct LoadResult {
  uint64_t made = 0;
  uint64_t ok = 0;
  std::map<std::string, Failure> failures;  // by "CODE REASON"
  double seconds = 0;                       // from the first call to the last answer
  // Of calls that were OK. At a rate, since the time at which the call was due: a server that
  // stalls delays all calls that were due meanwhile, and this shows.
  Histogram latencies;
  uint64_t message_bytes = 0;  // of one message as sent
};

// Returns when all calls are answered, or soon after `*stop` is true: then without what is in
// flight. One thread makes the calls (at a rate, a second one) and reads the answers. Each second,
// a line on stderr. std::runtime_error: nobody answers at an address.
LoadResult Run(const LoadOptions& options, const Payload& payload,
               const volatile std::sig_atomic_t* stop);

}  // namespace sendstep::bench

#endif  // SENDSTEP_TESTS_BENCH_GENERATOR_H_
