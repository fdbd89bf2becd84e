// The use case of Execute with a request_id: each recipient gets the email at most once, whoever
// calls how often.
//
// In this process one run stands for one request_id, and every call with that id waits for it. A
// run is not its callers': it goes on when some of them leave, is cancelled when the last one does,
// and not even then once the end of the message may have been sent. Between processes the ledger
// decides (ledger/execution.h): a run first takes the id there, asks again before the end of the
// message (smtp::Gate), and writes down what came of it. Where another process is at the id, it
// looks again until that one has ended or has to be taken for gone.
//
// Threads: thread-safe; a call resumes on its caller's executor, which must be a strand.
#ifndef SENDSTEP_PLUGIN_EXECUTIONS_H_
#define SENDSTEP_PLUGIN_EXECUTIONS_H_

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "plugin/command.h"
#include "plugin/in_flight.h"
#include "plugin/ledger/execution.h"
#include "plugin/ledger/store.h"
#include "plugin/metrics.h"
#include "transport/base/deadline.h"
#include "transport/base/error.h"
#include "transport/net/mailer.h"
#include "transport/net/wakeup.h"
#include "transport/smtp/stream.h"

namespace sendstep::plugin {

struct ExecutionRequest {
  ledger::Key key;
  SendCommand command;
  std::string fingerprint;
  std::string message_id;
  InFlight::Room room;  // while an attempt may need the command; may be null
};

// What a call comes to.
struct Executed {
  enum class Kind {
    kEnded,              // an attempt was made: `execution` is what came of it
    kReplayed,           // none was: `execution` is what an earlier one came to
    kReused,             // the id stands for another email; nothing was sent
    kInProgress,         // not over when the call's time was
    kLedgerUnavailable,  // nothing was sent: it could not have been recorded
    kLeft,               // the caller is gone
  };
  Kind kind = Kind::kEnded;
  ledger::Execution execution;
  // With kEnded: why the attempt failed; its recipients are the request's.
  std::optional<base::Error> error;
  // With kEnded, of this attempt: what was said of recipients, by the request's index, and last.
  std::vector<base::RecipientOutcome> recipients;
  base::Reply final_reply;
  std::optional<smtp::TlsInfo> tls;
};

class Executions {
 public:
  struct Options {
    std::string owner;  // names this process among those that use the store
    ledger::Timing timing;
  };

  // All outlive this. It is destroyed when running() is 0.
  Executions(boost::asio::any_io_executor executor, ledger::Store& store, net::Mailer& mailer,
             Metrics& metrics, Options options);
  ~Executions();
  Executions(const Executions&) = delete;
  Executions& operator=(const Executions&) = delete;

  // Never null. The send's own deadline is `deadline`; the answer comes at most 50 ms after it.
  // Cancelling the coroutine means that the caller has left.
  boost::asio::awaitable<std::shared_ptr<const Executed>> Execute(
      std::shared_ptr<const ExecutionRequest> request, base::Deadline deadline);

  // For a stop that can wait no longer, after the mailer's own: runs end, later ones are refused.
  void Abandon();
  // Runs that are not over, those without callers included.
  int running() const { return running_; }

 private:
  class Run;
  class Renewal;
  class Renewing;
  struct Answer {
    std::shared_ptr<const Executed> executed;  // null: there is none yet
    bool kept = false;                         // it is not recorded yet
  };

  std::shared_ptr<Run> Join(const std::shared_ptr<const ExecutionRequest>& request,
                            base::Deadline deadline, const std::shared_ptr<net::Wakeup>& waiter);
  Answer Leave(const std::shared_ptr<Run>& run, const std::shared_ptr<net::Wakeup>& waiter);
  void Start(const std::shared_ptr<Run>& run);
  static void Cancel(const std::shared_ptr<Run>& run);
  // Hands the answer to all who wait. Without `keep` the run is over.
  void Publish(Run& run, Executed executed, bool keep);
  void Remove(Run& run);

  boost::asio::awaitable<void> Drive(Run& run);
  boost::asio::awaitable<Executed> Attempt(Run& run);
  // Nothing: another process took the id over before the end of the message was sent.
  boost::asio::awaitable<std::optional<Executed>> Send(Run& run, ledger::Proceed proceed);
  boost::asio::awaitable<absl::StatusOr<ledger::Decision>> Begin(const Run& run);
  // Not Ok: it is not recorded. False: another process has taken the id over.
  boost::asio::awaitable<absl::StatusOr<bool>> Settle(const Run& run, ledger::Execution& settled);
  boost::asio::awaitable<void> SettleLater(Run& run);

  const boost::asio::any_io_executor executor_;
  ledger::Store& store_;
  net::Mailer& mailer_;
  Metrics& metrics_;
  const Options options_;
  std::atomic<int> running_ = 0;
  std::atomic<bool> abandoned_ = false;

  std::mutex mutex_;
  std::map<ledger::Key, std::shared_ptr<Run>> runs_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_EXECUTIONS_H_
