#include "transport/dns/cares_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdlib>
#include <future>
#include <thread>

#include "tests/unit/transport/dns/dns_wire.h"
#include "tests/unit/transport/dns/fake_dns_server.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using base::Deadline;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::DnsAnswer;
using ::testing::ElementsAre;
using testing::FakeDnsServer;
using ::testing::HasSubstr;
using testing::Soa;
using testing::Strings;
using testing::WireMessage;
using testing::WireName;
using testing::WireRecord;
using Pending = std::shared_ptr<std::optional<Answer>>;

// Answers with `message`, under the query's id.
DnsAnswer Says(WireMessage message) {
  DnsAnswer answer;
  answer.messages = [message](const std::string& query, bool) {
    return std::vector<std::string>{message.Bytes(query)};
  };
  return answer;
}

WireMessage Txt(const std::string& name, const std::string& text) {
  return {name, RecordType::kTxt, {WireRecord(name, RecordType::kTxt, 60, Strings({text}))}};
}

WireMessage Alias(const std::string& name, const std::string& target) {
  return {name, RecordType::kTxt, {WireRecord(name, RecordType::kCname, 60, WireName(target))}};
}

class CaresLookupTest : public ::testing::Test {
 protected:
  CaresLookupTest() : server_(context_.get_executor()) {
    // A search domain, which must not be asked.
    setenv("LOCALDOMAIN", "search.test", 1);
    setenv("RES_OPTIONS", "ndots:5", 1);
    Use(server_.address());
  }

  void Use(const std::string& servers, milliseconds timeout = seconds(5), int tries = 3) {
    CaresOptions options;
    options.servers = servers;
    options.timeout = timeout;
    options.tries = tries;
    lookup_ = std::make_unique<CaresLookup>(context_.get_executor(), options);
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
                Deadline deadline = Deadline::After(seconds(8)),
                asio::cancellation_slot slot = {}) {
    auto answer = std::make_shared<std::optional<Answer>>();
    auto done = [answer](std::exception_ptr failed, Answer result) {
      if (failed) std::rethrow_exception(failed);
      *answer = std::move(result);
    };
    asio::co_spawn(asio::make_strand(context_), lookup_->Query(name, type, deadline),
                   asio::bind_cancellation_slot(slot, done));
    return answer;
  }

  Answer Query(const std::string& name, RecordType type = RecordType::kTxt,
               Deadline deadline = Deadline::After(seconds(8))) {
    const Pending answer = Start(name, type, deadline);
    RunUntil([&] { return answer->has_value(); });
    return answer->value_or(Answer());
  }

  asio::io_context context_;
  FakeDnsServer server_;
  std::unique_ptr<CaresLookup> lookup_;
};

TEST_F(CaresLookupTest, RecordsAreFound) {
  server_.Add("sendstep.test", Says(Txt("sendstep.test", "v=spf1 -all")));
  const Answer answer = Query("Sendstep.TEST.");
  ASSERT_TRUE(answer.found()) << answer.detail;
  EXPECT_EQ(answer.records[0].text, "v=spf1 -all");
  EXPECT_EQ(answer.ttl, seconds(60));
  EXPECT_EQ(server_.queries(), 1);
}

TEST_F(CaresLookupTest, UnderscoresAndOddHyphensAreAskedFor) {
  for (const char* name :
       {"_dmarc.sendstep.test", "-s1-._domainkey.sendstep.test", "_._tcp.test"}) {
    server_.Add(name, Says(Txt(name, "x")));
    EXPECT_TRUE(Query(name).found()) << name;
  }
}

TEST_F(CaresLookupTest, SearchDomainsAreNotApplied) {
  server_.Add("short.search.test", Says(Txt("short.search.test", "x")));
  EXPECT_EQ(Query("short").outcome, Outcome::kNoDomain);
  EXPECT_EQ(server_.queries(), 1);
}

