#include "transport/dns/inquiry.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <optional>
#include <utility>

#include "transport/dns/message.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using Key = std::pair<std::string, RecordType>;

Answer Without(Outcome outcome, std::string detail) {
  Answer answer;
  answer.outcome = outcome;
  answer.detail = std::move(detail);
  return answer;
}

Answer Cancelled() { return Without(Outcome::kFailed, "the lookup was cancelled"); }

// Roughly as on the wire, where each record has a name (a pointer), type, class, TTL and length.
size_t SizeOf(const Answer& answer) {
  constexpr size_t kRecordHeader = 12;
  size_t size = 0;
  for (const std::string& alias : answer.aliases) size += kRecordHeader + alias.size();
  for (const Record& record : answer.records) {
    size += kRecordHeader + record.name.size() + record.text.size();
    if (!record.address.is_unspecified()) size += record.address.is_v4() ? 4 : 16;
  }
  return size;
}

// A question and, at some time, its answer. `done` wakes all who wait for it.
struct Question {
  Question(const asio::any_io_executor& executor, base::Deadline deadline)
      : done(executor, deadline.at) {}
  asio::steady_timer done;
  std::optional<Answer> answer;
};

}  // namespace

struct Inquiry::State {
  State(const asio::any_io_executor& on, Lookup& with, const Budget& limits)
      : executor(on), lookup(with), budget(limits) {}

  std::shared_ptr<Question> Put(const std::shared_ptr<State>& self, Key key);
  // Why no more is asked; empty: the budget has something left.
  std::string Spent() const;
  void Take(Question& question, Answer answer);
  // Fetches the answer; whoever waits for it may have left meanwhile.
  static asio::awaitable<void> Fetch(std::shared_ptr<State> self,
                                     std::shared_ptr<Question> question, Key key);

  const asio::any_io_executor executor;
  Lookup& lookup;
  const Budget budget;
  std::map<Key, std::shared_ptr<Question>> questions;
  size_t queries = 0, bytes = 0;
  bool spent = false;
};

std::string Inquiry::State::Spent() const {
  if (queries >= budget.queries) {
    return "not asked: " + std::to_string(budget.queries) + " DNS queries are the limit";
  }
  if (bytes >= budget.bytes) {
    return "not asked: " + std::to_string(budget.bytes) + " bytes of DNS records are the limit";
  }
  if (budget.deadline.Passed()) return "not asked: the time for DNS queries is over";
  return "";
}

std::shared_ptr<Question> Inquiry::State::Put(const std::shared_ptr<State>& self, Key key) {
  if (auto known = questions.find(key); known != questions.end()) return known->second;
  auto question = std::make_shared<Question>(executor, budget.deadline);
  if (std::string why = Spent(); !why.empty()) {
    // Not kept: there is no end to the names that somebody may ask for.
    spent = true;
    question->answer = Without(Outcome::kBudgetSpent, std::move(why));
    return question;
  }
  ++queries;
  questions.emplace(key, question);
  asio::co_spawn(executor, Fetch(self, question, std::move(key)), asio::detached);
  return question;
}

asio::awaitable<void> Inquiry::State::Fetch(std::shared_ptr<State> self,
                                            std::shared_ptr<Question> question, Key key) {
  const base::Deadline deadline = self->budget.deadline;
  Answer answer = co_await self->lookup.Query(std::move(key.first), key.second, deadline);
  self->Take(*question, std::move(answer));
}

void Inquiry::State::Take(Question& question, Answer answer) {
  const size_t size = SizeOf(answer);
  if (size > budget.bytes - bytes) {
    bytes = budget.bytes;
    spent = true;
    answer =
        Without(Outcome::kBudgetSpent, "dropped: with this answer of " + std::to_string(size) +
                                           " bytes the limit of " + std::to_string(budget.bytes) +
                                           " bytes of DNS records is passed");
  } else {
    bytes += size;
  }
  question.answer = std::move(answer);
  question.done.cancel();
}

Inquiry::Inquiry(const asio::any_io_executor& executor, Lookup& lookup, const Budget& budget)
    : state_(std::make_shared<State>(executor, lookup, budget)) {}

Inquiry::~Inquiry() = default;

void Inquiry::Begin(const std::string& name, RecordType type) {
  if (std::optional<std::string> asked = AskableName(name)) {
    state_->Put(state_, Key(std::move(*asked), type));
  }
}

asio::awaitable<Answer> Inquiry::Ask(std::string name, RecordType type) {
  std::optional<std::string> asked = AskableName(name);
  if (!asked) co_return Without(Outcome::kNoDomain, "");
  co_await asio::this_coro::throw_if_cancelled(false);
  // A caller that was cancelled before does not wait for one answer after another.
  asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Cancelled();
  const std::shared_ptr<Question> question = state_->Put(state_, Key(std::move(*asked), type));
  if (!question->answer) {
    co_await question->done.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (question->answer) co_return *question->answer;
  state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Cancelled();
  co_return Without(Outcome::kTimeout, "no DNS answer in time");
}

size_t Inquiry::queries() const { return state_->queries; }
size_t Inquiry::bytes() const { return state_->bytes; }
bool Inquiry::spent() const { return state_->spent; }

}  // namespace sendstep::dns
