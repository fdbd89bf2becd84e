#include "tests/unit/plugin/ledger/store_conformance.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <set>
#include <vector>

#include "plugin/ledger/key_check.h"

namespace sendstep::ledger {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_P(StoreConformance, WhatWasStoredIsReadBack) {
  EXPECT_EQ(Get(KeyOf("a")), std::nullopt);
  const Execution stored = At(State::kReserved, 5);
  ASSERT_TRUE(Put(KeyOf("a"), stored).ok());
  EXPECT_EQ(Get(KeyOf("a")), stored);
}

TEST_P(StoreConformance, KeysOfOtherTenantsAndSpacesAreOthers) {
  ASSERT_TRUE(Put(KeyOf("a"), At(State::kSent, 5)).ok());
  EXPECT_EQ(Get(KeyOf("a", "other")), std::nullopt);
  EXPECT_EQ(Get({"test", "t", "a"}), std::nullopt);
  EXPECT_THAT(Ids(All("other")), IsEmpty());
}

TEST_P(StoreConformance, KeysMayHoldAnyBytesThatAreText) {
  const Key strange = KeyOf("a'b\"c\\d%_;--\xC3\xA9", "t'--");
  ASSERT_TRUE(Put(strange, At(State::kSent, 5)).ok());
  EXPECT_EQ(Get(strange), At(State::kSent, 5));
  EXPECT_EQ(Get(KeyOf("a'b\"c\\d%_;--\xC3\xA9")), std::nullopt);
}

TEST_P(StoreConformance, ChangeSeesWhatIsStoredAndMayLeaveIt) {
  ASSERT_TRUE(Put(KeyOf("a"), At(State::kReserved, 5, 3)).ok());
  uint64_t seen = 0;
  Store::Change look = [&](const Execution* known) -> std::optional<Execution> {
    seen = known->epoch;
    return std::nullopt;
  };
  ASSERT_TRUE(Await(store_->Update(KeyOf("a"), look)).ok());
  EXPECT_EQ(seen, 3u);
  EXPECT_EQ(Get(KeyOf("a")), At(State::kReserved, 5, 3));
}

TEST_P(StoreConformance, ChangesOfOneKeyComeOneAfterTheOther) {
  constexpr int kCallers = 200;
  Store& other = Other();
  asio::thread_pool pool(4);
  auto count = [](Store& store) -> asio::awaitable<absl::Status> {
    Store::Change next = [](const Execution* known) {
      return At(State::kReserved, 5, known == nullptr ? 1 : known->epoch + 1);
    };
    co_return co_await store.Update(KeyOf("counter"), next);
  };
  std::vector<std::future<absl::Status>> done;
  for (int i = 0; i < kCallers; ++i) {
    done.push_back(asio::co_spawn(pool, count(i % 2 == 0 ? *store_ : other), asio::use_future));
  }
  for (auto& one : done) {
    const absl::Status status = one.get();
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(Get(KeyOf("counter"))->epoch, static_cast<uint64_t>(kCallers));
}

TEST_P(StoreConformance, OneOfManyWinsTheGate) {
  ASSERT_TRUE(Put(KeyOf("raced"), At(State::kReserved, 5)).ok());
  Store& other = Other();
  asio::thread_pool pool(4);
  std::atomic<int> winners = 0;
  auto race = [&winners](Store& store) -> asio::awaitable<void> {
    bool won = false;
    Store::Change gate = [&won](const Execution* known) -> std::optional<Execution> {
      const std::vector<size_t> offered = {0};
      auto gated = Gate(*known, 1, offered, {milliseconds(1), milliseconds(1)}, known->updated_at);
      won = gated.has_value();
      return gated;
    };
    const absl::Status status = co_await store.Update(KeyOf("raced"), gate);
    EXPECT_TRUE(status.ok()) << status;
    if (won) ++winners;
  };
  std::vector<std::future<void>> done;
  for (int i = 0; i < 64; ++i) {
    done.push_back(asio::co_spawn(pool, race(i % 2 == 0 ? *store_ : other), asio::use_future));
  }
  for (auto& one : done) one.get();
  EXPECT_EQ(winners, 1);
}

TEST_P(StoreConformance, ExecutorMayGoOnceItsCallIsBack) {
  // Each has an executor of its own, where the next one then is.
  for (int i = 0; i < 300; ++i) ASSERT_EQ(Get(KeyOf("a")), std::nullopt);
}

TEST_P(StoreConformance, AnotherOpeningSeesIt) {
  ASSERT_TRUE(Put(KeyOf("a"), At(State::kUncertain, 5)).ok());
  store_ = nullptr;
  store_ = place_->Open();
  EXPECT_EQ(Get(KeyOf("a")), At(State::kUncertain, 5));
}

TEST_P(StoreConformance, ListIsByTimeThenIdInPages) {
  for (const auto& [id, at] : {std::pair("c", 1), {"b", 2}, {"a", 2}, {"d", 3}}) {
    ASSERT_TRUE(Put(KeyOf(id), At(State::kSent, at)).ok());
  }
  EXPECT_THAT(Ids(All()), ElementsAre("c", "a", "b", "d"));
  Query page = All();
  page.limit = 2;
  auto first = Await(store_->List(page));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ((*first)[1].key, KeyOf("a"));
  page.after = first->back();
  EXPECT_THAT(Ids(page), ElementsAre("b", "d"));
}

TEST_P(StoreConformance, ListFiltersByStateAndTime) {
  ASSERT_TRUE(Put(KeyOf("sent"), At(State::kSent, 10)).ok());
  ASSERT_TRUE(Put(KeyOf("uncertain"), At(State::kUncertain, 20)).ok());
  ASSERT_TRUE(Put(KeyOf("late"), At(State::kUncertain, 30)).ok());
  Query query = All();
  query.state = State::kUncertain;
  EXPECT_THAT(Ids(query), ElementsAre("uncertain", "late"));
  query.from = Time(milliseconds(20));
  query.until = Time(milliseconds(30));
  EXPECT_THAT(Ids(query), ElementsAre("uncertain"));
}

TEST_P(StoreConformance, ListHoldsAChangedExecutionOnce) {
  ASSERT_TRUE(Put(KeyOf("a"), At(State::kReserved, 10)).ok());
  ASSERT_TRUE(Put(KeyOf("a"), At(State::kSent, 20)).ok());
  EXPECT_THAT(Ids(All()), ElementsAre("a"));
  Query query = All();
  query.state = State::kReserved;
  EXPECT_THAT(Ids(query), IsEmpty());
}

TEST_P(StoreConformance, PruneRemovesWhatIsOldAndSettledSomeAtATime) {
  for (const auto& [id, state] : {std::pair("sent", State::kSent),
                                  {"pending", State::kPending},
                                  {"failed", State::kFailed},
                                  {"uncertain", State::kUncertain},
                                  {"held", State::kCommitting}}) {
    ASSERT_TRUE(Put(KeyOf(id), At(state, 10)).ok());
  }
  ASSERT_TRUE(Put(KeyOf("young"), At(State::kSent, 20)).ok());
  EXPECT_EQ(*Await(store_->Prune(Time(milliseconds(20)), 2)), 2u);
  EXPECT_EQ(*Await(store_->Prune(Time(milliseconds(20)), 100)), 1u);
  EXPECT_EQ(*Await(store_->Prune(Time(milliseconds(20)), 100)), 0u);
  EXPECT_THAT(Ids(All()), ElementsAre("held", "uncertain", "young"));
}

TEST_P(StoreConformance, KeyOfTheFirstUserIsTheOneForAll) {
  EXPECT_TRUE(Await(CheckKey(*store_, "one")).ok());
  EXPECT_TRUE(Await(CheckKey(Other(), "one")).ok());
  const absl::Status other = Await(CheckKey(Other(), "two"));
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()), HasSubstr("message-id.key"));
  EXPECT_TRUE(Await(CheckKey(*store_, "one")).ok());
}

