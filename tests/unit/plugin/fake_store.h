// A ledger in memory whose changes can be made to fail or to wait. As in a real store, they run on
// a thread of its own.
#ifndef SENDSTEP_TESTS_UNIT_PLUGIN_FAKE_STORE_H_
#define SENDSTEP_TESTS_UNIT_PLUGIN_FAKE_STORE_H_

#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "plugin/ledger/job_queue.h"
#include "plugin/ledger/store.h"

namespace sendstep::plugin {

// What a change is to an execution.
enum class Step { kLook, kBegin, kRenew, kGate, kSettle };

// Threads: thread-safe.
class FakeStore final : public ledger::Store {
 public:
  explicit FakeStore(bool shared = true) : shared_(shared), thread_([this] { Loop(); }) {}
  ~FakeStore() override { queue_.Close(); }

  // Changes of this kind fail, the next `times`. kInternal: Update throws instead, and the change
  // is made.
  void Fail(Step step, absl::Status status, int times = 1 << 20) {
    const std::lock_guard lock(mutex_);
    faults_[step] = {std::move(status), times};
  }
  void Heal() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
  }
  // The next change of this kind waits until Release(), and those of this kind behind it. It then
  // sees what is known then.
  void Hold(Step step) {
    const std::lock_guard lock(mutex_);
    held_ = step;
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    held_.reset();
    for (Job& job : parked_) queue_.Add(std::move(job.work), std::move(job.done));
    parked_.clear();
  }
  bool holds() const {
    const std::lock_guard lock(mutex_);
    return !parked_.empty();
  }

  // Changes of this kind that were made.
  int count(Step step) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(step);
    return found == counts_.end() ? 0 : found->second;
  }
  void Put(const ledger::Key& key, const ledger::Execution& execution) {
    const std::lock_guard lock(mutex_);
    executions_[key] = execution;
  }
  std::optional<ledger::Execution> Get(const ledger::Key& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = executions_.find(key);
    return found == executions_.end() ? std::nullopt : std::optional(found->second);
  }

  boost::asio::awaitable<absl::Status> Update(ledger::Key key, Change change) override {
    Work work = [&key, &change](FakeStore& store) { return store.Apply(key, change); };
    const absl::Status status = co_await ledger::Ask(queue_, std::move(work));
    if (absl::IsInternal(status)) throw std::runtime_error("a store that throws");
    co_return status;
  }
  boost::asio::awaitable<absl::StatusOr<std::optional<ledger::Execution>>> Read(
      ledger::Key key) override {
    co_return Get(key);
  }
  boost::asio::awaitable<absl::StatusOr<std::vector<ledger::Entry>>> List(ledger::Query) override {
    co_return std::vector<ledger::Entry>();
  }
  boost::asio::awaitable<absl::StatusOr<size_t>> Prune(ledger::Time, size_t) override {
    co_return size_t{0};
  }
  absl::Status Health() const override { return absl::OkStatus(); }
  bool Shared() const override { return shared_; }

 private:
  using Work = absl::AnyInvocable<absl::Status(FakeStore&)>;
  using Queue = ledger::JobQueue<Work>;
  using Job = Queue::Job;
  struct Fault {
    absl::Status status;
    int times = 0;
  };

  static Step StepOf(const ledger::Execution* known, const std::optional<ledger::Execution>& next) {
    if (!next) return Step::kLook;
    if (next->state == ledger::State::kCommitting) return Step::kGate;
    if (next->state != ledger::State::kReserved) return Step::kSettle;
    return known != nullptr && known->epoch == next->epoch ? Step::kRenew : Step::kBegin;
  }

  absl::Status Apply(const ledger::Key& key, const Change& change) {
    const std::lock_guard lock(mutex_);
    const auto found = executions_.find(key);
    const ledger::Execution* known = found == executions_.end() ? nullptr : &found->second;
    const std::optional<ledger::Execution> next = change(known);
    const Step step = StepOf(known, next);
    if (held_ == step) return absl::AbortedError("held");
    ++counts_[step];
    absl::Status status;
    if (auto fault = faults_.find(step); fault != faults_.end() && fault->second.times-- > 0) {
      status = fault->second.status;
    }
    if (next && (status.ok() || absl::IsInternal(status))) executions_[key] = *next;
    return status;
  }

  void Loop() {
    const auto take = [this] { return queue_.Take(1, [](const Work&) { return true; }); };
    for (auto jobs = take(); !jobs.empty(); jobs = take()) {
      Job& job = jobs.front();
      absl::Status status = job.work(*this);
      while (absl::IsAborted(status)) {
        {
          const std::lock_guard lock(mutex_);
          if (held_) {
            parked_.push_back(std::move(job));
            break;
          }
        }
        status = job.work(*this);
      }
      if (!absl::IsAborted(status)) job.done(status);
    }
  }

  const bool shared_;
  mutable std::mutex mutex_;
  std::map<ledger::Key, ledger::Execution> executions_;
  std::map<Step, Fault> faults_;
  std::map<Step, int> counts_;
  std::optional<Step> held_;
  std::vector<Job> parked_;
  Queue queue_;
  std::jthread thread_;  // joined first
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_TESTS_UNIT_PLUGIN_FAKE_STORE_H_
