// CaresLookup and Inquiry with a real DNS server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>

#include "tests/support/nsd_server.h"
#include "transport/dns/cached_lookup.h"
#include "transport/dns/cares_lookup.h"
#include "transport/dns/inquiry.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using base::Deadline;
using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::NsdServer;
using ::testing::UnorderedElementsAre;

// Of `count` strings of 250 bytes.
std::string LongText(int count) {
  std::string text = "TXT (";
  for (int i = 0; i < count; ++i) text += " \"" + std::string(250, 'k') + "\"\n";
  return text + ")\n";
}

std::map<std::string, std::string> Zones() {
  std::string nine;
  for (int i = 0; i < 9; ++i) {
    nine += "n" + std::to_string(i) + " CNAME n" + std::to_string(i + 1) + "\n";
  }
  std::string chunks;
  for (int i = 0; i < 60; ++i) {
    chunks += "chunks TXT \"" + std::to_string(i) + "\" \"" + std::string(250, 'c') + "\" \"" +
              std::string(250, 'd') + "\" \"" + std::string(250, 'e') + "\" \"" +
              std::string(230, 'f') + "\"\n";
  }
  return {{"sendstep.test",
           "@ TXT \"v=spf1 \" \"-all\"\n"
           "@ TXT \"other\"\n"
           "@ 300 MX 20 Backup\n"
           "@ 300 MX 10 mx\n"
           "mx A 192.0.2.1\n"
           "mx A 192.0.2.2\n"
           "mx AAAA 2001:db8::1\n"
           "_submissions._tcp SRV 1 2 465 mx\n"
           "null MX 0 .\n"
           "_dmarc TXT \"v=DMARC1; p=none\"\n"
           "s1._domainkey CNAME s1.esp.test.\n"
           "s2._domainkey CNAME alias\n"
           "alias CNAME _dmarc\n"
           "gone CNAME nowhere.esp.test.\n"
           "void CNAME a.esp.test.\n"
           "away CNAME host.elsewhere.test.\n"
           "round CNAME round2\n"
           "round2 CNAME round\n"
           "*.wild TXT \"any\"\n"
           "a.b.ent TXT \"below\"\n"
           "sub NS ns.sub\n"
           "ns.sub A 192.0.2.9\n"
           "odd MX 0 a\\.b\\\\c.esp.test.\n"
           "bytes TXT \"\\000\\255;\\\"\"\n"
           "long " +
               LongText(240) + nine + chunks + "n9 TXT \"end\"\n"},
          {"esp.test", "s1 TXT \"v=DKIM1; p=\"\na A 192.0.2.3\n"},
          {"2.0.192.in-addr.arpa", "1 PTR mx.sendstep.test.\n"},
          {"broken.test", "BROKEN"}};
}

class NsdTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (NsdServer::Missing().empty()) server_ = std::make_unique<NsdServer>(Zones());
  }
  static void TearDownTestSuite() { server_.reset(); }

  void SetUp() override {
    if (!server_) GTEST_SKIP() << NsdServer::Missing();
    CaresOptions options;
    options.servers = server_->address();
    lookup_ = std::make_unique<CaresLookup>(context_.get_executor(), options);
  }

  template <class T>
  T Await(asio::awaitable<T> work) {
    std::future<T> result =
        asio::co_spawn(asio::make_strand(context_), std::move(work), asio::use_future);
    const Deadline limit = Deadline::After(seconds(30));
    while (result.wait_for(seconds(0)) != std::future_status::ready && !limit.Passed()) {
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(100));
    }
    return result.get();
  }

  Answer Query(const std::string& name, RecordType type = RecordType::kTxt) {
    return Await(lookup_->Query(name, type, Deadline::After(seconds(20))));
  }

  std::vector<std::string> Names(const std::string& name, RecordType type) {
    std::vector<std::string> names;
    for (const Record& record : Query(name, type).records) {
      names.push_back(std::to_string(record.preference) + " " + record.name);
    }
    return names;
  }

  std::vector<std::string> Texts(const std::string& name) {
    std::vector<std::string> texts;
    for (const Record& record : Query(name).records) texts.push_back(record.text);
    return texts;
  }

  static std::unique_ptr<NsdServer> server_;
  asio::io_context context_;
  std::unique_ptr<CaresLookup> lookup_;
};

std::unique_ptr<NsdServer> NsdTest::server_;

