#include "plugin/ledger/postgres_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "tests/support/postgres_server.h"
#include "tests/unit/plugin/ledger/store_conformance.h"

namespace sendstep::ledger {
namespace {

namespace asio = boost::asio;
using sendstep::testing::PostgresServer;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr milliseconds kPatience = std::chrono::seconds(60);

// Each place is a schema of its own in the program's server; its sessions bear its name.
class PostgresPlace : public StorePlace {
 public:
  PostgresPlace() : name_("place_" + std::to_string(++places_)) {
    server().Start();  // a test may have left it stopped
    server().Sql("CREATE SCHEMA " + name_);
  }
  std::unique_ptr<Store> Open() override {
    auto store = PostgresStore::Open(url(), {});
    if (!store.ok()) throw std::runtime_error(std::string(store.status().message()));
    return *std::move(store);
  }
  const std::string& name() const { return name_; }
  std::string url(const std::string& options = "") const {
    return server().Url("&application_name=" + name_ + "&options=-csearch_path%3D" + name_ +
                        options);
  }
  static PostgresServer& server() { return PostgresServer::Shared(); }

 private:
  static inline int places_ = 0;
  std::string name_;
};

INSTANTIATE_TEST_SUITE_P(Postgres, StoreConformance,
                         ::testing::Values(StoreKind{
                             "server", [] { return std::make_unique<PostgresPlace>(); },
                             [] { return PostgresServer::Missing(); }}),
                         [](const auto& info) { return info.param.name; });

class PostgresStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = PostgresServer::Missing(); !why.empty()) GTEST_SKIP() << why;
    place_.emplace();
  }

  static PostgresServer& server() { return PostgresServer::Shared(); }
  std::unique_ptr<PostgresStore> Open(PostgresOptions options = {}) {
    auto store = PostgresStore::Open(place_->url(), options);
    if (!store.ok()) throw std::runtime_error(std::string(store.status().message()));
    return *std::move(store);
  }
  static absl::Status OpenStatus(const std::string& url) {
    return PostgresStore::Open(url, {.connections = 1}).status();
  }
  static std::string Message(const absl::Status& status) { return std::string(status.message()); }

  template <class T>
  static T Await(asio::awaitable<T> work) {
    asio::thread_pool pool(1);
    return asio::co_spawn(pool, std::move(work), asio::use_future).get();
  }
  static absl::Status Put(Store& store, const std::string& id) {
    Store::Change change = [](const Execution*) { return Execution(); };
    return Await(store.Update({"execute", "t", id}, change));
  }
  static bool Has(Store& store, const std::string& id) {
    const auto found = Await(store.Read({"execute", "t", id}));
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() && found->has_value();
  }

  // Asks for `change` of all `ids` while the one thread of `store` is held, so that they come
  // together.
  using Statuses = std::vector<std::future<absl::Status>>;
  Statuses Together(Store& store, const std::vector<std::string>& ids,
                    const Store::Change& change) {
    std::promise<void> begin;
    std::atomic<bool> held = false;
    Store::Change hold = [&held, begun = begin.get_future().share()](const Execution*) {
      held = true;
      begun.wait();
      return Execution();
    };
    auto first =
        asio::co_spawn(callers_, store.Update({"execute", "t", "first"}, hold), asio::use_future);
    EXPECT_TRUE(Until([&held] { return held.load(); }));
    Statuses others;
    for (const std::string& id : ids) {
      Key key{"execute", "t", id};
      others.push_back(asio::co_spawn(callers_, store.Update(key, change), asio::use_future));
    }
    // All of them are queued once the one thread of their callers comes to this.
    asio::post(callers_, [&begin] { begin.set_value(); });
    EXPECT_TRUE(first.get().ok());
    return others;
  }
  static std::optional<Execution> Count(const Execution* known) {
    Execution execution;
    execution.epoch = known == nullptr ? 1 : known->epoch + 1;
    return execution;
  }
  static std::vector<std::string> Ids(int count) {
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) ids.push_back("id " + std::to_string(i));
    return ids;
  }

  // Process ids of the store's sessions of which `condition` is true.
  std::vector<std::string> Sessions(const std::string& condition) const {
    return server().Sql("SELECT pid FROM pg_stat_activity WHERE application_name='" +
                        place_->name() + "' AND " + condition);
  }
  // Ends them and waits until they are gone.
  void Terminate(const std::vector<std::string>& sessions) const {
    for (const std::string& pid : sessions) {
      server().Sql("SELECT pg_terminate_backend(" + pid + ", 60000)");
    }
  }
  static bool Until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::optional<PostgresPlace> place_;
  asio::thread_pool callers_{1};
};