TEST_F(CaresLookupTest, UnknownNameIsToldFromNameWithoutThatRecord) {
  server_.Add("empty.sendstep.test", DnsAnswer{});
  EXPECT_EQ(Query("nowhere.sendstep.test").outcome, Outcome::kNoDomain);
  EXPECT_EQ(Query("empty.sendstep.test").outcome, Outcome::kNoData);
}

TEST_F(CaresLookupTest, NegativeAnswerComesWithItsTtl) {
  WireMessage message{"gone.sendstep.test"};
  message.rcode = 3;
  message.authorities = {Soa("sendstep.test", 77, 900)};
  server_.Add("gone.sendstep.test", Says(message));
  EXPECT_EQ(Query("gone.sendstep.test").ttl, seconds(77));
}

TEST_F(CaresLookupTest, ServersErrorIsNamedAfterOneQuery) {
  server_.Add("broken.sendstep.test", {.rcode = 2});
  server_.Add("secret.sendstep.test", {.rcode = 5});
  EXPECT_EQ(Query("broken.sendstep.test").detail, "the DNS server answered SERVFAIL");
  EXPECT_EQ(server_.queries(), 1);
  const Answer answer = Query("secret.sendstep.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.detail, "the DNS server answered REFUSED");
}

TEST_F(CaresLookupTest, AnotherServerIsAskedWhereTheFirstFails) {
  FakeDnsServer second(context_.get_executor());
  Use(server_.address() + "," + second.address());
  server_.Add("half.sendstep.test", {.rcode = 2});
  second.Add("half.sendstep.test", Says(Txt("half.sendstep.test", "x")));
  EXPECT_TRUE(Query("half.sendstep.test").found());
  server_.Add("broken.sendstep.test", {.rcode = 2});
  second.Add("broken.sendstep.test", {.rcode = 5});
  EXPECT_EQ(Query("broken.sendstep.test").detail, "the DNS server answered SERVFAIL");
}

TEST_F(CaresLookupTest, MalformedAnswerFails) {
  server_.Add("bad.sendstep.test", Says({"bad.sendstep.test", RecordType::kTxt, {"short"}}));
  const Answer answer = Query("bad.sendstep.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.detail, "the DNS server's answer is malformed");
}

TEST_F(CaresLookupTest, ServerWithoutEdnsIsAskedWithoutIt) {
  DnsAnswer old;
  old.messages = [](const std::string& query, bool) {
    WireMessage message = Txt("old.sendstep.test", "x");
    const bool has_edns = query[11] == 1;
    if (has_edns) message = {.name = message.name, .rcode = 1};
    return std::vector<std::string>{message.Bytes(query)};
  };
  server_.Add("old.sendstep.test", old);
  EXPECT_TRUE(Query("old.sendstep.test").found());
  EXPECT_EQ(server_.queries(), 2);
}

TEST_F(CaresLookupTest, AnswerOfSixtyKilobytesComesOverTcp) {
  std::vector<std::string> strings(240, std::string(250, 'k'));
  DnsAnswer large;
  large.messages = [strings](const std::string& query, bool over_tcp) {
    WireMessage message{"large.sendstep.test"};
    if (over_tcp) {
      message.answers = {WireRecord(message.name, RecordType::kTxt, 60, Strings(strings))};
    } else {
      message.flags |= 0x0200;
    }
    return std::vector<std::string>{message.Bytes(query)};
  };
  server_.Add("large.sendstep.test", large);
  const Answer answer = Query("large.sendstep.test");
  ASSERT_TRUE(answer.found()) << answer.detail;
  EXPECT_EQ(answer.records[0].text.size(), 60000u);
  EXPECT_EQ(server_.tcp_queries(), 1);
}

TEST_F(CaresLookupTest, ThousandBytesComeOverUdp) {
  const std::vector<std::string> strings(4, std::string(250, 'k'));
  server_.Add("long.sendstep.test",
              Says({"long.sendstep.test",
                    RecordType::kTxt,
                    {WireRecord("long.sendstep.test", RecordType::kTxt, 60, Strings(strings))}}));
  EXPECT_TRUE(Query("long.sendstep.test").found());
  EXPECT_EQ(server_.tcp_queries(), 0);
}

// An answer that is not one is passed over; the right one, behind it, is taken.
TEST_F(CaresLookupTest, WrongIdAndWrongQuestionAreNotAccepted) {
  DnsAnswer spoofed;
  spoofed.messages = [](const std::string& query, bool) {
    std::string other_id = query.substr(0, 2);
    other_id[0] ^= 0x55;
    WireMessage other_type = Txt("spoofed.sendstep.test", "bad");
    other_type.type = RecordType::kMx;
    WireMessage other_name = Txt("spoofed.sendstep.test", "bad");
    other_name.name = "spoofed.sendstep.tesu";
    return std::vector<std::string>{Txt("spoofed.sendstep.test", "bad").Bytes(other_id),
                                    other_type.Bytes(query),
                                    other_name.Bytes(query),
                                    query.substr(0, 2),
                                    "",
                                    Txt("spoofed.sendstep.test", "good").Bytes(query)};
  };
  server_.Add("spoofed.sendstep.test", spoofed);
  const Answer answer = Query("spoofed.sendstep.test");
  ASSERT_TRUE(answer.found()) << answer.detail;
  EXPECT_EQ(answer.records[0].text, "good");
}

TEST_F(CaresLookupTest, QuestionInAnotherCaseIsNotAccepted) {
  WireMessage message = Txt("lies.sendstep.test", "x");
  message.name = "LIES.sendstep.test";
  server_.Add("lies.sendstep.test", Says(message));
  EXPECT_EQ(Query("lies.sendstep.test").outcome, Outcome::kFailed);
}

TEST_F(CaresLookupTest, AliasIsFollowedFromMessageToMessage) {
  server_.Add("a.test", Says(Alias("a.test", "B.test")));
  server_.Add("b.test", Says(Alias("b.test", "c.test")));
  server_.Add("c.test", Says(Txt("c.test", "x")));
  const Answer answer = Query("a.test");
  ASSERT_TRUE(answer.found()) << answer.detail;
  EXPECT_THAT(answer.aliases, ElementsAre("b.test", "c.test"));
  EXPECT_EQ(server_.queries(), 3);
}

TEST_F(CaresLookupTest, AliasesInACircleEnd) {
  server_.Add("a.test", Says(Alias("a.test", "b.test")));
  server_.Add("b.test", Says(Alias("b.test", "a.test")));
  const Answer answer = Query("a.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.detail, "its CNAMEs lead in a circle");
}

TEST_F(CaresLookupTest, ChainWithoutEndEndsAfterEightAliases) {
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i) + ".test";
    server_.Add(name, Says(Alias(name, std::to_string(i + 1) + ".test")));
  }
  const Answer answer = Query("0.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.detail, "more than 8 CNAMEs in a row");
  EXPECT_EQ(server_.queries(), 9);
}

TEST_F(CaresLookupTest, AliasThatLeadsNowhereIsNoDomain) {
  server_.Add("a.test", Says(Alias("a.test", "gone.test")));
  const Answer answer = Query("a.test");
  EXPECT_EQ(answer.outcome, Outcome::kNoDomain);
  EXPECT_THAT(answer.aliases, ElementsAre("gone.test"));
}

TEST_F(CaresLookupTest, AliasThatCannotBeAskedForFails) {
  WireMessage message{"a.test"};
  const std::string dotted = testing::Number(1, 3) + "b.c" + WireName("test");
  message.answers = {WireRecord("a.test", RecordType::kCname, 60, dotted)};
  server_.Add("a.test", Says(message));
  const Answer answer = Query("a.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_THAT(answer.aliases, ElementsAre("b\\046c.test"));
  EXPECT_EQ(server_.queries(), 1);
}

TEST_F(CaresLookupTest, NamesThatCannotBeAskedForCostNoQuery) {
  for (const std::string& name : {std::string(), std::string("a..test"), std::string(64, 'a'),
                                  std::string("a\\b.test"), std::string("mail.sendstep.onion")}) {
    EXPECT_EQ(Query(name).outcome, Outcome::kNoDomain) << name;
  }
  EXPECT_EQ(server_.queries(), 0);
}

TEST_F(CaresLookupTest, SilentServerIsATimeoutAtTheDeadlineAndAfterItsTries) {
  server_.Add("silent.sendstep.test", {.silent = true});
  const auto begin = base::Clock::now();
  EXPECT_EQ(
      Query("silent.sendstep.test", RecordType::kTxt, Deadline::After(milliseconds(60))).outcome,
      Outcome::kTimeout);
  EXPECT_GE(base::Clock::now() - begin, milliseconds(60));
  Use(server_.address(), milliseconds(20), 2);
  const Answer answer = Query("silent.sendstep.test", RecordType::kTxt, Deadline::Never());
  EXPECT_EQ(answer.outcome, Outcome::kTimeout);
  EXPECT_EQ(answer.detail, "no DNS server answered in time");
}

TEST_F(CaresLookupTest, ClosedServerPortFails) {
  std::string gone;
  {
    FakeDnsServer closed(context_.get_executor());
    gone = closed.address();
  }
  Use(gone, milliseconds(50), 2);
  const Answer answer = Query("sendstep.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.detail, "no DNS server can be reached");
}

TEST_F(CaresLookupTest, ServersThatCannotBeReadFailEveryQuery) {
  Use("127.0.0.1:x");
  const Answer answer = Query("sendstep.test");
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_THAT(answer.detail, HasSubstr("\"127.0.0.1:x\" is not a DNS server"));
}

TEST_F(CaresLookupTest, CancelledQueryLeavesTheOthersAlone) {
  server_.Add("silent.sendstep.test", {.silent = true});
  server_.Add("sendstep.test", Says(Txt("sendstep.test", "x")));
  asio::cancellation_signal signal;
  const Pending first =
      Start("silent.sendstep.test", RecordType::kTxt, Deadline::Never(), signal.slot());
  const Pending second = Start("silent.sendstep.test", RecordType::kTxt, Deadline::Never());
  RunUntil([&] { return server_.queries() >= 2; });
  signal.emit(asio::cancellation_type::terminal);
  RunUntil([&] { return first->has_value(); });
  EXPECT_EQ((*first)->outcome, Outcome::kFailed);
  EXPECT_EQ((*first)->detail, "the lookup was cancelled");
  EXPECT_TRUE(Query("sendstep.test").found());
  EXPECT_FALSE(second->has_value());
}

TEST_F(CaresLookupTest, DestroyedLookupEndsWhatIsPending) {
  server_.Add("silent.sendstep.test", {.silent = true});
  const Pending pending = Start("silent.sendstep.test", RecordType::kTxt, Deadline::Never());
  RunUntil([&] { return server_.queries() >= 1; });
  lookup_.reset();
  RunUntil([&] { return pending->has_value(); });
  EXPECT_EQ((*pending)->outcome, Outcome::kFailed);
}

// Calls from many threads; meant for the sanitizers.
TEST(CaresLookup, ServesCallersOnAnyExecutor) {
  asio::io_context dns_context;
  FakeDnsServer server(dns_context.get_executor());
  server.Add("a.test", Says(Alias("a.test", "b.test")));
  server.Add("b.test", Says(Txt("b.test", "x")));
  CaresOptions options;
  options.servers = server.address();
  options.timeout = seconds(5);
  CaresLookup lookup(dns_context.get_executor(), options);
  auto work = asio::make_work_guard(dns_context);
  std::thread loop([&] { dns_context.run(); });

  asio::thread_pool callers(3);
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 100; ++i) {
    answers.push_back(asio::co_spawn(
        callers, lookup.Query("a.test", RecordType::kTxt, Deadline::After(seconds(8))),
        asio::use_future));
  }
  for (std::future<Answer>& answer : answers) EXPECT_TRUE(answer.get().found());
  callers.join();
  asio::post(dns_context, [&] { dns_context.stop(); });
  loop.join();
}

}  // namespace
}  // namespace sendstep::dns
