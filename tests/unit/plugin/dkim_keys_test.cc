#include "plugin/dkim_keys.h"

#include <gtest/gtest.h>

#include "tests/unit/transport/mime/dkim_keys.h"

namespace sendstep::plugin {
namespace {

TEST(DkimKeys, AKeyIsParsedAgainWhenItChanges) {
  DkimKeys keys;
  const auto algorithm = [&keys](std::string_view pem) {
    const auto key = keys.Load("example.com", "s", base::Secret(pem));
    return key ? std::string(key->algorithm()) : key.error().detail;
  };
  EXPECT_EQ(algorithm(mime::kRfc8463Ed25519), "ed25519-sha256");
  EXPECT_EQ(algorithm(mime::kRfc8463Ed25519), "ed25519-sha256");
  EXPECT_EQ(algorithm(mime::kRfc8463Rsa), "rsa-sha256");
  EXPECT_EQ(algorithm("not a key"), "the private key is not one in PEM");
  EXPECT_EQ(algorithm(mime::kRfc8463Rsa), "rsa-sha256");
}

TEST(DkimKeys, KeysOfOtherNamesAreOthers) {
  DkimKeys keys;
  const base::Secret pem(mime::kRfc8463Ed25519);
  EXPECT_EQ(keys.Load("example.com", "a", pem)->selector(), "a");
  EXPECT_EQ(keys.Load("example.com", "b", pem)->selector(), "b");
  EXPECT_EQ(keys.Load("example.org", "a", pem)->domain(), "example.org");
}

}  // namespace
}  // namespace sendstep::plugin
