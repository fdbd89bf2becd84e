#include "plugin/ledger_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "plugin/ledger/clock.h"
#include "plugin/logging.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class LedgerKeeperTest : public ::testing::Test {
 protected:
  LedgerKeeperTest() {
    InstallLogSinkForTest([](std::string_view) {});
    std::string name = (fs::temp_directory_path() / "ledger_keeper_test.XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    config_.file = folder_ / "ledger.db";
  }
  ~LedgerKeeperTest() override {
    InstallLogSinkForTest({});
    fs::remove_all(folder_);
  }

  absl::StatusOr<std::unique_ptr<LedgerKeeper>> Open(const char* key = "key") {
    return LedgerKeeper::Open(pool_.get_executor(), config_, "owner",
                              KeyedDigest(base::Secret(key)));
  }
  template <class T>
  T Await(asio::awaitable<T> work) {
    return asio::co_spawn(pool_, std::move(work), asio::use_future).get();
  }
  static ledger::Key Key(const char* id) { return {"execute", "t", id}; }
  void Put(ledger::Store& store, const char* id, ledger::State state, ledger::Time changed) {
    ledger::Store::Change change = [&](const ledger::Execution*) {
      ledger::Execution execution;
      execution.state = state;
      execution.updated_at = changed;
      return execution;
    };
    EXPECT_TRUE(Await(store.Update(Key(id), change)).ok());
  }
  bool Has(ledger::Store& store, const char* id) {
    const auto found = Await(store.Read(Key(id)));
    return found.ok() && found->has_value();
  }

  fs::path folder_;
  LedgerConfig config_;
  asio::thread_pool pool_{2};
};

TEST_F(LedgerKeeperTest, OpensTheLedgerItMadeWithTheSameKey) {
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(LedgerKeeperTest, AnotherKeyIsRefusedAndNothingIsTold) {
  ASSERT_TRUE(Open().ok());
  const auto again = Open("canary");
  ASSERT_FALSE(again.ok());
  EXPECT_THAT(std::string(again.status().message()),
              AllOf(HasSubstr("message-id.key"), Not(HasSubstr("canary"))));
  EXPECT_TRUE(Open().ok()) << "the first one's stays";
}

TEST_F(LedgerKeeperTest, TwoServersDoNotShareAFile) {
  const auto first = Open();
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(Open().ok());
}

TEST_F(LedgerKeeperTest, AFileOfAnotherKindIsLeftAlone) {
  std::ofstream(config_.file) << "precious";
  EXPECT_FALSE(Open().ok());
  EXPECT_EQ(fs::file_size(config_.file), 8u);
}

TEST_F(LedgerKeeperTest, ForgetsWhatIsOldAndOverAndTellsThatItIsWell) {
  config_.retention = std::chrono::minutes(10);
  const auto keeper = Open();
  ASSERT_TRUE(keeper.ok());
  ledger::Store& store = (*keeper)->store();
  const ledger::Time old = ledger::Now() - std::chrono::minutes(11);
  Put(store, "old", ledger::State::kSent, old);
  Put(store, "new", ledger::State::kSent, ledger::Now());
  Put(store, "unknown", ledger::State::kUncertain, old);
  std::atomic<int> told = 0;
  (*keeper)->Watch([&](bool well) {
    EXPECT_TRUE(well);
    ++told;
  });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (Has(store, "old") && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_FALSE(Has(store, "old"));
  EXPECT_TRUE(Has(store, "new"));
  EXPECT_TRUE(Has(store, "unknown"));
  EXPECT_EQ(told, 1);
  (*keeper)->Stop();
  (*keeper)->Stop();
}

}  // namespace
}  // namespace sendstep::plugin
