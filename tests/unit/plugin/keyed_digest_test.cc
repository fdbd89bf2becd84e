#include "plugin/keyed_digest.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/escaping.h"

namespace sendstep::plugin {
namespace {

std::string Digest(std::string_view key, std::string_view purpose,
                   const std::vector<std::string_view>& parts) {
  return KeyedDigest(base::Secret(key))(purpose, parts);
}

TEST(KeyedDigestTest, IsHmacSha256OfThePartsWithTheirLengths) {
  // Of "7:purpose1:a2:bc".
  EXPECT_EQ(absl::BytesToHexString(Digest("key", "purpose", {"a", "bc"})),
            "fd656750bef09e4193bcf1658a2aef2f607f9169972b25db003088b125540d2a");
}

TEST(KeyedDigestTest, KeyPurposeAndEachPartTellDigestsApart) {
  const std::string digest = Digest("key", "purpose", {"a", "bc"});
  EXPECT_NE(digest, Digest("kez", "purpose", {"a", "bc"}));
  EXPECT_NE(digest, Digest("key", "purposf", {"a", "bc"}));
  EXPECT_NE(digest, Digest("key", "purpose", {"ab", "c"}));
  EXPECT_NE(digest, Digest("key", "purpose", {"abc"}));
  EXPECT_NE(digest, Digest("key", "purpose", {"a", "bc", ""}));
  EXPECT_NE(digest, Digest("key", "purpose", {"a2:bc"}));
}

TEST(KeyedDigestTest, EmptyKeyAndPartsAreFine) { EXPECT_EQ(Digest("", "", {}).size(), 32u); }

}  // namespace
}  // namespace sendstep::plugin
