// Gives memory back to the system after large requests. What they arrived in are many blocks all
// over malloc's heaps, which malloc keeps for itself once they are free.
//
// Threads: one of its own, which holds each heap's lock for as long as it takes to give back what
// is free there. Lifetime: the destructor waits for it.
#ifndef SENDSTEP_PLUGIN_HEAP_TRIMMER_H_
#define SENDSTEP_PLUGIN_HEAP_TRIMMER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace sendstep::plugin {

class HeapTrimmer {
 public:
  HeapTrimmer();

  // A request of that many bytes is over. Any thread.
  void Freed(size_t bytes);

 private:
  std::atomic<uint64_t> freed_ = 0;  // by large requests, since the start
  std::jthread thread_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_HEAP_TRIMMER_H_
