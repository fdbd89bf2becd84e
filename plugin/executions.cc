#include "plugin/executions.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>
#include <variant>

#include "plugin/ledger/clock.h"
#include "plugin/logging.h"
#include "plugin/send_email.h"
#include "plugin/timeline.h"
#include "providers/explain.h"
#include "transport/base/failpoint.h"
#include "transport/smtp/gate.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// From the send's deadline to the answer: what it takes to write down that it was missed.
constexpr milliseconds kSettleGrace{50};
// Between two looks at an id that another process has.
constexpr milliseconds kFirstLook{10};
constexpr milliseconds kLastLook{1000};
constexpr milliseconds kSettleAgain{1000};

asio::awaitable<bool> Cancelled() {
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

asio::awaitable<void> WaitUntil(base::Clock::time_point at) {
  asio::steady_timer timer(co_await asio::this_coro::executor, at);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

base::Error NotSent(base::Cause cause, std::string detail) {
  return base::Failed(base::Stage::kDns, cause, base::ErrorClass::kTransient, std::move(detail));
}

Executed Ended(base::Error error) {
  Executed executed;
  executed.execution.state = ledger::State::kFailed;
  executed.error = std::move(error);
  return executed;
}

Executed Of(Executed::Kind kind) {
  Executed executed;
  executed.kind = kind;
  return executed;
}

void LogLedger(std::string_view what, const ledger::Key& key, const absl::Status& status) {
  Log(Level::kError, "ledger_failed",
      {{"doing", what}, {"request_id", key.request_id}, {"detail", std::string(status.message())}});
}

std::string_view StateName(ledger::State state) {
  switch (state) {
    case ledger::State::kReserved:
      return "reserved";
    case ledger::State::kCommitting:
      return "committing";
    case ledger::State::kSent:
      return "sent";
    case ledger::State::kPending:
      return "pending";
    case ledger::State::kFailed:
      return "failed";
    case ledger::State::kUncertain:
      return "uncertain";
  }
  return "";
}

// Whether the answer of a run that another call began is this one's answer too.
bool Concerns(const Executed& answer, const ExecutionRequest& begun_by, base::Deadline its_deadline,
              const ExecutionRequest& request) {
  if (begun_by.fingerprint != request.fingerprint) return false;
  if (answer.kind == Executed::Kind::kLeft || answer.kind == Executed::Kind::kInProgress) {
    return false;
  }
  if (answer.kind == Executed::Kind::kReplayed &&
      answer.execution.state == ledger::State::kUncertain && request.command.resend_on_uncertain) {
    return begun_by.command.resend_on_uncertain;
  }
  if (!answer.error || answer.error->error_class == base::ErrorClass::kUncertain) return true;
  // It ended for want of the one who began it. Silence has other causes than kTimeout too.
  if (answer.error->cause == base::Cause::kCancelled) return false;
  return answer.error->reply.has_value() || !its_deadline.Passed();
}

// Lets the end of the message pass when the ledger has recorded that it may have been sent.
class LedgerGate final : public smtp::Gate {
 public:
  // All outlive this.
  LedgerGate(ledger::Store& store, const ledger::Key& key, const ledger::Timing& timing,
             const ledger::Proceed& proceed)
      : store_(store),
        key_(key),
        timing_(timing),
        proceed_(proceed),
        execution_(proceed.execution) {}

  // Asked once: an attempt may try again, with another token, as long as nothing came of the first.
  asio::awaitable<bool> Pass(std::span<const size_t> accepted) override {
    if (passed_) co_return std::ranges::includes(*passed_, accepted);
    std::vector<size_t> offered;
    for (const size_t index : accepted) offered.push_back(proceed_.send_to.at(index));
    const uint64_t epoch = proceed_.execution.epoch;
    bool opened = false;
    const ledger::Store::Change change = [&](const ledger::Execution* known) {
      std::optional<ledger::Execution> next;
      if (known != nullptr) next = ledger::Gate(*known, epoch, offered, timing_, ledger::Now());
      opened = next.has_value();
      if (next) execution_ = *next;
      return next;
    };
    base::Failpoint("before_gate");
    const absl::Status status = co_await store_.Update(key_, change);
    if (!status.ok()) LogLedger("gate", key_, status);
    if (status.ok() && opened) passed_.emplace(accepted.begin(), accepted.end());
    co_return passed_.has_value();
  }

  // As far as this attempt knows.
  const ledger::Execution& execution() const { return execution_; }

 private:
  ledger::Store& store_;
  const ledger::Key& key_;
  const ledger::Timing& timing_;
  const ledger::Proceed& proceed_;
  ledger::Execution execution_;
  std::optional<std::vector<size_t>> passed_;
};

// To the recipients `send_to` alone.
smtp::Envelope EnvelopeOf(const SendCommand& command, const std::vector<size_t>& send_to) {
  smtp::Envelope envelope = command.envelope;
  envelope.recipients.clear();
  for (const size_t index : send_to) {
    envelope.recipients.push_back(command.envelope.recipients.at(index));
  }
  return envelope;
}

ledger::Execution::Reply LedgerReply(const base::Reply& reply) {
  return {reply.code, reply.enhanced_code};
}

}  // namespace

class Executions::Run {
 public:
  Run(const asio::any_io_executor& executor, std::shared_ptr<const ExecutionRequest> the_request,
      base::Deadline the_deadline, Metrics* metrics)
      : request(std::move(the_request)),
        deadline(the_deadline),
        strand(asio::make_strand(executor)),
        timeline(metrics) {}

  const std::shared_ptr<const ExecutionRequest> request;
  const base::Deadline deadline;  // of the call that began it
  const asio::strand<asio::any_io_executor> strand;

  // On the strand.
  asio::cancellation_signal cancel;
  bool begun = false;  // before that nobody heeds `cancel`
  Timeline timeline;
  uint64_t epoch = 0;
  ledger::Verdict verdict;
  bool settled = true;  // what the attempt came to is recorded

  // Under the executions' lock.
  std::vector<std::shared_ptr<net::Wakeup>> waiters;
  std::shared_ptr<const Executed> answer;
  bool kept = false;  // answered, but not over

  std::atomic<bool> left = false;       // by its last waiter
  std::atomic<bool> in_ledger = false;  // the ledger has answered once
};

// Tells the ledger from time to time that the owner lives, while a run is on its way to the gate.
class Executions::Renewal : public std::enable_shared_from_this<Renewal> {
 public:
  Renewal(Executions& executions, const Run& run, uint64_t epoch)
      : executions_(executions), key_(run.request->key), epoch_(epoch), timer_(run.strand) {}

  // On the run's strand, as Stop.
  void Start() {
    timer_.expires_after(executions_.options_.timing.lease / 3);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error && !self->stopped_) self->Renew();
    });
  }
  void Stop() {
    stopped_ = true;
    timer_.cancel();
  }

 private:
  void Renew() {
    ++executions_.running_;
    auto once = [self = shared_from_this()]() -> asio::awaitable<bool> {
      const ledger::Timing& timing = self->executions_.options_.timing;
      bool still_ours = true;
      const ledger::Store::Change change = [&](const ledger::Execution* known) {
        std::optional<ledger::Execution> next;
        if (known != nullptr) next = ledger::Renew(*known, self->epoch_, timing, ledger::Now());
        still_ours = next.has_value();
        return next;
      };
      const absl::Status status = co_await self->executions_.store_.Update(self->key_, change);
      co_return !status.ok() || still_ours;
    };
    auto done = [self = shared_from_this()](const std::exception_ptr& exception, bool again) {
      if (!exception && again && !self->stopped_) self->Start();
      --self->executions_.running_;
    };
    asio::co_spawn(timer_.get_executor(), once, done);
  }

  Executions& executions_;
  const ledger::Key key_;
  const uint64_t epoch_;
  asio::steady_timer timer_;
  bool stopped_ = false;
};

