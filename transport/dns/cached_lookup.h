// A Lookup that remembers, so that one diagnosis after another does not ask all again. What it
// keeps is public; callers learn at most that somebody asked lately.
//
// Threads: thread-safe.
// Lifetime: the lookup behind it outlives it. It may be destroyed while queries are pending.
#ifndef SENDSTEP_TRANSPORT_DNS_CACHED_LOOKUP_H_
#define SENDSTEP_TRANSPORT_DNS_CACHED_LOOKUP_H_

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "transport/base/deadline.h"
#include "transport/dns/lookup.h"

namespace sendstep::dns {

struct CacheLimits {
  size_t entries = 4096;
  size_t bytes = 8 * 1024 * 1024;  // of answers; one that takes more than a quarter is not kept
  // An answer is kept for its TTL, but whoever mends a record wants to see it.
  std::chrono::seconds ttl{300};
  std::chrono::seconds failure_ttl{3};  // of kFailed and kTimeout
};

class CachedLookup : public Lookup {
 public:
  using Now = std::function<base::Clock::time_point()>;

  // `now` is called from any thread.
  explicit CachedLookup(Lookup& lookup, const CacheLimits& limits = {},
                        Now now = &base::Clock::now);
  ~CachedLookup() override;
  CachedLookup(const CachedLookup&) = delete;
  CachedLookup& operator=(const CachedLookup&) = delete;

  // An answer that is kept comes with what is left of its TTL. Of a full cache what was asked for
  // least recently goes. What a cancellation or the caller's own deadline ended is not kept.
  boost::asio::awaitable<Answer> Query(std::string name, RecordType type,
                                       base::Deadline deadline) override;

  size_t entries() const;
  size_t bytes() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_CACHED_LOOKUP_H_