TEST_P(StoreConformance, KeyIsKeptForGoodAndIsNobodysExecution) {
  const std::string bytes("\0\xff\x80", 3);
  ASSERT_TRUE(Await(CheckKey(*store_, bytes)).ok());
  EXPECT_EQ(*Await(store_->Prune(Time::max(), 100)), 0u);
  EXPECT_THAT(Ids(All()), IsEmpty());
  EXPECT_THAT(Ids(All("")), IsEmpty());
  other_ = nullptr;
  store_ = nullptr;
  store_ = place_->Open();
  EXPECT_TRUE(Await(CheckKey(*store_, bytes)).ok());
  EXPECT_FALSE(Await(CheckKey(*store_, "two")).ok());
}

TEST_P(StoreConformance, OfTwoKeysThatComeFirstTogetherOneWins) {
  Store& other = Other();
  asio::thread_pool pool(4);
  std::vector<std::future<absl::Status>> checks;
  for (int i = 0; i < 40; ++i) {
    Store& store = i % 4 < 2 ? *store_ : other;
    const std::string value = i % 2 == 0 ? "even" : "odd";
    checks.push_back(asio::co_spawn(pool, CheckKey(store, value), asio::use_future));
  }
  std::set<int> winners;
  for (int i = 0; i < 40; ++i) {
    const absl::Status status = checks[i].get();
    if (status.ok()) winners.insert(i % 2);
    EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status)) << status;
  }
  EXPECT_EQ(winners.size(), 1u);
}

TEST_P(StoreConformance, HealthIsGood) { EXPECT_TRUE(store_->Health().ok()); }

}  // namespace

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);

}  // namespace sendstep::ledger