// Renews as long as it lives.
class Executions::Renewing {
 public:
  Renewing(Executions& executions, const Run& run, uint64_t epoch)
      : renewal_(std::make_shared<Renewal>(executions, run, epoch)) {
    renewal_->Start();
  }
  ~Renewing() { renewal_->Stop(); }
  Renewing(const Renewing&) = delete;
  Renewing& operator=(const Renewing&) = delete;

 private:
  const std::shared_ptr<Renewal> renewal_;
};

Executions::Executions(asio::any_io_executor executor, ledger::Store& store, net::Mailer& mailer,
                       Metrics& metrics, Options options)
    : executor_(std::move(executor)),
      store_(store),
      mailer_(mailer),
      metrics_(metrics),
      options_(std::move(options)) {}

Executions::~Executions() = default;

// Callers.

asio::awaitable<std::shared_ptr<const Executed>> Executions::Execute(
    std::shared_ptr<const ExecutionRequest> request, base::Deadline deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const base::Deadline answer_by{deadline.at + kSettleGrace};
  for (;;) {
    const auto waiter = std::make_shared<net::Wakeup>(executor, answer_by.at);
    const std::shared_ptr<Run> run = Join(request, deadline, waiter);
    if (!co_await Cancelled()) {
      co_await waiter->Wait();
    }
    const auto [answer, kept] = Leave(run, waiter);
    if (answer &&
        (run->request == request || Concerns(*answer, *run->request, run->deadline, *request))) {
      co_return answer;
    }
    if (co_await Cancelled()) co_return std::make_shared<Executed>(Of(Executed::Kind::kLeft));
    if (answer_by.Passed()) {
      co_return std::make_shared<Executed>(
          Of(run->in_ledger ? Executed::Kind::kInProgress : Executed::Kind::kLedgerUnavailable));
    }
    // What it came to cannot be recorded: until it is, nothing else happens to this id.
    if (answer && kept) {
      co_return std::make_shared<Executed>(Of(Executed::Kind::kLedgerUnavailable));
    }
  }
}

