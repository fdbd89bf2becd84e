#include "plugin/message_id.h"

#include <gtest/gtest.h>

namespace sendstep::plugin {
namespace {

const KeyedDigest kKey(base::Secret("0123456789abcdef0123456789abcdef"));

std::string Make(std::string_view space, std::string_view tenant, std::string_view id) {
  return MakeMessageId(kKey, space, tenant, id, "example.com");
}

TEST(MessageIdTest, TheSameRequestAlwaysHasTheSameId) {
  EXPECT_EQ(Make("execute", "t", "r1"), Make("execute", "t", "r1"));
}

TEST(MessageIdTest, IdsStayWhatTheyWereInEarlierVersions) {
  // HMAC-SHA-256 of "7:execute1:t2:r1", its first half.
  EXPECT_EQ(Make("execute", "t", "r1"), "<2a454f7e54265f12cb4798dcd71826c0@example.com>");
}

TEST(MessageIdTest, SpaceTenantRequestAndKeyTellIdsApart) {
  const std::string id = Make("execute", "t", "r1");
  EXPECT_NE(id, Make("test", "t", "r1"));
  EXPECT_NE(id, Make("execute", "u", "r1"));
  EXPECT_NE(id, Make("execute", "t", "r2"));
  EXPECT_NE(id, MakeMessageId(KeyedDigest(base::Secret("another key")), "execute", "t", "r1",
                              "example.com"));
  EXPECT_NE(Make("execute", "ab", "c"), Make("execute", "a", "bc"));
}

TEST(MessageIdTest, WithoutARequestIdEachIsNew) {
  EXPECT_NE(Make("execute", "t", ""), Make("execute", "t", ""));
}

TEST(MessageIdTest, IsThirtyTwoHexDigitsAtTheDomain) {
  const std::string id = Make("execute", "t", "r1");
  EXPECT_EQ(id.size(), 1 + 32 + std::string_view("@example.com>").size());
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef", 1), 33u);
  EXPECT_EQ(id.substr(33), "@example.com>");
}

}  // namespace
}  // namespace sendstep::plugin
