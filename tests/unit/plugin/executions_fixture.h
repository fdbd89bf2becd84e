// Executions as they are in the server: worker threads, a mailer, an SMTP server in process; and a
// ledger.
#ifndef SENDSTEP_TESTS_UNIT_PLUGIN_EXECUTIONS_FIXTURE_H_
#define SENDSTEP_TESTS_UNIT_PLUGIN_EXECUTIONS_FIXTURE_H_

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "plugin/executions.h"
#include "plugin/ledger/clock.h"
#include "plugin/logging.h"
#include "plugin/metrics.h"
#include "providers/registry.h"
#include "tests/unit/plugin/fake_store.h"
#include "tests/unit/plugin/scripted_smtp.h"
#include "transport/dns/resolver.h"
#include "transport/net/mailer.h"

namespace sendstep::plugin {

inline constexpr std::chrono::seconds kPatience{30};

// Waits for what other threads bring about.
template <class Condition>
bool Becomes(Condition condition) {
  const base::Deadline until = base::Deadline::After(kPatience);
  while (!condition()) {
    if (until.Passed()) return false;
    std::this_thread::yield();
  }
  return true;
}

// Every host is this one, but "gone.example".
class LoopbackResolver : public dns::Resolver {
 public:
  boost::asio::awaitable<base::Result<std::vector<boost::asio::ip::address>>> Resolve(
      const std::string& host, base::Deadline) override {
    if (host == "gone.example") {
      co_return base::Failed(base::Stage::kDns, base::Cause::kHostNotFound,
                             base::ErrorClass::kPermanent);
    }
    co_return std::vector<boost::asio::ip::address>{boost::asio::ip::address_v4::loopback()};
  }
};

// A caller of Execute.
class Call {
 public:
  using Answer = std::shared_ptr<const Executed>;

  Call(boost::asio::thread_pool& pool, Executions& executions,
       std::shared_ptr<const ExecutionRequest> request, base::Deadline deadline)
      : strand_(boost::asio::make_strand(pool)) {
    auto body = [&executions, request, deadline]() -> boost::asio::awaitable<Answer> {
      co_await boost::asio::this_coro::throw_if_cancelled(false);
      co_return co_await executions.Execute(request, deadline);
    };
    auto token = boost::asio::bind_cancellation_slot(leave_.slot(), boost::asio::use_future);
    answer_ = boost::asio::co_spawn(strand_, body, token);
    // Up to its first wait it runs in one go.
    boost::asio::post(strand_, boost::asio::use_future).get();
  }

  void Leave() {
    boost::asio::post(strand_, [this] { leave_.emit(boost::asio::cancellation_type::terminal); });
  }
  bool over() const {
    return answer_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  // Never null.
  Answer Get() {
    if (answer_.wait_for(kPatience) != std::future_status::ready) {
      throw std::runtime_error("no answer");
    }
    return answer_.get();
  }

 private:
  boost::asio::strand<boost::asio::thread_pool::executor_type> strand_;
  boost::asio::cancellation_signal leave_;
  std::shared_future<Answer> answer_;
};

class ExecutionsTest : public ::testing::Test {
 protected:
  using Kind = Executed::Kind;
  using State = ledger::State;

  ExecutionsTest() {
    InstallLogSinkForTest([](std::string_view) {});
    Use(std::make_unique<FakeStore>());
  }
  ~ExecutionsTest() override {
    fake_->Release();
    smtp_.Release();
    EXPECT_TRUE(Idle());
    mailer_.CloseIdle();
    pool_.join();
    InstallLogSinkForTest({});
  }

  // Before any call.
  void Use(std::unique_ptr<FakeStore> store, ledger::Timing timing = kTiming) {
    fake_ = std::move(store);
    Build(*fake_, timing);
  }
  void Build(ledger::Store& store, ledger::Timing timing = kTiming) {
    if (executions_) EXPECT_TRUE(Idle());
    const Executions::Options options{"this process", timing};
    executions_.emplace(pool_.get_executor(), store, mailer_, metrics_, options);
  }

  std::shared_ptr<ExecutionRequest> Request(const std::string& id = "r1",
                                            const std::string& fingerprint = "an email") const {
    const auto request = std::make_shared<ExecutionRequest>();
    request->key = Key(id);
    request->fingerprint = fingerprint;
    request->message_id = "<" + id + "@example.com>";
    SendCommand& command = request->command;
    command.request_id = id;
    command.message.from.address = *base::ParseAddress("me@example.com");
    command.message.subject = "Hello";
    command.message.text = "Text";
    command.envelope.sender = command.message.from.address;
    command.envelope.recipients = {*base::ParseAddress("a@example.org")};
    command.account.resolved.profile = &registry_.Custom();
    smtp::SmtpSettings& settings = command.account.resolved.settings;
    settings.host = "mx.example";
    settings.port = smtp_.port();
    settings.ehlo_name = "client.example";
    settings.tls.policy = smtp::TlsPolicy::kNone;
    settings.timeouts.quit = std::chrono::milliseconds(50);
    return request;
  }
  std::shared_ptr<ExecutionRequest> ToThree() const {
    auto request = Request();
    for (const char* more : {"b@example.org", "c@example.org"}) {
      request->command.envelope.recipients.push_back(*base::ParseAddress(more));
    }
    return request;
  }
  static ledger::Key Key(const std::string& id = "r1") { return {"execute", "t", id}; }
  ledger::Execution Stored(const std::string& id = "r1") const {
    return fake_->Get(Key(id)).value_or(ledger::Execution());
  }
  // Of a process that shares the ledger.
  static ledger::Execution OfAnother(ledger::State state, uint64_t epoch = 1) {
    ledger::Execution execution;
    execution.state = state;
    execution.epoch = epoch;
    execution.owner = "another process";
    execution.lease_until = ledger::Now() + kTiming.lease;
    execution.fingerprint = "an email";
    execution.message_id = "<of-another@example.com>";
    execution.recipients.resize(1);
    if (state == ledger::State::kSent) {
      execution.recipients[0].state = ledger::Recipient::State::kAccepted;
      execution.receipt.emplace();
    }
    return execution;
  }

  std::unique_ptr<Call> Start(std::shared_ptr<const ExecutionRequest> request,
                              base::Deadline deadline = base::Deadline::After(kPatience)) {
    return std::make_unique<Call>(pool_, *executions_, std::move(request), deadline);
  }
  Call::Answer Execute(std::shared_ptr<const ExecutionRequest> request,
                       base::Deadline deadline = base::Deadline::After(kPatience)) {
    return Start(std::move(request), deadline)->Get();
  }
  bool Hears(const std::string& beginning, int times = 1) {
    return Becomes([&] { return smtp_.heard(beginning) >= times; });
  }
  bool Reaches(Step step, int times = 1) {
    return Becomes([&] { return fake_->count(step) >= times; });
  }
  bool Idle() {
    return Becomes([this] { return executions_->running() == 0; });
  }

  static constexpr ledger::Timing kTiming{std::chrono::seconds(30), std::chrono::minutes(10)};

  const providers::Registry registry_ = providers::Registry::Embedded();
  LoopbackResolver resolver_;
  Metrics metrics_;
  ScriptedSmtp smtp_;
  boost::asio::thread_pool pool_{3};
  net::Mailer mailer_{pool_.get_executor(), resolver_};
  std::unique_ptr<FakeStore> fake_;  // destroyed before it, as stores have to be
  std::optional<Executions> executions_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_TESTS_UNIT_PLUGIN_EXECUTIONS_FIXTURE_H_
