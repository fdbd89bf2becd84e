#include "transport/net/throttle.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::net {
namespace {

using base::Cause;
using base::ErrorClass;
using base::Stage;

struct Refusal {
  int code;
  const char* enhanced;
  Stage stage;
  bool slow;
};

std::string NameOf(const ::testing::TestParamInfo<Refusal>& tested) {
  std::string name = std::to_string(tested.param.code) + "_" + tested.param.enhanced + "_" +
                     std::string(base::StageName(tested.param.stage));
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
}

base::Error Refused(int code, const std::string& enhanced, Stage stage) {
  base::Reply reply;
  reply.code = code;
  reply.enhanced_code = enhanced;
  return base::Refused(stage, reply);
}

class SlowReplyTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(SlowReplyTest, IsTakenForARequestToSlowDownOrNot) {
  const Refusal& refusal = GetParam();
  EXPECT_EQ(AsksToSlowDown(Refused(refusal.code, refusal.enhanced, refusal.stage)), refusal.slow);
}

INSTANTIATE_TEST_SUITE_P(
    Replies, SlowReplyTest,
    ::testing::Values(
        Refusal{421, "", Stage::kEhlo, true}, Refusal{421, "4.7.0", Stage::kData, true},
        Refusal{432, "", Stage::kAuth, true}, Refusal{454, "4.7.0", Stage::kAuth, true},
        Refusal{450, "4.7.1", Stage::kRcptTo, true}, Refusal{451, "4.7.1", Stage::kMailFrom, true},
        Refusal{451, "", Stage::kMailFrom, true}, Refusal{452, "4.3.1", Stage::kData, true},
        Refusal{450, "", Stage::kRcptTo, false}, Refusal{452, "4.5.3", Stage::kRcptTo, false},
        Refusal{450, "4.2.1", Stage::kRcptTo, false}, Refusal{452, "4.2.2", Stage::kData, false},
        Refusal{451, "4.1.8", Stage::kMailFrom, false}, Refusal{451, "4.6.0", Stage::kData, false},
        Refusal{535, "5.7.8", Stage::kAuth, false}, Refusal{550, "5.7.1", Stage::kData, false},
        Refusal{554, "5.7.1", Stage::kEhlo, false}),
    NameOf);

TEST(Throttle, WithoutAReplyNobodyAsksToSlowDown) {
  for (const Cause cause : {Cause::kConnectionLost, Cause::kTimeout, Cause::kConnectionRefused}) {
    EXPECT_FALSE(AsksToSlowDown(base::Failed(Stage::kTcp, cause, ErrorClass::kTransient)));
  }
}

TEST(Throttle, RepliesThatTurnAConnectionAway) {
  EXPECT_TRUE(TurnsAway(Refused(421, "", Stage::kEhlo)));
  EXPECT_TRUE(TurnsAway(Refused(454, "4.7.0", Stage::kAuth)));
  EXPECT_FALSE(TurnsAway(Refused(535, "5.7.8", Stage::kAuth)));
  EXPECT_FALSE(TurnsAway(Refused(554, "", Stage::kEhlo)));
}

TEST(Throttle, ConnectionsThatDoNotLastOrAreNotAnsweredAreTurnedAway) {
  const auto failed = [](Stage stage, Cause cause) {
    return base::Failed(stage, cause, ErrorClass::kTransient);
  };
  EXPECT_TRUE(TurnsAway(failed(Stage::kTcp, Cause::kConnectionRefused)));
  EXPECT_TRUE(TurnsAway(failed(Stage::kTcp, Cause::kConnectionLost)));
  EXPECT_TRUE(TurnsAway(failed(Stage::kTls, Cause::kConnectionLost)));
  EXPECT_TRUE(TurnsAway(failed(Stage::kEhlo, Cause::kConnectionLost)));
  EXPECT_FALSE(TurnsAway(failed(Stage::kAuth, Cause::kConnectionLost)));
  EXPECT_TRUE(TurnsAway(failed(Stage::kTcp, Cause::kTimeout)));
  EXPECT_TRUE(TurnsAway(failed(Stage::kTls, Cause::kTimeout)));
  EXPECT_TRUE(TurnsAway(failed(Stage::kEhlo, Cause::kTimeout)));
  EXPECT_FALSE(TurnsAway(failed(Stage::kAuth, Cause::kTimeout)));
  EXPECT_FALSE(TurnsAway(failed(Stage::kDns, Cause::kHostNotFound)));
  EXPECT_FALSE(TurnsAway(failed(Stage::kTls, Cause::kCertificate)));
}

}  // namespace
}  // namespace sendstep::net
