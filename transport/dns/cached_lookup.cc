#include "transport/dns/cached_lookup.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "transport/dns/message.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using Key = std::pair<std::string, RecordType>;
using std::chrono::seconds;

// In memory, roughly.
size_t SizeOf(const Key& key, const Answer& answer) {
  size_t size = sizeof(Answer) + 2 * key.first.size() + answer.detail.size();
  for (const std::string& alias : answer.aliases) size += sizeof alias + alias.size();
  for (const Record& record : answer.records) {
    size += sizeof record + record.name.size() + record.text.size();
  }
  return size;
}

}  // namespace

struct CachedLookup::State {
  State(Lookup& behind, const CacheLimits& max, Now clock)
      : lookup(behind), limits(max), now(std::move(clock)) {}

  struct Entry {
    Key key;
    Answer answer;
    base::Clock::time_point until;
    size_t size;
  };
  using Entries = std::list<Entry>;  // the last one used at the front

  std::optional<Answer> Find(const Key& key);
  void Keep(const Key& key, const Answer& answer);
  void Drop(Entries::iterator entry);

  Lookup& lookup;
  const CacheLimits limits;
  const Now now;
  std::mutex mutex;
  Entries entries;
  std::map<Key, Entries::iterator> index;
  size_t bytes = 0;
};

std::optional<Answer> CachedLookup::State::Find(const Key& key) {
  std::lock_guard lock(mutex);
  auto found = index.find(key);
  if (found == index.end()) return std::nullopt;
  const Entries::iterator entry = found->second;
  const auto left = entry->until - now();
  if (left <= base::Clock::duration::zero()) {
    Drop(entry);
    return std::nullopt;
  }
  entries.splice(entries.begin(), entries, entry);
  Answer answer = entry->answer;
  answer.ttl = std::min(answer.ttl, std::chrono::ceil<seconds>(left));
  return answer;
}

void CachedLookup::State::Keep(const Key& key, const Answer& answer) {
  const bool certain = answer.found() || answer.is_void();
  const seconds ttl = certain ? std::min(answer.ttl, limits.ttl) : limits.failure_ttl;
  const size_t size = SizeOf(key, answer);
  if (ttl <= seconds(0) || size > limits.bytes / 4) return;
  std::lock_guard lock(mutex);
  if (auto known = index.find(key); known != index.end()) Drop(known->second);
  entries.push_front({key, answer, now() + ttl, size});
  index.emplace(key, entries.begin());
  bytes += size;
  while (entries.size() > limits.entries || bytes > limits.bytes) Drop(std::prev(entries.end()));
}

void CachedLookup::State::Drop(Entries::iterator entry) {
  bytes -= entry->size;
  index.erase(entry->key);
  entries.erase(entry);
}

CachedLookup::CachedLookup(Lookup& lookup, const CacheLimits& limits, Now now)
    : state_(std::make_shared<State>(lookup, limits, std::move(now))) {}

CachedLookup::~CachedLookup() = default;

asio::awaitable<Answer> CachedLookup::Query(std::string name, RecordType type,
                                            base::Deadline deadline) {
  // The cache may go away meanwhile, and with it `this`.
  const std::shared_ptr<State> state = state_;
  co_await asio::this_coro::throw_if_cancelled(false);
  std::optional<std::string> asked = AskableName(name);
  if (!asked) {
    Answer none;
    none.outcome = Outcome::kNoDomain;
    co_return none;
  }
  const Key key(std::move(*asked), type);
  if (std::optional<Answer> kept = state->Find(key)) co_return std::move(*kept);
  Answer answer = co_await state->lookup.Query(key.first, type, deadline);
  const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
  const bool own = cancellation.cancelled() != asio::cancellation_type::none || deadline.Passed();
  const bool certain = answer.found() || answer.is_void();
  if (certain || (!own && answer.outcome != Outcome::kBudgetSpent)) state->Keep(key, answer);
  co_return answer;
}

size_t CachedLookup::entries() const {
  std::lock_guard lock(state_->mutex);
  return state_->entries.size();
}

size_t CachedLookup::bytes() const {
  std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

}  // namespace sendstep::dns
