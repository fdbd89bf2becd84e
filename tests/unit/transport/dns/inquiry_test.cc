#include "transport/dns/inquiry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <memory>
#include <optional>

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using base::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using Pending = std::shared_ptr<std::optional<Answer>>;

// Answers every question with as many bytes as `size` says, when the test lets it.
class HeldLookup : public Lookup {
 public:
  explicit HeldLookup(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  void Release() {
    for (asio::steady_timer& gate : gates_) gate.cancel();
  }
  size_t waiting() const { return waiting_; }
  size_t asked() const { return gates_.size(); }

  asio::awaitable<Answer> Query(std::string name, RecordType, Deadline) override {
    if (hold) {
      asio::steady_timer& gate = gates_.emplace_back(executor_, base::Clock::time_point::max());
      ++waiting_;
      co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
      --waiting_;
    } else {
      gates_.emplace_back(executor_);
    }
    Answer answer;
    answer.outcome = Outcome::kFound;
    answer.records.resize(1);
    answer.records[0].text = name + std::string(size - name.size(), '.');
    co_return answer;
  }

  bool hold = false;
  size_t size = 100;

 private:
  const asio::any_io_executor executor_;
  std::list<asio::steady_timer> gates_;
  size_t waiting_ = 0;
};

class InquiryTest : public ::testing::Test {
 protected:
  InquiryTest() : strand_(asio::make_strand(context_)), lookup_(strand_) { Use({}); }

  void Use(const Budget& budget) { inquiry_.emplace(strand_, lookup_, budget); }

  void Run() {
    context_.restart();
    context_.poll();
  }

  template <class Done>
  void RunUntil(Done done) {
    const Deadline limit = Deadline::After(seconds(10));
    while (!done()) {
      ASSERT_FALSE(limit.Passed()) << "the event loop does not get there";
      context_.restart();
      context_.run_one_for(milliseconds(100));
    }
  }

  Pending Start(const std::string& name, RecordType type = RecordType::kTxt,
                asio::cancellation_slot slot = {}) {
    auto answer = std::make_shared<std::optional<Answer>>();
    auto done = [answer](std::exception_ptr failed, Answer result) {
      if (failed) std::rethrow_exception(failed);
      *answer = std::move(result);
    };
    asio::co_spawn(strand_, inquiry_->Ask(name, type), asio::bind_cancellation_slot(slot, done));
    return answer;
  }

  Answer Ask(const std::string& name, RecordType type = RecordType::kTxt) {
    const Pending answer = Start(name, type);
    RunUntil([&] { return answer->has_value(); });
    return answer->value_or(Answer());
  }

