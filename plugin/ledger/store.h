// Where executions are kept: one durable compare-and-set, and what people ask.
//
// Threads: thread-safe. A call resumes on its caller's executor. It is not cancelled: a change that
// was asked for may be on disk, and its caller has to know. Lifetime: a store is destroyed before
// the executors of its callers; calls that are pending then come back kUnavailable, and what they
// asked for may have happened.
// Errors: kUnavailable, nothing was changed (out of space, locked, connection lost before the
// change was committed); kDataLoss, the store is damaged or it cannot be known whether the change
// is on disk. A record that is damaged is its own calls' matter alone. Where the store writes its
// file itself (SqliteStore), Health() is an error from then on and every call fails until the
// process is started anew: an fsync that failed once says nothing the second time. Where a server
// does (PostgresStore), it is that one call's and others go on.
#ifndef SENDSTEP_PLUGIN_LEDGER_STORE_H_
#define SENDSTEP_PLUGIN_LEDGER_STORE_H_

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plugin/ledger/execution.h"

namespace sendstep::ledger {

struct Key {
  std::string space;  // keeps methods apart: "execute", "test"; "key" is CheckKey's
  std::string tenant;
  std::string request_id;

  friend auto operator<=>(const Key&, const Key&) = default;
};

struct Entry {
  Key key;
  Execution execution;
};

// One page of a tenant's executions, by time of the last change, then by id.
struct Query {
  std::string space;
  std::string tenant;
  std::optional<State> state;
  Time from{};                 // changed at or after
  Time until = Time::max();    // and before
  std::optional<Entry> after;  // the last entry of the page before; key and updated_at count
  size_t limit = 100;          // at most kMaxPage
};

class Store {
 public:
  static constexpr size_t kMaxPage = 1000;

  virtual ~Store() = default;

  // What shall stand in place of `known` (null: nothing is stored); nothing: what stands there.
  using Change = std::function<std::optional<Execution>(const Execution* known)>;

  // Applies `change` to what is stored under `key`, with no other change of it in between, and
  // returns when the outcome is on disk. `change` runs on another thread, and again where the store
  // has to begin anew: the last run counts. It must outlive the call and do nothing else.
  virtual boost::asio::awaitable<absl::Status> Update(Key key, Change change) = 0;

  virtual boost::asio::awaitable<absl::StatusOr<std::optional<Execution>>> Read(Key key) = 0;
  virtual boost::asio::awaitable<absl::StatusOr<std::vector<Entry>>> List(Query query) = 0;

  // Removes what was last changed before `before`, but uncertain and held executions; at most
  // `limit`, so that sends do not wait. How many it removed.
  virtual boost::asio::awaitable<absl::StatusOr<size_t>> Prune(Time before, size_t limit) = 0;

  virtual absl::Status Health() const = 0;

  // Other processes may use it too. False: none can while this one has it open.
  virtual bool Shared() const = 0;
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_STORE_H_
