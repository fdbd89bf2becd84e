#include "providers/sandbox/command.h"

#include <gtest/gtest.h>

#include <limits>

namespace sendstep::providers::sandbox {
namespace {

TEST(CommandTest, VerbIsUpperCasedAndArgumentTrimmed) {
  const Command command = ParseCommand("mail  FROM:<a@b>  SIZE=1 ");
  EXPECT_EQ(command.verb, "MAIL");
  EXPECT_EQ(command.argument, "FROM:<a@b>  SIZE=1");
  EXPECT_EQ(ParseCommand("").verb, "");
  EXPECT_EQ(ParseCommand("QUIT").argument, "");
}

std::string AddressOf(std::string_view argument) {
  const auto path = ParsePathArgument(argument, "TO:");
  return path ? path->address : "malformed";
}

TEST(CommandTest, PathIsWhatStandsBetweenTheBrackets) {
  EXPECT_EQ(AddressOf("TO:<a@example.com>"), "a@example.com");
  EXPECT_EQ(AddressOf("to:<a@example.com>"), "a@example.com");
  EXPECT_EQ(AddressOf("TO:<>"), "");
  EXPECT_EQ(AddressOf("TO:<\"a>b\"@example.com>"), "\"a>b\"@example.com");
  EXPECT_EQ(AddressOf("TO:<\"a\\\">b\"@example.com>"), "\"a\\\">b\"@example.com");
}

TEST(CommandTest, SourceRouteIsIgnored) {
  EXPECT_EQ(AddressOf("TO:<@one.example,@two.example:a@example.com>"), "a@example.com");
}

TEST(CommandTest, MalformedPathsAreRefused) {
  for (const char* argument : {"", "TO", "TO:", "TO: <a@b>", "TO:a@b", "TO:<a@b", "TO:<a@b>x",
                               "FROM:<a@b>", "TO:<\"a>b@c>"}) {
    EXPECT_EQ(AddressOf(argument), "malformed") << argument;
  }
}

TEST(CommandTest, ParametersHaveUpperCaseKeywordsAndOptionalValues) {
  const auto path = ParsePathArgument("FROM:<a@b> size=10 SmtpUtf8", "FROM:");
  ASSERT_TRUE(path);
  ASSERT_EQ(path->parameters.size(), 2u);
  EXPECT_EQ(path->parameters[0].keyword, "SIZE");
  EXPECT_EQ(path->parameters[0].value, "10");
  EXPECT_EQ(path->parameters[1].keyword, "SMTPUTF8");
  EXPECT_EQ(path->parameters[1].value, std::nullopt);
}

TEST(CommandTest, MalformedOrRepeatedParametersAreRefused) {
  for (const char* argument :
       {"FROM:<a@b> SIZE=", "FROM:<a@b> SIZE=1=2", "FROM:<a@b> =1", "FROM:<a@b> -A=1",
        "FROM:<a@b> S!ZE=1", "FROM:<a@b> SIZE=1 size=2", "FROM:<a@b>SIZE=1"}) {
    EXPECT_FALSE(ParsePathArgument(argument, "FROM:")) << argument;
  }
}

TEST(CommandTest, ChunkHasSizeAndMayBeTheLast) {
  EXPECT_EQ(ParseChunk("86")->size, 86u);
  EXPECT_FALSE(ParseChunk("86")->last);
  EXPECT_TRUE(ParseChunk("0 last")->last);
  EXPECT_EQ(ParseChunk("0 LAST")->size, 0u);
}

TEST(CommandTest, MalformedChunksAreRefused) {
  for (const char* argument :
       {"", "LAST", "x", "-1", "+1", "1x", "1 LATE", "1 LAST LAST", "0x10"}) {
    EXPECT_FALSE(ParseChunk(argument)) << argument;
  }
}

TEST(CommandTest, SizeThatDoesNotFitIsTheLargest) {
  EXPECT_EQ(ParseSize("41943040"), 41943040u);
  EXPECT_EQ(ParseSize("99999999999999999999"), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(ParseSize("100000000000000000000"), std::nullopt);
  EXPECT_EQ(ParseSize(""), std::nullopt);
}

}  // namespace
}  // namespace sendstep::providers::sandbox
