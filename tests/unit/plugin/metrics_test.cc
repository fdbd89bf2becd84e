#include "plugin/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace sendstep::plugin {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

long CountOf(const std::string& text, std::string_view part) {
  long count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(MetricsTest, FinishedRequestIsCountedByMethodOutcomeAndReason) {
  Metrics metrics;
  metrics.RequestStarted("Execute");
  metrics.RequestFinished("Execute", "failed", "AUTH_REFUSED");
  EXPECT_THAT(metrics.Render(), HasSubstr("sendstep_requests_total{method=\"Execute\",outcome="
                                          "\"failed\",reason=\"AUTH_REFUSED\"} 1\n"));
}

TEST(MetricsTest, InFlightRisesAtTheStartAndFallsAtTheEnd) {
  Metrics metrics;
  metrics.RequestStarted("Execute");
  metrics.RequestStarted("TestSend");
  EXPECT_EQ(metrics.InFlight(), 2);
  EXPECT_THAT(metrics.Render(), HasSubstr("sendstep_requests_in_flight{method=\"TestSend\"} 1\n"));
  metrics.RequestFinished("TestSend", "sent", "");
  EXPECT_EQ(metrics.InFlight(), 1);
  EXPECT_THAT(metrics.Render(), HasSubstr("sendstep_requests_in_flight{method=\"TestSend\"} 0\n"));
}

TEST(MetricsTest, UnknownLabelValuesShareOneSeries) {
  Metrics metrics;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "made-up-" + std::to_string(i);
    metrics.RequestStarted(name);
    metrics.RequestFinished(name, name, name);
  }
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("sendstep_requests_total{method=\"other\",outcome=\"other\",reason="
                              "\"other\"} 100\n"));
  EXPECT_THAT(text, Not(HasSubstr("made-up")));
}

TEST(MetricsTest, StageTimeFallsIntoItsBucket) {
  Metrics metrics;
  metrics.StageTook("tls", milliseconds(30));
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("sendstep_stage_seconds_bucket{stage=\"tls\",le=\"0.025\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_stage_seconds_bucket{stage=\"tls\",le=\"0.05\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_stage_seconds_bucket{stage=\"tls\",le=\"600\"} 1\n"));
}

TEST(MetricsTest, RequestTimeIsSummedByMethod) {
  Metrics metrics;
  metrics.RequestTook("Execute", milliseconds(250));
  metrics.RequestTook("Execute", milliseconds(250));
  EXPECT_THAT(metrics.Render(),
              HasSubstr("sendstep_request_seconds_sum{method=\"Execute\"} 0.5\n"));
}

TEST(MetricsTest, RepliesAreCountedByClass) {
  Metrics metrics;
  for (const int code : {220, 250, 354, 421, 550, 599, 199, 600, -1}) metrics.ReplyReceived(code);
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_replies_total{class=\"2xx\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_replies_total{class=\"3xx\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_replies_total{class=\"4xx\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_replies_total{class=\"5xx\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_replies_total{class=\"other\"} 3\n"));
}

TEST(MetricsTest, SentBytesAdd) {
  Metrics metrics;
  metrics.BytesSent(1000);
  metrics.BytesSent(24);
  EXPECT_THAT(metrics.Render(), HasSubstr("sendstep_message_sent_bytes_total 1024\n"));
}

TEST(MetricsTest, ConnectionsAreThoseOfNow) {
  Metrics metrics;
  net::PoolStats pool;
  pool.busy = 5;
  metrics.SetPool(pool);
  pool.busy = 7;
  pool.connecting = 1;
  pool.waiting = 12;
  metrics.SetPool(pool);
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_connections{state=\"busy\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_connections{state=\"idle\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_connections{state=\"connecting\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_sends_waiting 12\n"));
}

TEST(MetricsTest, WhatBecameOfConnectionsIsCountedOnce) {
  Metrics metrics;
  net::PoolStats pool;
  pool.opened = 1;
  pool.reused = 2;
  pool.tls_resumed = 3;
  pool.held_back = 4;
  pool.slowed_down = 5;
  for (size_t i = 0; i < pool.ended.size(); ++i) pool.ended[i] = 10 + i;
  metrics.SetPool(pool);
  metrics.SetPool(pool);
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_connections_opened_total 1\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_connections_reused_total 2\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_tls_resumed_total 3\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_sends_held_back_total 4\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_smtp_slowdowns_total 5\n"));
  for (size_t i = 0; i < pool.ended.size(); ++i) {
    EXPECT_THAT(text, HasSubstr("sendstep_smtp_connections_closed_total{why=\"" +
                                std::string(net::kConnectionEnds[i]) + "\"} " +
                                std::to_string(10 + i) + "\n"));
  }
}

TEST(MetricsTest, RequestBytesRiseAndFall) {
  Metrics metrics;
  metrics.RequestBytesHeld(1000);
  metrics.RequestBytesHeld(-400);
  EXPECT_THAT(metrics.Render(), HasSubstr("sendstep_request_bytes_in_flight 600\n"));
}

TEST(MetricsTest, OverloadIsCountedByLimitFromZeroOn) {
  Metrics metrics;
  metrics.Overloaded("bytes");
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("sendstep_overload_refusals_total{limit=\"bytes\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sendstep_overload_refusals_total{limit=\"calls\"} 0\n"));
}

TEST(MetricsTest, FamiliesAreDescribedOnce) {
  const std::string text = Metrics().Render();
  EXPECT_EQ(CountOf(text, "# TYPE sendstep_requests_in_flight gauge\n"), 1);
  EXPECT_EQ(CountOf(text, "# TYPE sendstep_stage_seconds histogram\n"), 1);
}

TEST(MetricsTest, ThreadsLoseNoCount) {
  Metrics metrics;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&metrics] {
        for (int i = 0; i < 1000; ++i) {
          metrics.RequestStarted("Execute");
          metrics.RequestFinished("Execute", "sent", "");
        }
      });
    }
  }
  EXPECT_EQ(metrics.InFlight(), 0);
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("{method=\"Execute\",outcome=\"sent\",reason=\"\"} 4000\n"));
}

}  // namespace
}  // namespace sendstep::plugin
