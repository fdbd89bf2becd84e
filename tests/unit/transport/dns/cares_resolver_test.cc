#include "transport/dns/cares_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdlib>
#include <future>
#include <thread>

#include "tests/unit/transport/dns/fake_dns_server.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::make_address;
using base::Cause;
using base::Deadline;
using base::ErrorClass;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using testing::DnsAnswer;
using testing::FakeDnsServer;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Addresses = std::vector<asio::ip::address>;
using Outcome = base::Result<Addresses>;

CaresOptions Ask(const FakeDnsServer& server) {
  CaresOptions options;
  options.servers = server.address();
  options.timeout = seconds(5);
  return options;
}

class CaresResolverTest : public ::testing::Test {
 protected:
  CaresResolverTest() : server_(context_.get_executor()) {
    // In place of what resolv.conf says, on which the number of queries would depend.
    setenv("LOCALDOMAIN", "search.test", 1);
    setenv("RES_OPTIONS", "ndots:1", 1);
    resolver_ = std::make_unique<CaresResolver>(context_.get_executor(), Ask(server_));
  }

  // Runs the loop until `done` is true; fails after ten seconds.
  template <class Done>
  void RunUntil(Done done) {
    const Deadline limit = Deadline::After(seconds(10));
    while (!done()) {
      ASSERT_FALSE(limit.Passed()) << "the event loop does not get there";
      context_.restart();
      context_.run_one_for(milliseconds(100));
    }
  }

  // Starts a lookup on a strand of its own.
  std::shared_ptr<std::optional<Outcome>> Start(const std::string& host,
                                                Deadline deadline = Deadline::After(seconds(8)),
                                                asio::cancellation_slot slot = {}) {
    auto outcome = std::make_shared<std::optional<Outcome>>();
    auto done = [outcome](std::exception_ptr failed, Outcome result) {
      if (failed) std::rethrow_exception(failed);
      *outcome = std::move(result);
    };
    asio::co_spawn(asio::make_strand(context_), Named(resolver_.get(), host, deadline),
                   asio::bind_cancellation_slot(slot, done));
    return outcome;
  }

  Outcome Resolve(const std::string& host, Deadline deadline = Deadline::After(seconds(8))) {
    auto outcome = Start(host, deadline);
    RunUntil([&] { return outcome->has_value(); });
    if (!*outcome)
      return base::Failed(base::Stage::kConfig, Cause::kInvalid, ErrorClass::kPermanent);
    return **outcome;
  }

  // Keeps `host` alive for the lookup.
  static asio::awaitable<Outcome> Named(CaresResolver* resolver, std::string host,
                                        Deadline deadline) {
    co_return co_await resolver->Resolve(host, deadline);
  }

  asio::io_context context_;
  FakeDnsServer server_;
  std::unique_ptr<CaresResolver> resolver_;
};

TEST_F(CaresResolverTest, ReturnsEveryAddressOfBothFamilies) {
  server_.Add("smtp.sendstep.test",
              {.addresses = {make_address("192.0.2.1"), make_address("192.0.2.2"),
                             make_address("2001:db8::1")}});
  Outcome found = Resolve("smtp.sendstep.test");
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_THAT(*found, UnorderedElementsAre(make_address("192.0.2.1"), make_address("192.0.2.2"),
                                           make_address("2001:db8::1")));
}

TEST_F(CaresResolverTest, OneFamilyIsEnough) {
  server_.Add("v4.sendstep.test", {.addresses = {make_address("192.0.2.1")}});
  server_.Add("v6.sendstep.test", {.addresses = {make_address("2001:db8::1")}});
  EXPECT_EQ(*Resolve("v4.sendstep.test"), Addresses{make_address("192.0.2.1")});
  EXPECT_EQ(*Resolve("v6.sendstep.test"), Addresses{make_address("2001:db8::1")});
}

