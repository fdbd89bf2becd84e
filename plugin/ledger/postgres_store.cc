#include "plugin/ledger/postgres_store.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <ranges>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plugin/ledger/job_queue.h"
#include "plugin/ledger/postgres_session.h"
#include "plugin/ledger/record.h"

namespace sendstep::ledger {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

constexpr size_t kMaxBatch = 64;
constexpr int kRuns = 2;
constexpr int kConnectAttempts = 3;
constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};

// True: `stop` was asked for before the time was over.
bool Pause(const std::stop_token& stop, milliseconds time) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
  return stop.stop_requested();
}

}  // namespace

// The threads and what they share; each has a session of its own.
class PostgresStore::Pool {
 public:
  using Other = absl::AnyInvocable<absl::Status(PostgresSession&)>;
  using Work = std::variant<PostgresUpdate, Other>;
  using Queue = JobQueue<Work>;
  using Session = std::unique_ptr<PostgresSession>;

  static absl::StatusOr<std::unique_ptr<Pool>> Open(PostgresUrl url,
                                                    const PostgresOptions& options) {
    std::unique_ptr<Pool> pool(new Pool(std::move(url), options));
    std::vector<Session> sessions;
    for (size_t i = 0; i < std::max<size_t>(options.connections, 1); ++i) {
      auto session = PostgresSession::Open(pool->url_, pool->timeouts_);
      if (!session.ok()) return session.status();
      sessions.push_back(*std::move(session));
    }
    pool->connected_ = sessions.size();
    for (Session& session : sessions) {
      pool->threads_.emplace_back(
          [self = pool.get(), session = std::move(session)](std::stop_token stop) mutable {
            self->Loop(stop, std::move(session));
          });
    }
    return pool;
  }

  ~Pool() {
    queue_.Close();
    for (std::jthread& thread : threads_) thread.request_stop();
  }

  Queue& queue() { return queue_; }
  absl::Status Health();

 private:
  using Job = Queue::Job;

  Pool(PostgresUrl url, const PostgresOptions& options)
      : url_(std::move(url)), timeouts_{options.connect_timeout, options.statement_timeout} {}

  void Loop(const std::stop_token& stop, Session session);
  void Do(std::vector<Job>& jobs, const std::stop_token& stop, Session& session);
  static absl::Status Run(std::vector<Job>& jobs, PostgresSession& session);
  absl::Status Connect(const std::stop_token& stop, Session& session);
  void Drop(Session& session);
  void Finish(Job& job, const absl::Status& status);

  const PostgresUrl url_;
  const PostgresConnection::Timeouts timeouts_;
  std::atomic<size_t> connected_ = 0;  // threads that have a session
  std::mutex mutex_;
  absl::Status health_;
  bool looking_ = false;               // a job of Health's is under way
  Queue queue_;                        // its jobs use what is above
  std::vector<std::jthread> threads_;  // joined first
};

// Without calls an error would stay for ever, and a replica that is not well gets no calls.
absl::Status PostgresStore::Pool::Health() {
  {
    const std::lock_guard lock(mutex_);
    if (health_.ok() || std::exchange(looking_, true)) return health_;
  }
  Other look = [](PostgresSession& session) { return session.Ping(); };
  Queue::Done looked = [this](const absl::Status&) {
    const std::lock_guard lock(mutex_);
    looking_ = false;
  };
  queue_.Add(std::move(look), std::move(looked));
  const std::lock_guard lock(mutex_);
  return health_;
}

void PostgresStore::Pool::Loop(const std::stop_token& stop, Session session) {
  const auto take = [this] {
    return queue_.Take(kMaxBatch, [](const Work& work) {
      const auto* update = std::get_if<PostgresUpdate>(&work);
      return update != nullptr && !update->alone;
    });
  };
  for (auto jobs = take(); !jobs.empty(); jobs = take()) Do(jobs, stop, session);
}

