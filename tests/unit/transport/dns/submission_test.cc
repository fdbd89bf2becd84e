#include "transport/dns/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <map>

#include "tests/support/fake_lookup.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using base::Cause;
using base::Deadline;
using base::ErrorClass;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Servers = base::Result<std::vector<SubmissionServer>>;

constexpr char kImplicit[] = "_submissions._tcp.sendstep.test";
constexpr char kStartTls[] = "_submission._tcp.sendstep.test";

Record Srv(uint16_t priority, uint16_t weight, uint16_t port, const std::string& target) {
  Record record;
  record.preference = priority;
  record.weight = weight;
  record.port = port;
  record.name = target;
  return record;
}

// A FakeLookup that knows SRV records, and how many bytes they may have.
class SrvLookup : public testing::FakeLookup {
 public:
  void Srv(const std::string& name, Record record) { srv_[name].push_back(std::move(record)); }

  asio::awaitable<Answer> Query(std::string name, RecordType type, Deadline deadline) override {
    Answer answer = co_await FakeLookup::Query(name, type, deadline);
    if (auto found = srv_.find(name); found != srv_.end()) {
      answer.outcome = Outcome::kFound;
      answer.records = found->second;
    }
    co_return answer;
  }

 private:
  std::map<std::string, std::vector<Record>> srv_;
};

class SubmissionTest : public ::testing::Test {
 protected:
  Servers Find(SubmissionQuestion question = {"sendstep.test"}) {
    asio::io_context context;
    auto pick = [](uint32_t) { return 0u; };
    auto found = asio::co_spawn(context, FindSubmission(lookup_, question, Deadline::Never(), pick),
                                asio::use_future);
    context.run();
    return found.get();
  }

  static std::vector<std::string> Texts(const Servers& servers) {
    std::vector<std::string> texts;
    if (!servers) return {servers.error().detail};
    for (const SubmissionServer& server : *servers) {
      texts.push_back(server.host + ":" + std::to_string(server.port) +
                      (server.implicit_tls ? " implicit" : " starttls"));
    }
    return texts;
  }

  SrvLookup lookup_;
};

TEST_F(SubmissionTest, ImplicitTlsComesFirstWhateverThePriorities) {
  lookup_.Srv(kStartTls, Srv(0, 0, 587, "a.sendstep.test"));
  lookup_.Srv(kImplicit, Srv(20, 0, 465, "c.sendstep.test"));
  lookup_.Srv(kImplicit, Srv(10, 0, 465, "b.sendstep.test"));
  EXPECT_THAT(Texts(Find()),
              ElementsAre("b.sendstep.test:465 implicit", "c.sendstep.test:465 implicit",
                          "a.sendstep.test:587 starttls"));
}

TEST_F(SubmissionTest, OnlyTheFormThatIsWantedIsAskedFor) {
  lookup_.Srv(kStartTls, Srv(0, 0, 587, "a.sendstep.test"));
  lookup_.Srv(kImplicit, Srv(0, 0, 465, "b.sendstep.test"));
  EXPECT_THAT(Texts(Find({"sendstep.test", false, true})),
              ElementsAre("a.sendstep.test:587 starttls"));
  EXPECT_EQ(lookup_.asked().size(), 1u);
}

TEST_F(SubmissionTest, NoRecordsSayWhatWasAsked) {
  const Servers servers = Find();
  ASSERT_FALSE(servers);
  EXPECT_EQ(servers.error().stage, base::Stage::kDns);
  EXPECT_EQ(servers.error().cause, Cause::kHostNotFound);
  EXPECT_EQ(servers.error().error_class, ErrorClass::kPermanent);
  EXPECT_EQ(servers.error().detail,
            "asked for the SRV records of _submissions._tcp.sendstep.test and "
            "_submission._tcp.sendstep.test: there are none");
}