std::shared_ptr<Executions::Run> Executions::Join(
    const std::shared_ptr<const ExecutionRequest>& request, base::Deadline deadline,
    const std::shared_ptr<net::Wakeup>& waiter) {
  std::shared_ptr<Run> run;
  {
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = runs_.try_emplace(request->key);
    if (!is_new) {
      found->second->waiters.push_back(waiter);
      if (found->second->answer) waiter->Wake();
      return found->second;
    }
    run = std::make_shared<Run>(executor_, request, deadline, &metrics_);
    run->waiters.push_back(waiter);
    found->second = run;
  }
  Start(run);
  return run;
}

Executions::Answer Executions::Leave(const std::shared_ptr<Run>& run,
                                     const std::shared_ptr<net::Wakeup>& waiter) {
  const std::lock_guard lock(mutex_);
  std::erase(run->waiters, waiter);
  if (!run->answer && run->waiters.empty()) {
    run->left = true;
    Cancel(run);
  }
  return {run->answer, run->kept};
}

void Executions::Abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  for (const auto& [key, run] : runs_) Cancel(run);
}

// Runs.

// After `left` or `abandoned_` was set, which a run looks at where it waits for nothing.
void Executions::Cancel(const std::shared_ptr<Run>& run) {
  asio::post(run->strand, [run] {
    if (run->begun) run->cancel.emit(asio::cancellation_type::terminal);
  });
}

void Executions::Start(const std::shared_ptr<Run>& run) {
  ++running_;
  auto body = [this, run] { return Drive(*run); };
  auto done = [this, run](std::exception_ptr exception) {
    if (exception) {
      Log(Level::kError, "internal_error", {{"request_id", run->request->key.request_id}});
      // Nobody knows how far it came; the ledger does.
      Publish(*run, Of(Executed::Kind::kInProgress), /*keep=*/false);
    }
    --running_;
  };
  asio::co_spawn(run->strand, body, asio::bind_cancellation_slot(run->cancel.slot(), done));
}

asio::awaitable<void> Executions::Drive(Run& run) {
  co_await asio::this_coro::throw_if_cancelled(false);
  run.begun = true;
  Executed executed = co_await Attempt(run);
  base::Failpoint("settled");
  Publish(run, std::move(executed), /*keep=*/!run.settled);
  if (run.settled) co_return;
  co_await SettleLater(run);
  Remove(run);
}

