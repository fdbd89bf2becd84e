#include "plugin/token_source.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
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
    if (throw_) throw std::runtime_error("a fault");
    if (slow_.count() > 0) {
      asio::steady_timer timer(context_, std::min(deadline.at, base::Clock::now() + slow_));
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
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
      outcome = co_await source_->Token(deadline);
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
  std::chrono::milliseconds slow_{0};
  bool throw_ = false;
  std::optional<base::Error> fault_;
  const std::shared_ptr<TokenSource> source_ = std::make_shared<TokenSource>(
      context_.get_executor(), [this](base::Deadline deadline) { return Fetch(deadline); },
      [this] { return now_; });
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
  EXPECT_TRUE(source_->Refused(first));
  const Secret second(Token());
  EXPECT_EQ(second.Reveal(), "token-2");
  EXPECT_TRUE(source_->Refused(first)) << "another call has replaced it";
  EXPECT_EQ(Token(), "token-2");
  EXPECT_FALSE(source_->Refused(second));
  EXPECT_EQ(Token(), "token-2");
  now_ += seconds(60);
  EXPECT_TRUE(source_->Refused(second));
  EXPECT_EQ(Token(), "token-3");
}

TEST_F(TokenSourceTest, AFetchOutlivesTheCallThatBeganIt) {
  Outcome hasty;
  Begin(hasty, base::Deadline{base::Clock::now()});
  Begin(hasty, base::Deadline::After(std::chrono::milliseconds(1)));
  Finish();
  EXPECT_EQ(Token(), "token-1");
  EXPECT_EQ(fetches_, 1);
}

TEST_F(TokenSourceTest, AnEndpointSlowerThanAllCallersStillGivesAToken) {
  slow_ = std::chrono::milliseconds(50);
  Outcome first, second;
  Begin(first, base::Deadline::After(std::chrono::milliseconds(5)));
  Begin(second, base::Deadline::After(std::chrono::milliseconds(10)));
  Finish();
  EXPECT_EQ(first.value().error().error_class, base::ErrorClass::kTransient);
  EXPECT_EQ(second.value().error().error_class, base::ErrorClass::kTransient);
  EXPECT_EQ(Token(), "token-1");
  EXPECT_EQ(fetches_, 1);
}

TEST_F(TokenSourceTest, AnExceptionOfTheFetchIsAFailureThatStands) {
  throw_ = true;
  EXPECT_EQ(Ask().error().cause, base::Cause::kTokenNotFetched);
  EXPECT_EQ(Ask().error().cause, base::Cause::kTokenNotFetched);
  EXPECT_EQ(fetches_, 1);
}

TEST_F(TokenSourceTest, AStopBreaksTheFetchOffAndThoseWhoWait) {
  slow_ = seconds(30);
  Outcome waiting;
  Begin(waiting, base::Deadline::After(seconds(30)));
  asio::post(context_, [this] { asio::post(context_, [this] { source_->Stop(); }); });
  Finish();
  EXPECT_EQ(waiting.value().error().cause, base::Cause::kStopped);
  EXPECT_EQ(Ask().error().cause, base::Cause::kStopped);
}

}  // namespace
}  // namespace sendstep::plugin