  asio::io_context context_;
  asio::strand<asio::io_context::executor_type> strand_;
  HeldLookup lookup_;
  std::optional<Inquiry> inquiry_;
};

TEST_F(InquiryTest, SameQuestionIsAskedOnce) {
  EXPECT_TRUE(Ask("a.test").found());
  EXPECT_TRUE(Ask("A.Test.").found());
  EXPECT_EQ(inquiry_->queries(), 1u);
  EXPECT_EQ(inquiry_->bytes(), 112u);  // and 12 of the record itself
  Ask("a.test", RecordType::kMx);
  Ask("b.test");
  EXPECT_EQ(inquiry_->queries(), 3u);
  EXPECT_EQ(lookup_.asked(), 3u);
}

TEST_F(InquiryTest, TwoWhoAskAtOnceShareAQuery) {
  lookup_.hold = true;
  const Pending first = Start("a.test"), second = Start("a.test");
  Run();
  EXPECT_EQ(lookup_.waiting(), 1u);
  lookup_.Release();
  Run();
  ASSERT_TRUE(first->has_value() && second->has_value());
  EXPECT_EQ((*first)->records[0].text, (*second)->records[0].text);
}

TEST_F(InquiryTest, QuestionsBegunRunSideBySide) {
  lookup_.hold = true;
  for (const char* name : {"a.test", "b.test", "c.test", "a.test"}) {
    inquiry_->Begin(name, RecordType::kTxt);
  }
  Run();
  EXPECT_EQ(lookup_.waiting(), 3u);
  const Pending answer = Start("b.test");
  Run();
  EXPECT_FALSE(answer->has_value());
  lookup_.Release();
  Run();
  EXPECT_TRUE(answer->has_value());
  EXPECT_EQ(inquiry_->queries(), 3u);
}

TEST_F(InquiryTest, QueriesPastTheBudgetAreNotAsked) {
  Budget budget;
  budget.queries = 2;
  Use(budget);
  inquiry_->Begin("a.test", RecordType::kTxt);
  EXPECT_TRUE(Ask("b.test").found());
  EXPECT_FALSE(inquiry_->spent());
  const Answer answer = Ask("c.test");
  EXPECT_EQ(answer.outcome, Outcome::kBudgetSpent);
  EXPECT_EQ(answer.detail, "not asked: 2 DNS queries are the limit");
  EXPECT_TRUE(inquiry_->spent());
  EXPECT_TRUE(Ask("a.test").found());
  EXPECT_EQ(lookup_.asked(), 2u);
}

TEST_F(InquiryTest, AnswerPastTheBudgetIsDroppedAndNoMoreIsAsked) {
  Budget budget;
  budget.bytes = 250;
  Use(budget);
  EXPECT_TRUE(Ask("a.test").found());
  lookup_.size = 126;
  EXPECT_TRUE(Ask("b.test").found());
  EXPECT_EQ(Ask("c.test").outcome, Outcome::kBudgetSpent);
  EXPECT_EQ(lookup_.asked(), 2u);

  Use(budget);
  lookup_.size = 251;
  const Answer answer = Ask("d.test");
  EXPECT_EQ(answer.outcome, Outcome::kBudgetSpent);
  EXPECT_TRUE(answer.records.empty());
  EXPECT_THAT(answer.detail, HasSubstr("this answer of 263 bytes"));
  EXPECT_EQ(Ask("d.test").outcome, Outcome::kBudgetSpent);
  EXPECT_EQ(inquiry_->bytes(), 250u);
  EXPECT_TRUE(inquiry_->spent());
}

TEST_F(InquiryTest, NothingIsAskedAfterTheDeadline) {
  Budget budget;
  budget.deadline = Deadline::After(seconds(-1));
  Use(budget);
  EXPECT_EQ(Ask("a.test").detail, "not asked: the time for DNS queries is over");
  EXPECT_EQ(lookup_.asked(), 0u);
}

TEST_F(InquiryTest, QuestionUnderWayAtTheDeadlineIsATimeout) {
  Budget budget;
  budget.deadline = Deadline::After(milliseconds(50));
  Use(budget);
  lookup_.hold = true;
  EXPECT_EQ(Ask("a.test").outcome, Outcome::kTimeout);
  EXPECT_EQ(lookup_.waiting(), 1u);
  EXPECT_EQ(Ask("a.test").outcome, Outcome::kTimeout);
  EXPECT_EQ(lookup_.asked(), 1u);
}

TEST_F(InquiryTest, CancelledAskLeavesTheQuestionToOthers) {
  lookup_.hold = true;
  asio::cancellation_signal signal;
  const Pending first = Start("a.test", RecordType::kTxt, signal.slot());
  const Pending second = Start("a.test");
  Run();
  signal.emit(asio::cancellation_type::terminal);
  Run();
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ((*first)->outcome, Outcome::kFailed);
  EXPECT_FALSE(second->has_value());
  lookup_.Release();
  Run();
  ASSERT_TRUE(second->has_value());
  EXPECT_TRUE((*second)->found());
}

TEST_F(InquiryTest, NameThatCannotBeAskedForCostsNothing) {
  EXPECT_EQ(Ask("a..test").outcome, Outcome::kNoDomain);
  inquiry_->Begin("", RecordType::kTxt);
  Run();
  EXPECT_EQ(inquiry_->queries(), 0u);
}

TEST_F(InquiryTest, MayGoWithQuestionsUnderWay) {
  lookup_.hold = true;
  inquiry_->Begin("a.test", RecordType::kTxt);
  Run();
  inquiry_.reset();
  lookup_.Release();
  Run();
  EXPECT_EQ(lookup_.waiting(), 0u);
}

TEST_F(InquiryTest, MayGoWithItsContext) {
  lookup_.hold = true;
  inquiry_->Begin("a.test", RecordType::kTxt);
  Start("a.test");
  Run();
  EXPECT_EQ(lookup_.waiting(), 1u);
}

}  // namespace
}  // namespace sendstep::dns