void PostgresStore::Pool::Do(std::vector<Job>& jobs, const std::stop_token& stop,
                             Session& session) {
  absl::Status status;
  bool again = true;  // the connection was lost and nothing changed
  for (int run = 1; again && run <= kRuns; ++run) {
    status = Connect(stop, session);
    if (!status.ok()) {
      // Where nobody has a connection, those who waited meanwhile need not wait for an attempt
      // each.
      if (connected_ == 0) {
        for (Job& waiting : queue_.TakeAll()) Finish(waiting, status);
      }
      break;
    }
    status = Run(jobs, *session);
    again = session->lost() && absl::IsUnavailable(status);
    if (session->lost()) Drop(session);
  }
  for (Job& job : std::views::reverse(jobs)) {  // so that the first is put back last
    auto* update = std::get_if<PostgresUpdate>(&job.work);
    if (update == nullptr || again || (!status.ok() && jobs.size() == 1)) {
      Finish(job, status);
    } else if (status.ok() && update->outcome) {
      Finish(job, *update->outcome);
    } else {
      // One of them cannot be done, or this one has to wait; the others need not suffer.
      update->alone = true;
      queue_.PutBack(std::move(job));
    }
  }
}

absl::Status PostgresStore::Pool::Run(std::vector<Job>& jobs, PostgresSession& session) {
  if (auto* other = std::get_if<Other>(&jobs.front().work)) return (*other)(session);
  std::vector<PostgresUpdate*> updates;
  for (Job& job : jobs) updates.push_back(&std::get<PostgresUpdate>(job.work));
  return session.Update(updates);
}

// Some attempts, or one where the last call found the database down.
absl::Status PostgresStore::Pool::Connect(const std::stop_token& stop, Session& session) {
  if (session != nullptr) return absl::OkStatus();
  const bool down = [this] {
    const std::lock_guard lock(mutex_);
    return connected_ == 0 && !health_.ok();
  }();
  milliseconds pause = kFirstPause;
  for (int attempt = 1;; ++attempt) {
    auto opened = PostgresSession::Open(url_, timeouts_);
    if (opened.ok()) {
      session = *std::move(opened);
      ++connected_;
      return absl::OkStatus();
    }
    // Nothing was changed, whatever is wrong with the server that there is now.
    const absl::Status status = absl::UnavailableError(opened.status().message());
    if (down || attempt == kConnectAttempts || Pause(stop, pause)) return status;
    pause = std::min(2 * pause, kLongestPause);
  }
}

void PostgresStore::Pool::Drop(Session& session) {
  session = nullptr;
  --connected_;
}

void PostgresStore::Pool::Finish(Job& job, const absl::Status& status) {
  if (!absl::IsInvalidArgument(status) && !IsDamagedRecord(status)) {
    const std::lock_guard lock(mutex_);
    health_ = status;
  }
  job.done(status);
}

absl::StatusOr<std::unique_ptr<PostgresStore>> PostgresStore::Open(const std::string& url,
                                                                   PostgresOptions options) {
  absl::StatusOr<PostgresUrl> parsed = PostgresUrl::Parse(url);
  if (!parsed.ok()) return parsed.status();
  auto pool = Pool::Open(*std::move(parsed), options);
  if (!pool.ok()) return pool.status();
  return std::unique_ptr<PostgresStore>(new PostgresStore(*std::move(pool)));
}

PostgresStore::PostgresStore(std::unique_ptr<Pool> pool) : pool_(std::move(pool)) {}
PostgresStore::~PostgresStore() = default;

asio::awaitable<absl::Status> PostgresStore::Update(Key key, Change change) {
  Pool::Work work = PostgresUpdate{.key = &key, .change = &change};
  co_return co_await Ask(pool_->queue(), std::move(work));
}

asio::awaitable<absl::StatusOr<std::optional<Execution>>> PostgresStore::Read(Key key) {
  Finding<std::optional<Execution>, PostgresSession> find = [&key](PostgresSession& session) {
    return session.Read(key);
  };
  co_return co_await AskFor(pool_->queue(), std::move(find));
}

asio::awaitable<absl::StatusOr<std::vector<Entry>>> PostgresStore::List(Query query) {
  Finding<std::vector<Entry>, PostgresSession> find = [&query](PostgresSession& session) {
    return session.List(query);
  };
  co_return co_await AskFor(pool_->queue(), std::move(find));
}

asio::awaitable<absl::StatusOr<size_t>> PostgresStore::Prune(Time before, size_t limit) {
  Finding<size_t, PostgresSession> find = [before, limit](PostgresSession& session) {
    return session.Prune(before, limit);
  };
  co_return co_await AskFor(pool_->queue(), std::move(find));
}

absl::Status PostgresStore::Health() const { return pool_->Health(); }

}  // namespace sendstep::ledger