TEST_F(CaresResolverTest, UnansweredFamilyDoesNotSpoilTheOther) {
  CaresOptions options = Ask(server_);
  options.timeout = milliseconds(100);
  options.tries = 2;
  resolver_ = std::make_unique<CaresResolver>(context_.get_executor(), options);
  server_.Add("half.sendstep.test",
              {.addresses = {make_address("192.0.2.1")}, .silent_on_aaaa = true});
  Outcome found = Resolve("half.sendstep.test");
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(*found, Addresses{make_address("192.0.2.1")});
}

TEST_F(CaresResolverTest, TruncatedAnswerIsAskedForOverTcp) {
  std::vector<asio::ip::address> many;
  for (int i = 1; i <= 60; ++i) many.push_back(make_address("192.0.2." + std::to_string(i)));
  server_.Add("many.sendstep.test", {.addresses = many, .truncated = true});
  Outcome found = Resolve("many.sendstep.test");
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->size(), many.size());
  EXPECT_GT(server_.tcp_queries(), 0);
}

TEST_F(CaresResolverTest, UnknownNameIsPermanentHostNotFound) {
  Outcome found = Resolve("nowhere.sendstep.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().stage, base::Stage::kDns);
  EXPECT_EQ(found.error().cause, Cause::kHostNotFound);
  EXPECT_EQ(found.error().error_class, ErrorClass::kPermanent);
  EXPECT_EQ(found.error().detail, "no such host: nowhere.sendstep.test");
}

TEST_F(CaresResolverTest, NameWithoutAddressIsToldFromUnknownName) {
  server_.Add("empty.sendstep.test", {});
  Outcome found = Resolve("empty.sendstep.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kHostNotFound);
  EXPECT_EQ(found.error().detail, "empty.sendstep.test exists but has no address");
}

TEST_F(CaresResolverTest, ServerFailureIsTransientDnsFailed) {
  server_.Add("broken.sendstep.test", {.rcode = 2});
  Outcome found = Resolve("broken.sendstep.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kDnsFailed);
  EXPECT_EQ(found.error().error_class, ErrorClass::kTransient);
  EXPECT_THAT(found.error().detail, HasSubstr("broken.sendstep.test"));
}

TEST_F(CaresResolverTest, ClosedServerPortIsTransient) {
  CaresOptions options;
  {
    FakeDnsServer gone(context_.get_executor());
    options = Ask(gone);
  }
  options.timeout = milliseconds(50);
  options.tries = 2;
  resolver_ = std::make_unique<CaresResolver>(context_.get_executor(), options);
  Outcome found = Resolve("smtp.sendstep.test", Deadline::Never());
  ASSERT_FALSE(found);
  // One of the two queries may swallow the other's ICMP error, which then times out.
  EXPECT_THAT(found.error().cause, AnyOf(Cause::kDnsFailed, Cause::kTimeout));
  EXPECT_EQ(found.error().error_class, ErrorClass::kTransient);
}

TEST_F(CaresResolverTest, SilentServerEndsAtTheDeadline) {
  server_.Add("silent.sendstep.test", {.silent = true});
  const auto begin = base::Clock::now();
  Outcome found = Resolve("silent.sendstep.test", Deadline::After(milliseconds(60)));
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kTimeout);
  EXPECT_EQ(found.error().error_class, ErrorClass::kTransient);
  EXPECT_GE(base::Clock::now() - begin, milliseconds(60));
}

TEST_F(CaresResolverTest, SilentServerEndsWhenItsTriesAreUsedUp) {
  CaresOptions options = Ask(server_);
  options.timeout = milliseconds(20);
  options.tries = 2;
  resolver_ = std::make_unique<CaresResolver>(context_.get_executor(), options);
  server_.Add("silent.sendstep.test", {.silent = true});
  Outcome found = Resolve("silent.sendstep.test", Deadline::Never());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kTimeout);
  RunUntil([&] { return server_.queries() == 4; });
}

TEST_F(CaresResolverTest, CancelledLookupLeavesTheOthersAlone) {
  server_.Add("silent.sendstep.test", {.silent = true});
  server_.Add("smtp.sendstep.test", {.addresses = {make_address("192.0.2.1")}});
  asio::cancellation_signal first_signal, second_signal;
  auto first = Start("silent.sendstep.test", Deadline::Never(), first_signal.slot());
  auto second = Start("silent.sendstep.test", Deadline::Never(), second_signal.slot());
  RunUntil([&] { return server_.queries() >= 4; });
  first_signal.emit(asio::cancellation_type::terminal);
  RunUntil([&] { return first->has_value(); });
  EXPECT_EQ((*first)->error().cause, Cause::kCancelled);
  EXPECT_TRUE(Resolve("smtp.sendstep.test"));
  EXPECT_FALSE(second->has_value());
  second_signal.emit(asio::cancellation_type::terminal);
  RunUntil([&] { return second->has_value(); });
  EXPECT_EQ((*second)->error().cause, Cause::kCancelled);
}

TEST_F(CaresResolverTest, ParallelLookupsGetTheirOwnAnswers) {
  std::vector<std::shared_ptr<std::optional<Outcome>>> outcomes;
  for (int i = 0; i < 50; ++i) {
    const std::string number = std::to_string(i);
    server_.Add("host" + number + ".sendstep.test",
                {.addresses = {make_address("192.0.2." + number)}});
    outcomes.push_back(Start("host" + number + ".sendstep.test"));
  }
  for (int i = 0; i < 50; ++i) {
    RunUntil([&] { return outcomes[i]->has_value(); });
    ASSERT_TRUE(**outcomes[i]) << (**outcomes[i]).error().detail;
    EXPECT_EQ(***outcomes[i], Addresses{make_address("192.0.2." + std::to_string(i))});
  }
}

TEST_F(CaresResolverTest, DestroyedResolverCancelsWhatIsPending) {
  server_.Add("silent.sendstep.test", {.silent = true});
  auto first = Start("silent.sendstep.test", Deadline::Never());
  auto second = Start("silent.sendstep.test", Deadline::Never());
  RunUntil([&] { return server_.queries() >= 4; });
  resolver_.reset();
  RunUntil([&] { return first->has_value() && second->has_value(); });
  EXPECT_EQ((*first)->error().cause, Cause::kCancelled);
  EXPECT_EQ((*second)->error().cause, Cause::kCancelled);
}

TEST(CaresResolver, ContextMayGoWithLookupsPending) {
  auto context = std::make_unique<asio::io_context>();
  auto server = std::make_unique<FakeDnsServer>(context->get_executor());
  server->Add("silent.sendstep.test", {.silent = true});
  auto resolver = std::make_unique<CaresResolver>(context->get_executor(), Ask(*server));
  const std::string host = "silent.sendstep.test";
  bool answered = false;
  asio::co_spawn(*context, resolver->Resolve(host, Deadline::Never()),
                 [&](std::exception_ptr, Outcome) { answered = true; });
  while (server->queries() < 2) context->run_one();
  server.reset();
  resolver.reset();
  context.reset();
  EXPECT_FALSE(answered);
}

TEST_F(CaresResolverTest, AddressesComeBackAsThemselves) {
  EXPECT_EQ(*Resolve("192.0.2.7"), Addresses{make_address("192.0.2.7")});
  EXPECT_EQ(*Resolve("2001:db8::7"), Addresses{make_address("2001:db8::7")});
  EXPECT_EQ(*Resolve("[2001:db8::7]"), Addresses{make_address("2001:db8::7")});
  EXPECT_EQ(server_.queries(), 0);
}

TEST_F(CaresResolverTest, LocalhostIsLoopbackWithoutAQuery) {
  Outcome found = Resolve("localhost");
  ASSERT_TRUE(found) << found.error().detail;
  for (const asio::ip::address& address : *found) EXPECT_TRUE(address.is_loopback());
  EXPECT_EQ(server_.queries(), 0);
}

TEST_F(CaresResolverTest, NameThatDoesNotFitDnsIsHostNotFound) {
  Outcome found = Resolve(std::string(64, 'a') + ".sendstep.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kHostNotFound);
  EXPECT_EQ(server_.queries(), 0);
}

// RFC 7686 2.
TEST_F(CaresResolverTest, OnionNameIsHostNotFoundWithoutAQuery) {
  Outcome found = Resolve("smtp.sendstep.onion");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kHostNotFound);
  EXPECT_EQ(server_.queries(), 0);
}

TEST_F(CaresResolverTest, ServersThatDoNotParseFailEveryLookup) {
  CaresOptions options;
  options.servers = "not an address";
  resolver_ = std::make_unique<CaresResolver>(context_.get_executor(), options);
  Outcome found = Resolve("smtp.sendstep.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().cause, Cause::kDnsFailed);
}

// Calls from many threads; meant for ThreadSanitizer.
TEST(CaresResolver, ServesCallersOnAnyExecutorAndResumesThere) {
  asio::io_context dns_context;
  FakeDnsServer server(dns_context.get_executor());
  server.Add("smtp.sendstep.test", {.addresses = {make_address("192.0.2.1")}});
  CaresResolver resolver(dns_context.get_executor(), Ask(server));
  auto work = asio::make_work_guard(dns_context);
  std::thread loop([&] { dns_context.run(); });

  asio::thread_pool callers(3);
  auto lookup = [&]() -> asio::awaitable<bool> {
    const std::string host = "smtp.sendstep.test";
    Outcome found = co_await resolver.Resolve(host, Deadline::After(seconds(8)));
    co_return found&& std::this_thread::get_id() != loop.get_id();
  };
  std::vector<std::future<bool>> found;
  for (int i = 0; i < 100; ++i) found.push_back(asio::co_spawn(callers, lookup, asio::use_future));
  for (std::future<bool>& one : found) EXPECT_TRUE(one.get());
  callers.join();
  asio::post(dns_context, [&] { dns_context.stop(); });
  loop.join();
}

// Cancels that arrive when the answer does; meant for the sanitizers.
TEST(CaresResolver, CancelMayMeetTheAnswer) {
  asio::io_context dns_context;
  FakeDnsServer server(dns_context.get_executor());
  server.Add("smtp.sendstep.test", {.addresses = {make_address("192.0.2.1")}});
  CaresResolver resolver(dns_context.get_executor(), Ask(server));
  auto work = asio::make_work_guard(dns_context);
  std::thread loop([&] { dns_context.run(); });

  struct Call {
    explicit Call(asio::strand<asio::thread_pool::executor_type> on) : strand(std::move(on)) {}
    asio::strand<asio::thread_pool::executor_type> strand;
    asio::cancellation_signal signal;
    std::promise<Outcome> outcome;
  };
  asio::thread_pool callers(2);
  auto lookup = [&]() -> asio::awaitable<Outcome> {
    const std::string host = "smtp.sendstep.test";
    co_return co_await resolver.Resolve(host, Deadline::After(seconds(8)));
  };
  std::vector<std::shared_ptr<Call>> calls;
  for (int i = 0; i < 300; ++i) {
    auto call = std::make_shared<Call>(asio::make_strand(callers.get_executor()));
    calls.push_back(call);
    auto done = [call](std::exception_ptr, Outcome outcome) {
      call->outcome.set_value(std::move(outcome));
    };
    asio::co_spawn(call->strand, lookup, asio::bind_cancellation_slot(call->signal.slot(), done));
    // Behind what the resolver has to do at this moment, then behind what the caller has to.
    asio::post(dns_context, [call] {
      asio::post(call->strand, [call] { call->signal.emit(asio::cancellation_type::terminal); });
    });
  }
  for (const auto& call : calls) {
    const Outcome outcome = call->outcome.get_future().get();
    if (!outcome) {
      EXPECT_EQ(outcome.error().cause, Cause::kCancelled);
    }
  }
  callers.join();
  asio::post(dns_context, [&] { dns_context.stop(); });
  loop.join();
}

}  // namespace
}  // namespace sendstep::dns