void Executions::Publish(Run& run, Executed executed, bool keep) {
  auto answer = std::make_shared<const Executed>(std::move(executed));
  std::vector<std::shared_ptr<net::Wakeup>> waiters;
  {
    const std::lock_guard lock(mutex_);
    run.answer = answer;
    run.kept = keep;
    waiters = run.waiters;
    if (!keep) runs_.erase(run.request->key);
  }
  for (const auto& waiter : waiters) waiter->Wake();
  if (!waiters.empty() || answer->kind != Executed::Kind::kEnded) return;
  Log(Level::kInfo, "ended_without_caller",
      {{"request_id", run.request->key.request_id},
       {"message_id", run.request->message_id},
       {"state", StateName(answer->execution.state)},
       {"reason", answer->execution.reason}});
}

void Executions::Remove(Run& run) {
  const std::lock_guard lock(mutex_);
  runs_.erase(run.request->key);
}

asio::awaitable<Executed> Executions::Attempt(Run& run) {
  for (milliseconds pause = kFirstLook;; pause = std::min(2 * pause, kLastLook)) {
    if (abandoned_) co_return Ended(NotSent(base::Cause::kStopped, "stopping"));
    if (run.left) co_return Ended(NotSent(base::Cause::kCancelled, "cancelled"));
    base::Failpoint("begin");
    absl::StatusOr<ledger::Decision> decision = co_await Begin(run);
    if (!decision.ok()) {
      LogLedger("begin", run.request->key, decision.status());
      co_return Of(Executed::Kind::kLedgerUnavailable);
    }
    run.in_ledger = true;
    if (std::holds_alternative<ledger::Reused>(*decision)) co_return Of(Executed::Kind::kReused);
    if (auto* replay = std::get_if<ledger::Replay>(&*decision)) {
      Executed executed = Of(Executed::Kind::kReplayed);
      executed.execution = std::move(replay->execution);
      co_return executed;
    }
    if (auto* proceed = std::get_if<ledger::Proceed>(&*decision)) {
      base::Failpoint("reserved");
      std::optional<Executed> executed = co_await Send(run, std::move(*proceed));
      if (executed) co_return *std::move(executed);
      pause = kFirstLook;
      continue;
    }
    if (run.deadline.Passed()) co_return Of(Executed::Kind::kInProgress);
    if (!abandoned_ && !run.left) co_await WaitUntil(run.deadline.Within(pause).at);
  }
}

asio::awaitable<absl::StatusOr<ledger::Decision>> Executions::Begin(const Run& run) {
  const ExecutionRequest& request = *run.request;
  ledger::Claim claim;
  claim.owner = options_.owner;
  claim.fingerprint = request.fingerprint;
  claim.message_id = request.message_id;
  claim.recipients = request.command.envelope.recipients.size();
  claim.resend_on_uncertain = request.command.resend_on_uncertain;
  claim.timing = options_.timing;
  claim.sole = !store_.Shared();
  std::optional<ledger::Decision> decision;
  const ledger::Store::Change change =
      [&](const ledger::Execution* known) -> std::optional<ledger::Execution> {
    decision = ledger::Begin(known, claim, ledger::Now());
    if (const auto* proceed = std::get_if<ledger::Proceed>(&*decision)) return proceed->execution;
    const auto* replay = std::get_if<ledger::Replay>(&*decision);
    if (replay != nullptr && replay->changed) return replay->execution;
    return std::nullopt;
  };
  const absl::Status status = co_await store_.Update(request.key, change);
  if (!status.ok()) co_return status;
  co_return *std::move(decision);
}