TEST_F(NsdTest, RecordsOfEachTypeAreFound) {
  EXPECT_THAT(Texts("sendstep.test"), UnorderedElementsAre("v=spf1 -all", "other"));
  EXPECT_THAT(Texts("_DMARC.sendstep.test"), ElementsAre("v=DMARC1; p=none"));
  EXPECT_THAT(Names("sendstep.test", RecordType::kMx),
              UnorderedElementsAre("20 backup.sendstep.test", "10 mx.sendstep.test"));
  EXPECT_THAT(Names("null.sendstep.test", RecordType::kMx), ElementsAre("0 "));
  EXPECT_THAT(Names("sendstep.test", RecordType::kNs), ElementsAre("0 ns.sendstep.test"));
  EXPECT_THAT(Names("1.2.0.192.in-addr.arpa", RecordType::kPtr), ElementsAre("0 mx.sendstep.test"));
  EXPECT_EQ(Query("mx.sendstep.test", RecordType::kA).records.size(), 2u);
  EXPECT_EQ(Query("mx.sendstep.test", RecordType::kAaaa).records[0].address.to_string(),
            "2001:db8::1");
  const Answer srv = Query("_submissions._tcp.sendstep.test", RecordType::kSrv);
  ASSERT_EQ(srv.records.size(), 1u);
  EXPECT_EQ(srv.records[0].name, "mx.sendstep.test");
  EXPECT_EQ(srv.records[0].port, 465);
  EXPECT_EQ(srv.ttl, seconds(60));
  EXPECT_THAT(Texts("x.y.wild.sendstep.test"), ElementsAre("any"));
}

TEST_F(NsdTest, NegativeAnswersAreToldApart) {
  const Answer missing = Query("nowhere.sendstep.test");
  EXPECT_EQ(missing.outcome, Outcome::kNoDomain);
  EXPECT_EQ(missing.ttl, seconds(60));  // the smaller of the SOA's own TTL and its minimum
  EXPECT_EQ(Query("mx.sendstep.test").outcome, Outcome::kNoData);
  EXPECT_EQ(Query("ent.sendstep.test").outcome, Outcome::kNoData);
  EXPECT_EQ(Query("b.ent.sendstep.test").outcome, Outcome::kNoData);
}

TEST_F(NsdTest, FailuresSayWhat) {
  EXPECT_EQ(Query("broken.test").detail, "the DNS server answered SERVFAIL");
  EXPECT_EQ(Query("unknown.example").detail, "the DNS server answered REFUSED");
  EXPECT_EQ(Query("x.sub.sendstep.test").detail,
            "the DNS server refers to others instead of asking them");
}

TEST_F(NsdTest, AliasesAreFollowedWithinAMessageAndAcrossZones) {
  const Answer within = Query("s2._domainkey.sendstep.test");
  ASSERT_TRUE(within.found()) << within.detail;
  EXPECT_THAT(within.aliases, ElementsAre("alias.sendstep.test", "_dmarc.sendstep.test"));
  const Answer across = Query("s1._domainkey.sendstep.test");
  ASSERT_TRUE(across.found()) << across.detail;
  EXPECT_THAT(across.aliases, ElementsAre("s1.esp.test"));
  EXPECT_EQ(across.records[0].text, "v=DKIM1; p=");
  EXPECT_EQ(Query("gone.sendstep.test").outcome, Outcome::kNoDomain);
  EXPECT_EQ(Query("void.sendstep.test").outcome, Outcome::kNoData);
  EXPECT_EQ(Query("away.sendstep.test").outcome, Outcome::kFailed);
  EXPECT_EQ(Query("alias.sendstep.test", RecordType::kCname).records[0].name,
            "_dmarc.sendstep.test");
}

TEST_F(NsdTest, AliasesInACircleAndTooManyFail) {
  EXPECT_EQ(Query("round.sendstep.test").detail, "its CNAMEs lead in a circle");
  EXPECT_EQ(Query("n0.sendstep.test").detail, "more than 8 CNAMEs in a row");
  EXPECT_THAT(Texts("n1.sendstep.test"), ElementsAre("end"));
}

TEST_F(NsdTest, OddBytesComeThrough) {
  EXPECT_THAT(Texts("bytes.sendstep.test"), ElementsAre(std::string("\0\xff;\"", 4)));
  EXPECT_THAT(Names("odd.sendstep.test", RecordType::kMx), ElementsAre("0 a\\046b\\092c.esp.test"));
}

TEST_F(NsdTest, SixtyKilobytesComeThrough) {
  const std::vector<std::string> one = Texts("long.sendstep.test");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0], std::string(60000, 'k'));
  EXPECT_EQ(Texts("chunks.sendstep.test").size(), 60u);
}

TEST_F(NsdTest, InquiryAsksThroughTheCacheSideBySide) {
  CachedLookup cache(*lookup_);
  auto diagnose = [&]() -> asio::awaitable<size_t> {
    Inquiry inquiry(co_await asio::this_coro::executor, cache, {});
    inquiry.Begin("sendstep.test", RecordType::kMx);
    inquiry.Begin("_dmarc.sendstep.test", RecordType::kTxt);
    const Answer mx = co_await inquiry.Ask("sendstep.test", RecordType::kMx);
    const Answer dmarc = co_await inquiry.Ask("_dmarc.sendstep.test", RecordType::kTxt);
    co_return mx.records.size() * 10 + dmarc.records.size();
  };
  EXPECT_EQ(Await(diagnose()), 21u);
  server_.reset();  // the second time nothing is asked
  EXPECT_EQ(Await(diagnose()), 21u);
  server_ = std::make_unique<NsdServer>(Zones());
}

}  // namespace
}  // namespace sendstep::dns
