// What every store has to hold. A store's own test instantiates StoreConformance with how to open
// it.
#ifndef SENDSTEP_TESTS_UNIT_PLUGIN_LEDGER_STORE_CONFORMANCE_H_
#define SENDSTEP_TESTS_UNIT_PLUGIN_LEDGER_STORE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "plugin/ledger/store.h"

namespace sendstep::ledger {

// A place for a store, empty at first. Opened again, it gives another store of the same executions;
// also at the same time where they are shared.
class StorePlace {
 public:
  virtual ~StorePlace() = default;
  virtual std::unique_ptr<Store> Open() = 0;
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StorePlace>()> make;
  std::function<std::string()> missing = nullptr;  // why there can be none here; empty: there can
};

class StoreConformance : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    const std::string why = GetParam().missing ? GetParam().missing() : "";
    if (!why.empty()) GTEST_SKIP() << why;
    place_ = GetParam().make();
    store_ = place_->Open();
  }

  template <class T>
  static T Await(boost::asio::awaitable<T> work) {
    boost::asio::thread_pool pool(1);
    return boost::asio::co_spawn(pool, std::move(work), boost::asio::use_future).get();
  }

  static Key KeyOf(std::string id, std::string tenant = "t") {
    return {"execute", std::move(tenant), std::move(id)};
  }
  static Execution At(State state, int64_t updated_at, uint64_t epoch = 1) {
    Execution execution;
    execution.state = state;
    execution.epoch = epoch;
    execution.updated_at = Time(std::chrono::milliseconds(updated_at));
    execution.recipients.resize(1);
    return execution;
  }

  // As another process has it, where one may.
  Store& Other() {
    if (!store_->Shared()) return *store_;
    if (other_ == nullptr) other_ = place_->Open();
    return *other_;
  }

  absl::Status Put(const Key& key, const Execution& execution) {
    Store::Change change = [&](const Execution*) { return execution; };
    return Await(store_->Update(key, change));
  }
  std::optional<Execution> Get(const Key& key) {
    auto found = Await(store_->Read(key));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : std::nullopt;
  }
  std::vector<std::string> Ids(const Query& query) {
    auto entries = Await(store_->List(query));
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<std::string> ids;
    if (entries.ok()) {
      for (const Entry& entry : *entries) ids.push_back(entry.key.request_id);
    }
    return ids;
  }
  static Query All(std::string tenant = "t") {
    Query query;
    query.space = "execute";
    query.tenant = std::move(tenant);
    return query;
  }

  std::unique_ptr<StorePlace> place_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Store> other_;
};

}  // namespace sendstep::ledger

#endif  // SENDSTEP_TESTS_UNIT_PLUGIN_LEDGER_STORE_CONFORMANCE_H_