asio::awaitable<std::optional<Executed>> Executions::Send(Run& run, ledger::Proceed proceed) {
  const ExecutionRequest& request = *run.request;
  const SendCommand& command = request.command;
  const smtp::Envelope envelope = EnvelopeOf(command, proceed.send_to);
  LedgerGate gate(store_, request.key, options_.timing, proceed);
  const smtp::SendOptions options{command.all_or_nothing, &gate};
  run.epoch = proceed.execution.epoch;
  std::optional<Renewing> renewing(std::in_place, *this, run, run.epoch);
  base::Result<SentEmail> sent =
      co_await SendEmail(command, envelope, options, proceed.execution.message_id, run.deadline,
                         mailer_, run.timeline);
  renewing.reset();

  Executed executed;
  executed.tls = run.timeline.tls();
  executed.recipients = sent ? std::move(sent->report.recipients) : sent.error().recipients;
  for (base::RecipientOutcome& outcome : executed.recipients) {
    outcome.index = proceed.send_to.at(outcome.index);
  }
  ledger::Verdict& verdict = run.verdict = {};
  for (const base::RecipientOutcome& outcome : executed.recipients) {
    if (outcome.accepted) continue;
    verdict.refused.push_back({outcome.index, outcome.reply.code, outcome.reply.enhanced_code});
  }
  if (sent) {
    executed.final_reply = sent->report.final_reply;
    verdict.kind = ledger::Verdict::Kind::kTaken;
    verdict.last_reply = LedgerReply(executed.final_reply);
    verdict.receipt = ledger::Receipt{
        executed.final_reply.code, executed.final_reply.enhanced_code,
        providers::ProviderMessageId(*command.account.resolved.profile, executed.final_reply),
        sent->report.message_bytes, std::chrono::floor<milliseconds>(sent->accepted_at)};
    metrics_.BytesSent(sent->report.message_bytes);
  } else {
    base::Error& error = executed.error.emplace(sent.error());
    error.recipients = executed.recipients;
    if (error.error_class == base::ErrorClass::kUncertain) {
      verdict.kind = ledger::Verdict::Kind::kUncertain;
    }
    verdict.reason = providers::Explain(error, command.account.resolved).reason;
    if (error.reply) verdict.last_reply = LedgerReply(*error.reply);
  }

  executed.execution = ledger::Settle(gate.execution(), run.epoch, verdict, ledger::Now())
                           .value_or(gate.execution());
  const absl::StatusOr<bool> ours = co_await Settle(run, executed.execution);
  const bool end_sent = verdict.kind != ledger::Verdict::Kind::kNotTaken;
  if (ours.ok() && !*ours && !end_sent) co_return std::nullopt;
  run.settled = ours.ok();
  if (!ours.ok()) LogLedger("settle", request.key, ours.status());
  co_return executed;
}

asio::awaitable<absl::StatusOr<bool>> Executions::Settle(const Run& run,
                                                         ledger::Execution& settled) {
  bool ours = false;
  const ledger::Store::Change change = [&](const ledger::Execution* known) {
    std::optional<ledger::Execution> next;
    if (known != nullptr) next = ledger::Settle(*known, run.epoch, run.verdict, ledger::Now());
    ours = next.has_value();
    if (next) settled = *next;
    return next;
  };
  const absl::Status status = co_await store_.Update(run.request->key, change);
  if (!status.ok()) co_return status;
  co_return ours;
}

// Until that time is over after which others have to take the owner for gone.
asio::awaitable<void> Executions::SettleLater(Run& run) {
  const auto& timing = options_.timing;
  const base::Deadline until = base::Deadline::After(timing.lease + timing.reply_wait);
  ledger::Execution settled;
  while (!abandoned_ && !until.Passed()) {
    co_await WaitUntil(base::Clock::now() + kSettleAgain);
    const absl::StatusOr<bool> ours = co_await Settle(run, settled);
    if (ours.ok()) {
      Log(Level::kInfo, "settled_late", {{"request_id", run.request->key.request_id}});
      co_return;
    }
    // A store of this process alone stays broken until it starts anew.
    if (absl::IsDataLoss(ours.status()) && !store_.Shared()) break;
  }
  Log(Level::kError, "outcome_not_recorded",
      {{"request_id", run.request->key.request_id},
       {"message_id", run.request->message_id},
       {"state", StateName(run.answer->execution.state)}});
}

}  // namespace sendstep::plugin
