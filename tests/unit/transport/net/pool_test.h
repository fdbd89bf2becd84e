// Fixtures with a Mailer and a MailServer: PoolTest in one thread, PoolCrowdTest with several.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_NET_POOL_TEST_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_NET_POOL_TEST_H_

#include <gmock/gmock.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/mail_server.h"
#include "tests/unit/transport/net/coroutine_test.h"
#include "transport/net/mailer.h"

namespace sendstep::testing {

namespace asio = boost::asio;
using Sent = base::Result<smtp::DeliveryReport>;

// Every name is this host's.
class LoopbackResolver : public dns::Resolver {
 public:
  asio::awaitable<base::Result<std::vector<asio::ip::address>>> Resolve(const std::string&,
                                                                        base::Deadline) override {
    co_return std::vector<asio::ip::address>{asio::ip::address_v4::loopback()};
  }
};

// Counts what it is told.
class Outcomes : public smtp::Observer {
 public:
  void StageStarted(base::Stage stage) override { stages.emplace_back(base::StageName(stage)); }
  void Finished() override { ++ends; }
  void Failed(const base::Error& /*error*/) override { ++ends; }
  void TlsEstablished(const smtp::TlsInfo& info) override { tls.push_back(info); }

  std::vector<std::string> stages;
  std::vector<smtp::TlsInfo> tls;
  int ends = 0;
};

// An account at a server on loopback, in clear.
inline smtp::SmtpSettings AccountAt(uint16_t port, const std::string& password = "open sesame") {
  smtp::SmtpSettings settings;
  settings.host = "mx.example";
  settings.port = port;
  settings.ehlo_name = "client.example";
  settings.tls.policy = smtp::TlsPolicy::kNone;
  settings.allow_plaintext_auth = true;
  smtp::Credentials credentials;
  credentials.username = "me";
  credentials.password = base::Secret(password);
  settings.credentials = credentials;
  return settings;
}

struct SendCase {
  smtp::SmtpSettings settings;
  std::string subject = "hello";
  smtp::SendOptions options = {};
  base::Deadline deadline = base::Deadline::Never();
  std::vector<std::string> recipients = {"ada@example.org"};
  smtp::Observer* observer = nullptr;
};

// Sends a message of which everything lives as long as it needs to.
inline asio::awaitable<Sent> SendOne(net::Mailer& mailer, SendCase one) {
  co_await asio::this_coro::throw_if_cancelled(false);
  smtp::Envelope envelope;
  envelope.sender = *base::ParseAddress("me@example.com");
  for (const std::string& recipient : one.recipients) {
    envelope.recipients.push_back(*base::ParseAddress(recipient));
  }
  const std::string text = "Subject: " + one.subject + "\r\n\r\nHello.\r\n";
  const base::Content content(text);
  Outcomes outcomes;
  smtp::Observer& observer = one.observer ? *one.observer : outcomes;
  Sent sent =
      co_await mailer.Send(one.settings, envelope, content, one.options, one.deadline, observer);
  if (!one.observer) EXPECT_EQ(outcomes.ends, 1) << "the observer is told once";
  co_return sent;
}

class PoolTest : public CoroutineTest {
 protected:
  PoolTest() : mailer_(context_.get_executor(), resolver_), server_(context_.get_executor()) {
    account_ = AccountAt(server_.port());
  }

  std::shared_ptr<Running<Sent>> Start(SendCase one) {
    auto body = [this, one] { return SendOne(mailer_, one); };
    return CoroutineTest::Start<Sent>(body);
  }
  std::shared_ptr<Running<Sent>> Start() { return Start(SendCase{account_}); }

  Sent Send(SendCase one) { return Finish(Start(std::move(one))); }
  Sent Send() { return Send(SendCase{account_}); }
  // In no time that a wait of the pool's would leave.
  Sent SendSoon() { return Send({.settings = account_, .deadline = base::Deadline::After(kSoon)}); }

  void RunUntilWaiting(int count) {
    RunUntil([&] { return mailer_.pool_stats().waiting == count; });
  }
  void RunUntilHeld(int count) {
    RunUntil([&] { return server_.held() == count; });
  }
  void RunUntilOpen(int count) {
    RunUntil([&] { return server_.open() == count; });
  }

  static constexpr std::chrono::milliseconds kSoon{900};

  LoopbackResolver resolver_;
  net::Mailer mailer_;
  MailServer server_;
  smtp::SmtpSettings account_;
};

class PoolCrowdTest : public ::testing::Test {
 protected:
  PoolCrowdTest() { account_ = AccountAt(server_.port()); }
  ~PoolCrowdTest() override {
    mailer_.CloseIdle();
    callers_.join();
    server_context_.stop();
    thread_.join();
  }

  std::future<Sent> Start(SendCase one) {
    return asio::co_spawn(asio::make_strand(callers_), SendOne(mailer_, std::move(one)),
                          asio::use_future);
  }

  // Of each a message of its own, all at once.
  std::vector<std::future<Sent>> StartMany(int count,
                                           base::Deadline deadline = base::Deadline::Never()) {
    std::vector<std::future<Sent>> sent;
    for (int i = 0; i < count; ++i) {
      sent.push_back(
          Start({.settings = account_, .subject = std::to_string(++last_), .deadline = deadline}));
    }
    return sent;
  }

  static std::vector<Sent> Finish(std::vector<std::future<Sent>> running) {
    std::vector<Sent> all;
    for (std::future<Sent>& one : running) all.push_back(one.get());
    return all;
  }

  // All are sent, each once.
  void ExpectSent(const std::vector<Sent>& all) {
    for (const Sent& sent : all) {
      EXPECT_TRUE(sent) << base::StageName(sent.error().stage) << ": " << sent.error().detail
                        << (sent.error().reply ? sent.error().reply->Text() : "");
    }
    const auto messages = server_.messages();
    EXPECT_EQ(messages.size(), all.size());
    for (const auto& [subject, count] : messages) EXPECT_EQ(count, 1) << subject;
  }

  // Yields to the other threads until `done()`, for twenty seconds at most.
  static bool Eventually(const std::function<bool()>& done) {
    const base::Deadline limit = base::Deadline::After(std::chrono::seconds(20));
    while (!done()) {
      if (limit.Passed()) return false;
      std::this_thread::yield();
    }
    return true;
  }

  asio::io_context server_context_;
  MailServer server_{server_context_.get_executor()};
  asio::executor_work_guard<asio::io_context::executor_type> work_{server_context_.get_executor()};
  LoopbackResolver resolver_;
  asio::thread_pool callers_{4};
  net::Mailer mailer_{callers_.get_executor(), resolver_};
  smtp::SmtpSettings account_;
  int last_ = 0;
  std::thread thread_{[this] { server_context_.run(); }};
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_NET_POOL_TEST_H_
