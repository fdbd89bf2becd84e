#include "plugin/token_source.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <string>
#include <utility>

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
using base::Secret;
using std::chrono::seconds;
using Outcome = std::optional<base::Result<Secret>>;

// A clock that the test moves, and an endpoint that answers what the test says.
class TokenSourceTest : public testing::Test {
 protected:
  asio::awaitable<base::Result<AccessToken>> Fetch(base::Deadline deadline) {
    ++fetches_;
    if (std::exchange(hang_, false)) {
      asio::steady_timer timer(context_, deadline.at);
      co_await timer.async_wait(asio::use_awaitable);
      co_return TokenNotFetched(base::ErrorClass::kTransient, "timeout");
    }
    // Lets others come while it is on its way.
    for (int i = 0; i < 10; ++i) {
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    if (fault_) co_return *fault_;
    AccessToken token{Secret("token-" + std::to_string(fetches_)), life_};
    co_return token;
  }

  void Begin(Outcome& outcome, base::Deadline deadline) {
    auto ask = [&outcome, deadline, this]() -> asio::awaitable<void> {
      outcome = co_await source_.Token(deadline);
    };
    asio::co_spawn(context_, ask, asio::detached);
  }
  void Finish() {
    context_.restart();
    context_.run();
  }
  base::Result<Secret> Ask() {
    Outcome outcome;
    Begin(outcome, base::Deadline::After(seconds(30)));
    Finish();
    return outcome.value();
  }
  std::string Token() { return std::string(Ask().value().Reveal()); }

  asio::io_context context_{1};
  base::Clock::time_point now_ = base::Clock::now();
  int fetches_ = 0;
  seconds life_{3600};
  bool hang_ = false;
  std::optional<base::Error> fault_;
  TokenSource source_{[this](base::Deadline deadline) { return Fetch(deadline); },
                      [this] { return now_; }};
};

TEST_F(TokenSourceTest, ATokenServesUntilAMinuteBeforeItsEnd) {
  EXPECT_EQ(Token(), "token-1");
  now_ += seconds(3539);
  EXPECT_EQ(Token(), "token-1");
  now_ += seconds(1);
  EXPECT_EQ(Token(), "token-2");
}

TEST_F(TokenSourceTest, AShortLifeIsUsedButForItsLastTenth) {
  life_ = seconds(100);
  EXPECT_EQ(Token(), "token-1");
  now_ += seconds(89);
  EXPECT_EQ(Token(), "token-1");
  now_ += seconds(1);
  EXPECT_EQ(Token(), "token-2");
}

TEST_F(TokenSourceTest, ThoseWhoComeAtOnceShareOneFetch) {
  Outcome first, second;
  Begin(first, base::Deadline::After(seconds(30)));
  Begin(second, base::Deadline::After(seconds(30)));
  Finish();
  EXPECT_EQ(first.value().value().Reveal(), "token-1");
  EXPECT_EQ(second.value().value().Reveal(), "token-1");
  EXPECT_EQ(fetches_, 1);
}

TEST_F(TokenSourceTest, AFailureStandsForAWhileThatDoubles) {
  fault_ = TokenNotFetched(base::ErrorClass::kTransient, "HTTP status 503");
  int expected = 0;
  for (const int pause : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_FALSE(Ask());
    EXPECT_EQ(fetches_, ++expected);
    now_ += seconds(pause) - std::chrono::milliseconds(1);
    EXPECT_EQ(Ask().error().detail, fault_->detail);
    EXPECT_EQ(fetches_, expected) << pause;
    now_ += std::chrono::milliseconds(1);
  }
  fault_.reset();
  EXPECT_TRUE(Ask());
}

TEST_F(TokenSourceTest, ATokenThatHasNotExpiredServesWhereNoOtherCanBeFetched) {
  EXPECT_EQ(Token(), "token-1");
  fault_ = TokenNotFetched(base::ErrorClass::kPermanent, "invalid_client");
  now_ += seconds(3540);
  EXPECT_EQ(Token(), "token-1");
  EXPECT_EQ(Token(), "token-1");
  EXPECT_EQ(fetches_, 2) << "the failure stands";
  now_ += seconds(60);
  EXPECT_FALSE(Ask());
}

TEST_F(TokenSourceTest, ARefusedTokenIsReplacedOnceAMinute) {
  const Secret first(Token());
  EXPECT_TRUE(source_.Refused(first));
  const Secret second(Token());
  EXPECT_EQ(second.Reveal(), "token-2");
  EXPECT_TRUE(source_.Refused(first)) << "another call has replaced it";
  EXPECT_EQ(Token(), "token-2");
  EXPECT_FALSE(source_.Refused(second));
  EXPECT_EQ(Token(), "token-2");
  now_ += seconds(60);
  EXPECT_TRUE(source_.Refused(second));
  EXPECT_EQ(Token(), "token-3");
}

TEST_F(TokenSourceTest, WhoeverRunsOutOfTimeLeavesTheFetchToTheNext) {
  hang_ = true;
  Outcome hasty, patient;
  Begin(hasty, base::Deadline::After(std::chrono::milliseconds(5)));
  Begin(patient, base::Deadline::After(seconds(30)));
  Finish();
  EXPECT_EQ(hasty.value().error().error_class, base::ErrorClass::kTransient);
  EXPECT_EQ(patient.value().value().Reveal(), "token-2");
}

}  // namespace
}  // namespace sendstep::plugin
