// How a store's callers reach its threads: they await what a worker does for them. Private to the
// stores.
#ifndef SENDSTEP_PLUGIN_LEDGER_JOB_QUEUE_H_
#define SENDSTEP_PLUGIN_LEDGER_JOB_QUEUE_H_

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sendstep::ledger {

// Jobs in the order they came; `Work` is what a thread has to know to do one.
//
// Threads: thread-safe. Lifetime: outlives the threads that take from it; what is then left comes
// back kUnavailable.
template <class Work>
class JobQueue {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  struct Job {
    Work work;
    Done done;  // called once
  };

  JobQueue() = default;
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  ~JobQueue() {
    for (Job& job : jobs_) job.done(absl::UnavailableError("the ledger is closed"));
  }

  void Add(Work work, Done done) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back({std::move(work), std::move(done)});
    }
    added_.notify_one();
  }

  // Makes a job that was taken the next one again.
  void PutBack(Job job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_front(std::move(job));
    }
    added_.notify_one();
  }

  // Waits for a job and takes it; where it is one of those that can be done `together`, also those
  // right behind it that are, at most `most` in all. Empty: closed.
  std::vector<Job> Take(size_t most, bool (*together)(const Work&)) {
    std::unique_lock lock(mutex_);
    added_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
    if (closed_) return {};
    size_t count = 0;
    while (count < std::min(most, jobs_.size()) && together(jobs_[count].work)) ++count;
    return Front(std::max<size_t>(count, 1));
  }

  // Those that wait now.
  std::vector<Job> TakeAll() {
    const std::lock_guard lock(mutex_);
    return Front(jobs_.size());
  }

  // No thread gets a job any more.
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    added_.notify_all();
  }

 private:
  std::vector<Job> Front(size_t count) {
    std::vector<Job> front;
    for (; count > 0; --count) {
      front.push_back(std::move(jobs_.front()));
      jobs_.pop_front();
    }
    return front;
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Job> jobs_;
  bool closed_ = false;
};

// Has a thread do `work` and resumes the caller on its own executor.
template <class Work>
boost::asio::awaitable<absl::Status> Ask(JobQueue<Work>& queue, Work work) {
  namespace asio = boost::asio;
  auto initiate = [&queue](auto handler, Work what) {
    auto executor = asio::prefer(asio::get_associated_executor(handler),
                                 asio::execution::outstanding_work.tracked);
    auto done = [handler = std::move(handler), executor](absl::Status status) mutable {
      // Once the caller goes on, its executor may go: what counts as work there has to be destroyed
      // there, and nothing here may be more than a pointer to it.
      const auto on = asio::prefer(executor, asio::execution::outstanding_work.untracked);
      auto resume = [handler = std::move(handler), status = std::move(status),
                     work = std::move(executor)]() mutable {
        std::move(handler)(std::move(status));
      };
      asio::post(on, std::move(resume));
    };
    queue.Add(std::move(what), std::move(done));
  };
  const asio::use_awaitable_t<> token;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(absl::Status)>(
      initiate, token, std::move(work));
}

// The same for work that finds something; `Worker` is what a thread does it with.
template <class T, class Worker>
using Finding = absl::AnyInvocable<absl::StatusOr<T>(Worker&)>;
template <class T, class Worker, class Work>
boost::asio::awaitable<absl::StatusOr<T>> AskFor(JobQueue<Work>& queue, Finding<T, Worker> find) {
  absl::StatusOr<T> found;
  Work work = [&found, &find](Worker& worker) { return (found = find(worker)).status(); };
  const absl::Status status = co_await Ask(queue, std::move(work));
  if (!status.ok()) co_return status;
  co_return found;
}

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_JOB_QUEUE_H_
