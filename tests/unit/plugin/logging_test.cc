#include "plugin/logging.h"

#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "transport/base/secret.h"

namespace sendstep::plugin {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::EndsWith;
using testing::MatchesRegex;
using testing::SizeIs;

class LoggingTest : public testing::Test {
 protected:
  LoggingTest() {
    InstallLogSinkForTest([this](std::string_view line) { lines_.emplace_back(line); });
  }
  ~LoggingTest() override {
    SetLogLevel(Level::kInfo);
    InstallLogSinkForTest({});
  }

  json Only() const {
    EXPECT_THAT(lines_, SizeIs(1));
    return lines_.empty() ? json() : json::parse(lines_[0]);
  }

  std::vector<std::string> lines_;
};

TEST_F(LoggingTest, LineIsOneJsonObjectWithTheFieldsInOrder) {
  Log(Level::kWarning, "sent",
      {{"host", "mx.example"}, {"port", 587}, {"took_ms", 1.5}, {"tls", true}});
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_THAT(lines_[0], EndsWith(R"(Z","level":"warning","event":"sent","host":"mx.example",)"
                                  R"("port":587,"took_ms":1.5,"tls":true})"));
}

TEST_F(LoggingTest, TimeIsRfc3339InUtcWithMilliseconds) {
  Log(Level::kInfo, "x");
  EXPECT_THAT(Only()["time"].get<std::string>(),
              MatchesRegex("20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
                           "\\.[0-9][0-9][0-9]Z"));
}

TEST_F(LoggingTest, ValueCannotEndTheLineOrTheString) {
  const std::string hostile = "a\"\n{\"level\":\"error\"}\r\\\x01";
  Log(Level::kInfo, "x", {{"value", hostile}});
  ASSERT_THAT(lines_, SizeIs(1));
  EXPECT_EQ(lines_[0].find('\n'), std::string::npos);
  EXPECT_EQ(Only()["value"], hostile);
}

TEST_F(LoggingTest, BytesThatAreNotUtf8AreReplaced) {
  Log(Level::kInfo, "x",
      {{"value",
        "a\xff\xfe"
        "b"}});
  EXPECT_EQ(Only()["value"],
            "a\xEF\xBF\xBD\xEF\xBF\xBD"
            "b");
}

TEST_F(LoggingTest, FieldDoesNotReplaceTimeLevelOrEvent) {
  Log(Level::kInfo, "x", {{"level", "fake"}, {"event", "fake"}});
  EXPECT_EQ(Only()["level"], "info");
  EXPECT_EQ(Only()["event"], "x");
}

TEST_F(LoggingTest, LongStringIsCutAtACharacter) {
  std::string umlauts;
  for (int i = 0; i < 50'000; ++i) umlauts += "ü";
  Log(Level::kInfo, "x", {{"value", "a" + umlauts}, {"after", 1}});
  const json line = Only();
  EXPECT_LE(lines_[0].size(), 16u * 1024);
  EXPECT_THAT(line["value"].get<std::string>(), EndsWith("ü…"));
  EXPECT_EQ(line["after"], 1);
}

TEST_F(LoggingTest, EscapesAndManyFieldsStayWithinTheLine) {
  std::vector<Field> fields;
  for (int i = 0; i < 2000; ++i) fields.emplace_back("key" + std::to_string(i), std::string(99, 1));
  Log(Level::kInfo, "x", fields);
  EXPECT_LE(lines_[0].size(), 16u * 1024);
  EXPECT_EQ(Only()["fields_dropped"], 2000);
}

TEST_F(LoggingTest, LinesBelowTheLevelAreDropped) {
  Log(Level::kDebug, "quiet");
  SetLogLevel(Level::kError);
  Log(Level::kWarning, "quiet");
  Log(Level::kError, "loud");
  EXPECT_EQ(Only()["event"], "loud");
  EXPECT_FALSE(LogsAt(Level::kWarning));
}

TEST_F(LoggingTest, LevelNamesAreTheFourDocumentedOnes) {
  EXPECT_EQ(ParseLevel("debug"), Level::kDebug);
  EXPECT_EQ(ParseLevel("error"), Level::kError);
  EXPECT_EQ(ParseLevel("ERROR"), std::nullopt);
  EXPECT_EQ(ParseLevel(""), std::nullopt);
}

TEST_F(LoggingTest, GrpcErrorsComeAsEvents) {
  RouteGrpcLogs();
  gpr_log(GPR_ERROR, "port %d", 7);
  const json line = Only();
  EXPECT_EQ(line["event"], "grpc");
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["message"], "port 7");
  EXPECT_EQ(line["file"], "logging_test.cc");
}

TEST_F(LoggingTest, GrpcTracesStayOff) {
  RouteGrpcLogs();
  gpr_log(GPR_INFO, "bytes of a request");
  gpr_log(GPR_DEBUG, "bytes of a request");
  EXPECT_THAT(lines_, ElementsAre());
}

TEST_F(LoggingTest, ThreadsDoNotMixLines) {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 100; ++i) Log(Level::kInfo, "x", {{"value", std::string(100, 'y')}});
      });
    }
  }
  ASSERT_THAT(lines_, SizeIs(400));
  for (const std::string& line : lines_) EXPECT_TRUE(json::accept(line)) << line;
}

static_assert(!std::is_constructible_v<Field, const char*, base::Secret>);

}  // namespace
}  // namespace sendstep::plugin
