#include "plugin/status_details.h"

#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"

namespace sendstep::plugin {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Details Full() {
  Details details;
  details.reason = "AUTH_REFUSED";
  details.metadata = {{"fault", "CONFIG"}, {"smtp_code", "535"}, {"reply", "bad crédentials"}};
  details.violations = {{"config.smtp.password", "is wrong", "FIELD_INVALID"}};
  details.retry_after = std::chrono::milliseconds(61'500);
  details.links = {{"App passwords", "https://example.com/help"}};
  return details;
}

TEST(StatusDetails, RoundTrip) {
  const auto status = MakeStatus(grpc::StatusCode::FAILED_PRECONDITION, "refused", Full());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "refused");
  EXPECT_EQ(ParseDetails(status), Full());
}

TEST(StatusDetails, UnsetPartsStayUnset) {
  Details details;
  details.reason = "INTERNAL";
  const auto parsed = ParseDetails(MakeStatus(grpc::StatusCode::INTERNAL, "x", details));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_FALSE(parsed->retry_after.has_value());
  EXPECT_EQ(*parsed, details);
}

TEST(StatusDetails, OtherClientsReadGoogleRpcMessages) {
  const auto status = MakeStatus(grpc::StatusCode::UNAVAILABLE, "later", Full());
  google::rpc::Status packed;
  ASSERT_TRUE(packed.ParseFromString(status.error_details()));
  EXPECT_EQ(packed.code(), 14);
  EXPECT_EQ(packed.message(), "later");
  ASSERT_EQ(packed.details_size(), 4);
  EXPECT_EQ(packed.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(packed.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "sendstep");
}

TEST(StatusDetails, LinksGoFirst) {
  Details details = Full();
  details.links.assign(50, {"a page with a long description", "https://example.com/long/path"});
  details.links.resize(120, details.links[0]);
  const auto parsed = ParseDetails(MakeStatus(grpc::StatusCode::UNAVAILABLE, "m", details));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(parsed->links.empty());
  EXPECT_EQ(parsed->metadata, details.metadata);
  EXPECT_EQ(parsed->violations, details.violations);
}

TEST(StatusDetails, TheLongestMetadataIsCutAndTheRestKept) {
  Details details = Full();
  details.metadata["reply"] = std::string(20'000, 'x');
  const auto status = MakeStatus(grpc::StatusCode::UNAVAILABLE, "m", details);
  EXPECT_LE(status.error_details().size(), kMaxDetailsBytes);
  EXPECT_GT(status.error_details().size(), kMaxDetailsBytes / 2) << "cut more than needed";
  const auto parsed = ParseDetails(status);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->metadata.at("fault"), "CONFIG");
  EXPECT_THAT(parsed->metadata.at("reply"), StartsWith("xxxx"));
  EXPECT_THAT(parsed->metadata.at("reply"), EndsWith("..."));
}

TEST(StatusDetails, TooManyViolationsEndWithHowManyMore) {
  Details details = Full();
  details.violations.clear();
  for (int i = 0; i < 1000; ++i) {
    details.violations.push_back(
        {"email.to[" + std::to_string(i) + "].email", "the domain is empty", "ADDRESS_INVALID"});
  }
  const auto status = MakeStatus(grpc::StatusCode::INVALID_ARGUMENT, "m", details);
  EXPECT_LE(status.error_details().size(), kMaxDetailsBytes);
  const auto parsed = ParseDetails(status);
  ASSERT_TRUE(parsed.has_value());
  const size_t shown = parsed->violations.size() - 1;
  EXPECT_GT(shown, 30u);
  EXPECT_EQ(parsed->violations[0], details.violations[0]);
  EXPECT_EQ(parsed->violations[shown].description, "and " + std::to_string(1000 - shown) + " more");
  EXPECT_EQ(parsed->metadata, details.metadata);
}

TEST(StatusDetails, AlwaysFits) {
  Details details;
  details.reason = std::string(500, 'R');
  for (int i = 0; i < 2000; ++i) {
    details.metadata[std::string(200, 'k') + std::to_string(i)] = std::string(300, 'v');
    details.metadata[std::to_string(i)] = std::string(300, 'v');
    details.violations.push_back({std::string(5000, 'f'), std::string(5000, 'd'), "R"});
  }
  const auto status = MakeStatus(grpc::StatusCode::INTERNAL, std::string(9000, 'm'), details);
  EXPECT_LE(status.error_details().size(), kMaxDetailsBytes);
  EXPECT_LE(status.error_message().size(), kMaxMessageBytes);
  EXPECT_TRUE(ParseDetails(status).has_value());
}

TEST(StatusDetails, EverythingIsValidUtf8) {
  Details details;
  details.reason = "R";
  details.metadata["reply"] = "caf\xe9 \xc0\xaf \xed\xa0\x80 end";
  details.violations = {{"a\xff", "b\x80", "C"}};
  // Cutting in the middle of characters must not break one.
  details.metadata["long"] = "x";
  for (int i = 0; i < 3000; ++i) details.metadata["long"] += "\xe2\x82\xac";
  const auto status = MakeStatus(grpc::StatusCode::INTERNAL, "m\xfe", details);
  EXPECT_EQ(status.error_message(), "m?");
  const auto parsed = ParseDetails(status);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->metadata.at("reply"), "caf? ?? ??? end");
  EXPECT_EQ(parsed->violations[0].field, "a?");
  const std::string& cut = parsed->metadata.at("long");
  EXPECT_EQ(CleanUtf8(cut), cut);
  EXPECT_THAT(cut, EndsWith("\xe2\x82\xac..."));
}

TEST(StatusDetails, StatusesFromElsewhereHaveNone) {
  EXPECT_FALSE(ParseDetails(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no route")).has_value());
  EXPECT_FALSE(
      ParseDetails(grpc::Status(grpc::StatusCode::UNAVAILABLE, "m", "not a message")).has_value());
  google::rpc::Status other;
  google::rpc::ErrorInfo info;
  info.set_domain("proxy.example.com");
  other.add_details()->PackFrom(info);
  EXPECT_FALSE(
      ParseDetails(grpc::Status(grpc::StatusCode::UNAVAILABLE, "m", other.SerializeAsString()))
          .has_value());
}

TEST(StatusDetails, UnknownDetailsAreIgnored) {
  const auto status = MakeStatus(grpc::StatusCode::UNAVAILABLE, "m", Full());
  google::rpc::Status packed;
  ASSERT_TRUE(packed.ParseFromString(status.error_details()));
  packed.add_details()->set_type_url("type.googleapis.com/some.Future");
  packed.add_details()->PackFrom(google::protobuf::Duration());
  EXPECT_EQ(ParseDetails(grpc::Status(status.error_code(), "m", packed.SerializeAsString())),
            Full());
}

TEST(StatusDetails, CleanUtf8CutsAtACharacter) {
  EXPECT_EQ(CleanUtf8("a\xc3\xa4z", 2), "a");
  EXPECT_EQ(CleanUtf8("a\xc3\xa4z", 3), "a\xc3\xa4");
  EXPECT_EQ(CleanUtf8("\xf0\x9f\x98\x80", 3), "");
  EXPECT_EQ(CleanUtf8("\xf4\x90\x80\x80"), "????");
}

}  // namespace
}  // namespace sendstep::plugin