// While it lives, the end of a transaction waits for a standby that does not exist.
class AbsentStandby {
 public:
  AbsentStandby() { Set("'nobody'"); }
  ~AbsentStandby() { Set("''"); }

 private:
  static void Set(const std::string& names) {
    PostgresServer& server = PostgresServer::Shared();
    server.Sql("ALTER SYSTEM SET synchronous_standby_names=" + names);
    server.Sql("SELECT pg_reload_conf()");
    // Another session begins with what the server has loaded.
    while ("'" + server.Sql("SHOW synchronous_standby_names").at(0) + "'" != names) {
      std::this_thread::yield();
    }
  }
};

TEST_F(PostgresStoreTest, ReplicasMayStartTogether) {
  std::vector<std::future<absl::Status>> opened;
  for (int i = 0; i < 6; ++i) {
    opened.push_back(std::async(std::launch::async, [this] { return OpenStatus(place_->url()); }));
  }
  for (auto& one : opened) {
    const absl::Status status = one.get();
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_F(PostgresStoreTest, ServerThatWasRestartedIsUsedOnAndHasLostNothing) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "before").ok());
  server().Stop();
  server().Start();
  const absl::Status after = Put(*store, "after");
  EXPECT_TRUE(after.ok()) << after;
  EXPECT_TRUE(Has(*store, "before"));
  EXPECT_TRUE(Has(*store, "after"));
  EXPECT_TRUE(store->Health().ok());
}

TEST_F(PostgresStoreTest, StoppedServerIsUnavailableUntilItIsBack) {
  auto store = Open();
  server().Stop();
  const absl::Status down = Put(*store, "a");
  EXPECT_EQ(down.code(), absl::StatusCode::kUnavailable) << down;
  EXPECT_THAT(Message(down), HasSubstr("cannot be reached"));
  EXPECT_EQ(store->Health().code(), absl::StatusCode::kUnavailable);
  server().Start();
  EXPECT_TRUE(Put(*store, "a").ok());
  EXPECT_TRUE(store->Health().ok());
}

TEST_F(PostgresStoreTest, HealthFindsOutByItselfThatTheServerIsBack) {
  auto store = Open();
  server().Stop();
  EXPECT_FALSE(Put(*store, "a").ok());
  EXPECT_FALSE(store->Health().ok());
  server().Start();
  EXPECT_TRUE(Until([&] { return store->Health().ok(); }));
}