TEST_F(SubmissionTest, RootAsTargetMeansNotOffered) {
  lookup_.Srv(kImplicit, Srv(0, 0, 0, ""));
  lookup_.Srv(kStartTls, Srv(0, 0, 587, "a.sendstep.test"));
  EXPECT_THAT(Texts(Find()), ElementsAre("a.sendstep.test:587 starttls"));
  const Servers none = Find({"sendstep.test", true, false});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().cause, Cause::kHostNotFound);
  EXPECT_THAT(none.error().detail, HasSubstr("the domain offers no mail submission"));
}

TEST_F(SubmissionTest, TargetThatIsNoHostIsPassedOver) {
  lookup_.Srv(kImplicit, Srv(0, 0, 465, "a\\046b.test"));
  lookup_.Srv(kImplicit, Srv(1, 0, 0, "no-port.test"));
  EXPECT_THAT(Find().error().detail, HasSubstr("they name no host"));
  lookup_.Srv(kImplicit, Srv(2, 0, 465, "good.test"));
  EXPECT_THAT(Texts(Find()), ElementsAre("good.test:465 implicit"));
}

TEST_F(SubmissionTest, FailureOfOneQuestionLeavesTheOther) {
  lookup_.Fails(kImplicit, Outcome::kFailed);
  EXPECT_EQ(Find().error().cause, Cause::kDnsFailed);
  EXPECT_EQ(Find().error().error_class, ErrorClass::kTransient);
  lookup_.Fails(kImplicit, Outcome::kTimeout);
  EXPECT_EQ(Find().error().cause, Cause::kTimeout);
  lookup_.Srv(kStartTls, Srv(0, 0, 587, "a.sendstep.test"));
  EXPECT_THAT(Texts(Find()), ElementsAre("a.sendstep.test:587 starttls"));
}

TEST_F(SubmissionTest, ManyServersAreCut) {
  for (int i = 0; i < 50; ++i) {
    lookup_.Srv(kImplicit, Srv(0, 0, 465, std::to_string(i) + ".a.sendstep.test"));
  }
  EXPECT_EQ(Find()->size(), 8u);
}

TEST(SrvOrder, PicksByWeightWithinAPriority) {
  const std::vector<Record> records = {Srv(2, 0, 1, "last"), Srv(1, 10, 1, "ten"),
                                       Srv(1, 0, 1, "zero"), Srv(1, 30, 1, "thirty")};
  // Of a sum of 40: 0 is the weightless one's, 1 to 10 ten's, 11 to 40 thirty's.
  const std::map<uint32_t, std::string> firsts = {
      {0, "zero"}, {1, "ten"}, {10, "ten"}, {11, "thirty"}, {40, "thirty"}};
  for (const auto& [number, first] : firsts) {
    std::vector<uint32_t> sums;
    auto pick = [&, number = number](uint32_t sum) {
      sums.push_back(sum);
      return std::min(number, sum);
    };
    const std::vector<Record> ordered = SrvOrder(records, pick);
    ASSERT_EQ(ordered.size(), 4u);
    EXPECT_EQ(ordered[0].name, first) << number;
    EXPECT_EQ(ordered[3].name, "last") << number;
    EXPECT_EQ(sums[0], 40u);
  }
}

TEST(SrvOrder, FollowsTheWeightsOverManyDraws) {
  const std::vector<Record> records = {Srv(0, 1, 1, "light"), Srv(0, 3, 1, "heavy")};
  int heavy = 0;
  const Pick pick = RandomPick();
  for (int i = 0; i < 4000; ++i) heavy += SrvOrder(records, pick)[0].name == "heavy";
  // Sums from 0 to 4: two of five draws are the light one's. Ten standard deviations.
  EXPECT_NEAR(heavy, 2400, 310);
}

TEST(SrvOrder, LargestWeightsDoNotOverflow) {
  const std::vector<Record> records(4000, Srv(0, 65535, 1, "a"));
  EXPECT_EQ(SrvOrder(records, [](uint32_t max) { return max; }).size(), 4000u);
}

}  // namespace
}  // namespace sendstep::dns
