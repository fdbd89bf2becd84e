#include "plugin/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sendstep::plugin {
namespace {

using base::Stage;
using ::testing::ElementsAre;

base::Reply Ok() { return {.code = 250, .enhanced_code = "2.0.0", .lines = {"Ok"}}; }

TEST(TimelineTest, StagesComeInTheOrderTheyBegan) {
  Timeline timeline(nullptr);
  for (Stage stage : {Stage::kDns, Stage::kTcp, Stage::kEhlo, Stage::kTls, Stage::kEhlo}) {
    timeline.StageStarted(stage);
  }
  timeline.Finished();
  std::vector<Stage> stages;
  for (const Timeline::Entry& entry : timeline.entries()) stages.push_back(entry.stage);
  EXPECT_THAT(stages, ElementsAre(Stage::kDns, Stage::kTcp, Stage::kEhlo, Stage::kTls));
}

TEST(TimelineTest, AFailureMarksItsOwnStage) {
  Timeline timeline(nullptr);
  timeline.StageStarted(Stage::kMailFrom);
  timeline.StageStarted(Stage::kRcptTo);
  timeline.Failed(
      base::Refused(Stage::kRcptTo, {.code = 550, .enhanced_code = "5.1.1", .lines = {"no"}}));
  EXPECT_EQ(timeline.entries()[0].status, Timeline::Status::kPass);
  EXPECT_EQ(timeline.entries()[1].status, Timeline::Status::kFail);
  EXPECT_EQ(timeline.entries()[1].reply->code, 550);
}

TEST(TimelineTest, KeepsTheLastReplyOfAStage) {
  Timeline timeline(nullptr);
  timeline.StageStarted(Stage::kEhlo);
  timeline.ReplyReceived({.code = 220, .enhanced_code = {}, .lines = {"hello"}});
  timeline.ReplyReceived(Ok());
  EXPECT_EQ(timeline.entries()[0].reply->code, 250);
}

TEST(TimelineTest, WhatWasFoundBeforeTlsGivesWayToWhatIsFoundAfter) {
  Timeline timeline(nullptr);
  timeline.StageStarted(Stage::kEhlo);
  timeline.StageDetail("STARTTLS");
  timeline.StageStarted(Stage::kTls);
  timeline.StageStarted(Stage::kEhlo);
  timeline.StageDetail("AUTH PLAIN");
  EXPECT_EQ(timeline.entries()[0].detail, "AUTH PLAIN");
}

TEST(TimelineTest, AFailureWithoutAReplyHasNone) {
  Timeline timeline(nullptr);
  timeline.StageStarted(Stage::kData);
  timeline.ReplyReceived({.code = 354, .enhanced_code = {}, .lines = {"go"}});
  timeline.Failed(
      base::Failed(Stage::kData, base::Cause::kConnectionLost, base::ErrorClass::kUncertain));
  EXPECT_FALSE(timeline.entries()[0].reply);
}

TEST(TimelineTest, TranscriptIsKeptOnlyWhenAsked) {
  Timeline silent(nullptr), talking(nullptr, true);
  for (Timeline* timeline : {&silent, &talking}) {
    timeline->LineReceived("220 hello");
    timeline->LineSent("EHLO example.com");
  }
  EXPECT_TRUE(silent.transcript().empty());
  EXPECT_THAT(talking.transcript(), ElementsAre("S: 220 hello", "C: EHLO example.com"));
}

TEST(TimelineTest, TranscriptIsBoundedAndPrintable) {
  Timeline timeline(nullptr, true);
  timeline.LineReceived("a\x1b[31mb\xff");
  for (int i = 0; i < 10000; ++i) timeline.LineReceived("x");
  EXPECT_EQ(timeline.transcript().front(), "S: a?[31mb?");
  EXPECT_EQ(timeline.transcript().size(), 4000u);
  EXPECT_EQ(timeline.transcript().back(), "[lines left out: 6002]");
}

TEST(TimelineTest, TranscriptOfLongLinesHasAtMostOneMebibyte) {
  Timeline timeline(nullptr, true);
  for (int i = 0; i < 3000; ++i) timeline.LineReceived(std::string(2046, 'x'));
  size_t bytes = 0;
  for (const std::string& line : timeline.transcript()) bytes += line.size();
  EXPECT_LE(bytes, size_t{1} << 20);
  EXPECT_GT(bytes, size_t{1} << 19);
  EXPECT_EQ(timeline.transcript().back(),
            "[lines left out: " + std::to_string(3001 - timeline.transcript().size()) + "]");
}

TEST(TimelineTest, FeedsTheMetrics) {
  Metrics metrics;
  Timeline timeline(&metrics);
  timeline.StageStarted(Stage::kDns);
  timeline.ReplyReceived(Ok());
  timeline.Finished();
  EXPECT_THAT(metrics.Render(), ::testing::HasSubstr("stage=\"dns\""));
}

}  // namespace
}  // namespace sendstep::plugin