TEST_F(PostgresStoreTest, CallersThatCameTogetherFailTogetherWhenTheServerIsDown) {
  auto store = Open({.connections = 1});
  server().Stop();
  asio::thread_pool pool(1);
  Store::Change put = [](const Execution*) { return Execution(); };
  std::vector<std::future<absl::Status>> calls;
  for (int i = 0; i < 50; ++i) {
    Key key{"execute", "t", std::to_string(i)};
    calls.push_back(asio::co_spawn(pool, store->Update(key, put), asio::use_future));
  }
  for (auto& call : calls) EXPECT_EQ(call.get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PostgresStoreTest, ConnectionLostBeforeTheEndIsMadeAnewAndTheChangeRunsAgain) {
  auto store = Open();
  int runs = 0;
  Store::Change change = [&](const Execution*) {
    if (++runs == 1) Terminate(Sessions("state='idle in transaction'"));
    return Execution();
  };
  const absl::Status status = Await(store->Update({"execute", "t", "a"}, change));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(Has(*store, "a"));
}

TEST_F(PostgresStoreTest, ConnectionLostTwiceIsUnavailableAndNothingIsChanged) {
  auto store = Open();
  int runs = 0;
  Store::Change change = [&](const Execution*) {
    ++runs;
    Terminate(Sessions("state='idle in transaction'"));
    return Execution();
  };
  const absl::Status status = Await(store->Update({"execute", "t", "a"}, change));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(runs, 2);
  EXPECT_FALSE(Has(*store, "a"));
}

TEST_F(PostgresStoreTest, ConnectionLostDuringTheEndCannotBeKnownAndTheStoreGoesOn) {
  auto store = Open();
  const std::string waiting = "wait_event='SyncRep'";
  std::optional<AbsentStandby> standby(std::in_place);
  auto put = std::async(std::launch::async, [&] { return Put(*store, "a"); });
  EXPECT_TRUE(Until([&] { return !Sessions(waiting).empty(); }));
  Terminate(Sessions(waiting));
  const absl::Status status = put.get();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(Message(status), HasSubstr("cannot be known"));
  standby.reset();
  EXPECT_TRUE(Has(*store, "a")) << "here it was";
  EXPECT_TRUE(Put(*store, "b").ok());
  EXPECT_TRUE(store->Health().ok());
}

TEST_F(PostgresStoreTest, ServerThatDidNotWaitForItsStandbyCannotBeKnown) {
  auto store = Open();
  const std::string waiting = "wait_event='SyncRep'";
  std::optional<AbsentStandby> standby(std::in_place);
  auto put = std::async(std::launch::async, [&] { return Put(*store, "a"); });
  EXPECT_TRUE(Until([&] { return !Sessions(waiting).empty(); }));
  for (const std::string& pid : Sessions(waiting)) {
    server().Sql("SELECT pg_cancel_backend(" + pid + ")");
  }
  const absl::Status status = put.get();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(Message(status), HasSubstr("standbys"));
}

TEST_F(PostgresStoreTest, EndThatIsNotAnsweredCannotBeKnown) {
  auto store = Open({.statement_timeout = milliseconds(400)});
  const AbsentStandby standby;
  EXPECT_EQ(Put(*store, "a").code(), absl::StatusCode::kDataLoss);
}

TEST_F(PostgresStoreTest, HungServerHoldsNoCall) {
  auto store = Open({.connections = 1, .statement_timeout = milliseconds(400)});
  std::vector<std::string> stopped;
  Store::Change change = [&](const Execution*) {
    stopped = Sessions("state='idle in transaction'");
    for (const std::string& pid : stopped) ::kill(std::stoi(pid), SIGSTOP);
    return Execution();
  };
  const absl::Status hung = Await(store->Update({"execute", "t", "a"}, change));
  EXPECT_EQ(hung.code(), absl::StatusCode::kUnavailable) << hung;
  EXPECT_TRUE(Put(*store, "other").ok());
  ASSERT_EQ(stopped.size(), 1u);
  ::kill(std::stoi(stopped[0]), SIGCONT);
  EXPECT_TRUE(Until([&] { return Put(*store, "a").ok(); })) << "its lock goes with it";
}

TEST_F(PostgresStoreTest, OwnerThatFallsSilentWithinAChangeHoldsUpNobodyForLong) {
  auto store = Open({.statement_timeout = milliseconds(400)});
  auto other = Open();
  int runs = 0;
  absl::Status meanwhile;
  Store::Change change = [&](const Execution*) {
    if (++runs == 1) meanwhile = Put(*other, "a");
    return Execution();
  };
  EXPECT_TRUE(Await(store->Update({"execute", "t", "a"}, change)).ok());
  EXPECT_TRUE(meanwhile.ok()) << meanwhile;
  EXPECT_EQ(runs, 2) << "the first was ended by the server";
}

TEST_F(PostgresStoreTest, ExecutionThatIsBeingChangedIsNotPruned) {
  auto store = Open();
  auto other = Open();
  Store::Change sent = [](const Execution*) {
    Execution execution;
    execution.state = State::kSent;
    return execution;
  };
  ASSERT_TRUE(Await(store->Update({"execute", "t", "a"}, sent)).ok());
  size_t removed = 1;
  Store::Change change = [&](const Execution* known) {
    removed = *Await(other->Prune(Time::max(), 10));
    return *known;
  };
  ASSERT_TRUE(Await(store->Update({"execute", "t", "a"}, change)).ok());
  EXPECT_EQ(removed, 0u);
  EXPECT_EQ(*Await(other->Prune(Time::max(), 10)), 1u);
}

TEST_F(PostgresStoreTest, ListIsInTheOrderOfBytes) {
  auto store = Open();
  for (const char* id : {"b", "B", "a", "\xC3\xA4", "_"}) ASSERT_TRUE(Put(*store, id).ok());
  const auto entries = Await(store->List({.space = "execute", .tenant = "t"}));
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::vector<std::string> ids;
  for (const Entry& entry : *entries) ids.push_back(entry.key.request_id);
  EXPECT_THAT(ids, ElementsAre("B", "_", "a", "b", "\xC3\xA4"));
}

TEST_F(PostgresStoreTest, KeyThatIsNoTextIsRefusedAndTheStoreIsWell) {
  auto store = Open();
  for (const std::string& id : {std::string("\xff"), std::string("a\0b", 3)}) {
    EXPECT_EQ(Put(*store, id).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(store->Health().ok());
  EXPECT_FALSE(Has(*store, "a"));
}

TEST_F(PostgresStoreTest, DamagedRecordFailsItsOwnCallsOnly) {
  auto store = Open();
  ASSERT_TRUE(Put(*store, "a").ok());
  server().Sql("UPDATE " + place_->name() + ".sendstep_ledger_executions SET record='\\xffff'");
  EXPECT_EQ(Put(*store, "a").code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(store->Health().ok());
  EXPECT_TRUE(Put(*store, "b").ok());
}

TEST_F(PostgresStoreTest, CallersThatComeTogetherShareATransaction) {
  auto store = Open({.connections = 1});
  for (auto& one : Together(*store, Ids(60), Count)) EXPECT_TRUE(one.get().ok());
  const auto transactions = server().Sql("SELECT DISTINCT xmin::text FROM " + place_->name() +
                                         ".sendstep_ledger_executions");
  EXPECT_LE(transactions.size(), 3u);
}

TEST_F(PostgresStoreTest, ChangesOfOneKeyThatComeTogetherFollowEachOther) {
  auto store = Open({.connections = 1});
  for (auto& one : Together(*store, {"a", "b", "a", "a"}, Count)) EXPECT_TRUE(one.get().ok());
  EXPECT_EQ((*Await(store->Read({"execute", "t", "a"})))->epoch, 3u);
  EXPECT_EQ((*Await(store->Read({"execute", "t", "b"})))->epoch, 1u);
}

TEST_F(PostgresStoreTest, OneThatCannotBeDoneFailsNoOtherThatCameWithIt) {
  auto store = Open({.connections = 1});
  ASSERT_TRUE(Put(*store, "damaged").ok());
  server().Sql("UPDATE " + place_->name() + ".sendstep_ledger_executions SET record='\\xffff'");
  auto done = Together(*store, {"a", "\xff", "b", "damaged", "c"}, Count);
  EXPECT_TRUE(done[0].get().ok());
  EXPECT_EQ(done[1].get().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(done[2].get().ok());
  EXPECT_EQ(done[3].get().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(done[4].get().ok());
  for (const char* id : {"a", "b", "c"}) EXPECT_TRUE(Has(*store, id));
}

TEST_F(PostgresStoreTest, ReplicasThatChangeTheSameKeysInOppositeOrderDoNotBlockEachOther) {
  auto store = Open(), other = Open();
  std::vector<std::string> ids = Ids(40);
  constexpr int kRounds = 10;
  const auto change_all = [&](Store& through, std::vector<std::string> order) {
    asio::thread_pool pool(1);
    Statuses all;
    Store::Change count = Count;
    for (int i = 0; i < kRounds; ++i) {
      for (const std::string& id : order) {
        all.push_back(
            asio::co_spawn(pool, through.Update({"execute", "t", id}, count), asio::use_future));
      }
    }
    for (auto& one : all) EXPECT_TRUE(one.get().ok());
  };
  auto forth = std::async(std::launch::async, [&] { change_all(*store, ids); });
  change_all(*other, {ids.rbegin(), ids.rend()});
  forth.get();
  for (const std::string& id : ids) {
    EXPECT_EQ((*Await(store->Read({"execute", "t", id})))->epoch, 2u * kRounds);
  }
}

TEST_F(PostgresStoreTest, KeyThatAnotherReplicaIsChangingHoldsUpNoOtherThatCameWithIt) {
  auto store = Open({.connections = 1});
  auto other = Open();
  Statuses done;
  Store::Change meanwhile = [&](const Execution*) {
    done = Together(*store, {"b", "held", "c"}, Count);
    EXPECT_TRUE(done[0].get().ok());
    EXPECT_TRUE(done[2].get().ok());
    EXPECT_NE(done[1].wait_for(milliseconds(0)), std::future_status::ready);
    return Count(nullptr);
  };
  EXPECT_TRUE(Await(other->Update({"execute", "t", "held"}, meanwhile)).ok());
  EXPECT_TRUE(done[1].get().ok());
  EXPECT_EQ((*Await(store->Read({"execute", "t", "held"})))->epoch, 2u);
}

TEST_F(PostgresStoreTest, AllThatCameTogetherRunAgainWhenTheirConnectionWasLost) {
  auto store = Open({.connections = 1});
  std::atomic<int> runs = 0;
  Store::Change change = [&](const Execution* known) {
    if (++runs == 3) Terminate(Sessions("state='idle in transaction'"));
    return Count(known);
  };
  for (auto& one : Together(*store, Ids(5), change)) EXPECT_TRUE(one.get().ok());
  EXPECT_EQ(runs, 10);
  for (const std::string& id : Ids(5)) {
    EXPECT_EQ((*Await(store->Read({"execute", "t", id})))->epoch, 1u);
  }
}

TEST_F(PostgresStoreTest, NoneThatCameTogetherIsDoneWhenTheirConnectionWasLostTwice) {
  auto store = Open({.connections = 1});
  std::atomic<int> runs = 0;
  Store::Change change = [&](const Execution* known) {
    if (++runs % 5 == 3) Terminate(Sessions("state='idle in transaction'"));
    return Count(known);
  };
  for (auto& one : Together(*store, Ids(5), change)) {
    EXPECT_EQ(one.get().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(runs, 10);
  for (const std::string& id : Ids(5)) EXPECT_FALSE(Has(*store, id));
}

TEST_F(PostgresStoreTest, LostEndOfATransactionIsSaidOfThoseThatChangedSomethingOnly) {
  auto store = Open({.connections = 1});
  ASSERT_TRUE(Put(*store, "left").ok());
  std::optional<AbsentStandby> standby;
  Store::Change change = [&](const Execution* known) {
    if (!standby) standby.emplace();
    return known == nullptr ? Count(known) : std::nullopt;
  };
  // The second "b" changes nothing, but has seen what the first did.
  auto done = Together(*store, {"a", "b", "b", "left"}, change);
  EXPECT_TRUE(Until([&] { return !Sessions("wait_event='SyncRep'").empty(); }));
  Terminate(Sessions("wait_event='SyncRep'"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(done[i].get().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(done[3].get().ok());
}

TEST_F(PostgresStoreTest, KeysAreFoundThroughTheirIndexFromTheFirstOn) {
  {
    auto store = Open({.connections = 1});
    for (const std::string& id : Ids(10)) ASSERT_TRUE(Put(*store, id).ok() && Has(*store, id));
    for (auto& one : Together(*store, Ids(10), Count)) EXPECT_TRUE(one.get().ok());
  }
  const auto scans = [this](const std::string& index) {
    return server().Sql("SELECT idx_scan::text FROM pg_stat_user_indexes WHERE schemaname='" +
                        place_->name() + "' AND indexrelname='sendstep_ledger_executions_" + index +
                        "'")[0];
  };
  EXPECT_TRUE(Until([&] { return scans("pkey") != "0"; }));  // a session's come when it ends
  EXPECT_EQ(scans("by_time"), "0");
}

TEST_F(PostgresStoreTest, ServerThatMayLoseWhatItCommittedIsRefused) {
  const absl::Status status = OpenStatus(place_->url("%20-csynchronous_commit%3Doff"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(Message(status), HasSubstr("synchronous_commit is off"));
  EXPECT_THAT(Message(status), HasSubstr("sent again"));
}

TEST_F(PostgresStoreTest, OtherDefaultIsolationMakesNoDifference) {
  auto store =
      PostgresStore::Open(place_->url("%20-cdefault_transaction_isolation%3Dserializable"), {});
  ASSERT_TRUE(store.ok()) << store.status();
  auto other = Open();
  std::vector<std::future<absl::Status>> done;
  for (int i = 0; i < 20; ++i) {
    done.push_back(std::async(std::launch::async, [&, i] {
      Store::Change next = [](const Execution* known) {
        Execution execution;
        execution.epoch = known == nullptr ? 1 : known->epoch + 1;
        return execution;
      };
      return Await((i % 2 == 0 ? **store : *other).Update({"execute", "t", "a"}, next));
    }));
  }
  for (auto& one : done) EXPECT_TRUE(one.get().ok());
  EXPECT_EQ((*Await(other->Read({"execute", "t", "a"})))->epoch, 20u);
}

TEST_F(PostgresStoreTest, NewerSchemaIsRefused) {
  ASSERT_TRUE(OpenStatus(place_->url()).ok());
  server().Sql("UPDATE " + place_->name() + ".sendstep_ledger_schema SET version=2");
  const absl::Status status = OpenStatus(place_->url());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("newer version"));
}

TEST_F(PostgresStoreTest, WrongPasswordIsNamedAndNotSaid) {
  EXPECT_TRUE(OpenStatus(server().GuardedUrl(PostgresServer::kPassword)).ok());
  const absl::Status status = OpenStatus(server().GuardedUrl("canary-7f3"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(Message(status), HasSubstr("password authentication failed"));
  EXPECT_THAT(Message(status), Not(HasSubstr("canary")));
  EXPECT_THAT(Message(status), Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace sendstep::ledger
