#include "transport/dns/cached_lookup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <optional>
#include <vector>

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using base::Deadline;
using std::chrono::seconds;

// Gives `answer` to every question.
class CountingLookup : public Lookup {
 public:
  asio::awaitable<Answer> Query(std::string, RecordType, Deadline) override {
    ++asked;
    co_return answer;
  }
  Answer answer;
  std::atomic<int> asked = 0;
};

Answer Found(seconds ttl, size_t size = 1) {
  Answer answer;
  answer.outcome = Outcome::kFound;
  answer.ttl = ttl;
  answer.records.resize(1);
  answer.records[0].text.assign(size, 'x');
  return answer;
}

class CachedLookupTest : public ::testing::Test {
 protected:
  void Use(const CacheLimits& limits) {
    cache_.emplace(lookup_, limits, [this] { return now_; });
  }
  CachedLookupTest() { Use({}); }

  Answer Query(const std::string& name, RecordType type = RecordType::kTxt,
               Deadline deadline = Deadline::Never()) {
    asio::io_context context;
    auto answer = asio::co_spawn(context, cache_->Query(name, type, deadline), asio::use_future);
    context.run();
    return answer.get();
  }

  base::Clock::time_point now_ = base::Clock::now();
  CountingLookup lookup_;
  std::optional<CachedLookup> cache_;
};

TEST_F(CachedLookupTest, AnswerIsKeptForItsTtlAndShowsWhatIsLeft) {
  lookup_.answer = Found(seconds(60));
  EXPECT_EQ(Query("a.test").ttl, seconds(60));
  now_ += seconds(45);
  EXPECT_EQ(Query("A.test.").ttl, seconds(15));
  EXPECT_EQ(lookup_.asked, 1);
  now_ += seconds(15);
  Query("a.test");
  EXPECT_EQ(lookup_.asked, 2);
}

TEST_F(CachedLookupTest, LongTtlIsCapped) {
  lookup_.answer = Found(seconds(86400));
  EXPECT_EQ(Query("a.test").ttl, seconds(86400));
  now_ += seconds(299);
  Query("a.test");
  EXPECT_EQ(lookup_.asked, 1);
  now_ += seconds(1);
  Query("a.test");
  EXPECT_EQ(lookup_.asked, 2);
}

TEST_F(CachedLookupTest, TypesAreKeptApart) {
  lookup_.answer = Found(seconds(60));
  Query("a.test");
  Query("a.test", RecordType::kMx);
  EXPECT_EQ(lookup_.asked, 2);
}

TEST_F(CachedLookupTest, NegativeAnswerIsKeptForItsOwnTtl) {
  lookup_.answer.outcome = Outcome::kNoDomain;
  lookup_.answer.ttl = seconds(10);
  Query("a.test");
  now_ += seconds(9);
  EXPECT_EQ(Query("a.test").outcome, Outcome::kNoDomain);
  EXPECT_EQ(lookup_.asked, 1);
  lookup_.answer.ttl = seconds(0);  // without an SOA
  Query("b.test");
  Query("b.test");
  EXPECT_EQ(lookup_.asked, 3);
}

TEST_F(CachedLookupTest, FailuresAreKeptForSeconds) {
  for (Outcome outcome : {Outcome::kFailed, Outcome::kTimeout}) {
    Use({});
    lookup_.asked = 0;
    lookup_.answer.outcome = outcome;
    Query("a.test");
    now_ += seconds(2);
    EXPECT_EQ(Query("a.test").outcome, outcome);
    EXPECT_EQ(lookup_.asked, 1);
    now_ += seconds(1);
    Query("a.test");
    EXPECT_EQ(lookup_.asked, 2);
  }
}

TEST_F(CachedLookupTest, WhatTheCallersDeadlineEndedIsNotKept) {
  lookup_.answer.outcome = Outcome::kTimeout;
  Query("a.test", RecordType::kTxt, Deadline::After(seconds(-1)));
  EXPECT_EQ(cache_->entries(), 0u);
}

TEST_F(CachedLookupTest, WhatACancellationEndedIsNotKept) {
  class Waiting : public Lookup {
   public:
    asio::awaitable<Answer> Query(std::string, RecordType, Deadline) override {
      asio::steady_timer never(co_await asio::this_coro::executor, base::Clock::time_point::max());
      co_await never.async_wait(asio::as_tuple(asio::use_awaitable));
      co_return Answer();
    }
  } waiting;
  CachedLookup cache(waiting);
  asio::io_context context;
  asio::cancellation_signal signal;
  std::optional<Answer> answer;
  auto done = [&](std::exception_ptr, Answer result) { answer = std::move(result); };
  asio::co_spawn(context, cache.Query("a.test", RecordType::kTxt, Deadline::Never()),
                 asio::bind_cancellation_slot(signal.slot(), done));
  context.poll();
  signal.emit(asio::cancellation_type::terminal);
  context.restart();
  context.poll();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->outcome, Outcome::kFailed);
  EXPECT_EQ(cache.entries(), 0u);
}

TEST_F(CachedLookupTest, LeastRecentlyUsedGoesFirst) {
  CacheLimits limits;
  limits.entries = 2;
  Use(limits);
  lookup_.answer = Found(seconds(60));
  Query("a.test");
  Query("b.test");
  Query("a.test");
  Query("c.test");
  EXPECT_EQ(cache_->entries(), 2u);
  Query("a.test");
  EXPECT_EQ(lookup_.asked, 3);
  Query("b.test");
  EXPECT_EQ(lookup_.asked, 4);
}

TEST_F(CachedLookupTest, BytesAreBounded) {
  CacheLimits limits;
  limits.bytes = 100000;
  Use(limits);
  lookup_.answer = Found(seconds(60), 20000);
  for (int i = 0; i < 20; ++i) {
    Query(std::to_string(i) + ".test");
    EXPECT_LE(cache_->bytes(), limits.bytes);
  }
  EXPECT_EQ(cache_->entries(), 4u);
  lookup_.answer = Found(seconds(60), 30000);
  Query("large.test");
  Query("large.test");
  EXPECT_EQ(lookup_.asked, 22);
  EXPECT_EQ(cache_->entries(), 4u);
}

TEST_F(CachedLookupTest, NameThatCannotBeAskedForIsNoDomain) {
  EXPECT_EQ(Query("a..test").outcome, Outcome::kNoDomain);
  EXPECT_EQ(lookup_.asked, 0);
}

// Meant for ThreadSanitizer.
TEST(CachedLookup, ServesManyThreads) {
  CountingLookup lookup;
  lookup.answer = Found(seconds(60));
  CacheLimits limits;
  limits.entries = 3;
  CachedLookup cache(lookup, limits);
  asio::thread_pool callers(4);
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 1000; ++i) {
    answers.push_back(asio::co_spawn(
        callers, cache.Query(std::to_string(i % 5), RecordType::kTxt, Deadline::Never()),
        asio::use_future));
  }
  for (std::future<Answer>& answer : answers) EXPECT_TRUE(answer.get().found());
  EXPECT_LE(cache.entries(), 3u);
}

}  // namespace
}  // namespace sendstep::dns
