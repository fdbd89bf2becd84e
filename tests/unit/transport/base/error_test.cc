#include "transport/base/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace sendstep::base {
namespace {

TEST(StageName, IsTheNameOfTheContract) {
  EXPECT_EQ(StageName(Stage::kConfig), "config");
  EXPECT_EQ(StageName(Stage::kMailFrom), "mail_from");
  EXPECT_EQ(StageName(Stage::kRcptTo), "rcpt_to");
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Stage::kData); ++i) {
    names.insert(StageName(static_cast<Stage>(i)));
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"config", "dns", "tcp", "tls", "ehlo", "auth",
                                               "mail_from", "rcpt_to", "data"}));
}

TEST(Refused, TakesItsClassFromTheReply) {
  const Error permanent = Refused(Stage::kAuth, {535, "5.7.8", {"no"}}, "login refused");
  EXPECT_EQ(permanent.stage, Stage::kAuth);
  EXPECT_EQ(permanent.cause, Cause::kRefused);
  EXPECT_EQ(permanent.error_class, ErrorClass::kPermanent);
  ASSERT_TRUE(permanent.reply);
  EXPECT_EQ(permanent.reply->enhanced_code, "5.7.8");
  EXPECT_EQ(permanent.detail, "login refused");
  EXPECT_EQ(Refused(Stage::kData, {421, "", {}}).error_class, ErrorClass::kTransient);
  EXPECT_EQ(Refused(Stage::kData, {250, "", {}}).error_class, ErrorClass::kTransient);
}

TEST(Failed, HasNoReply) {
  const Error error = Failed(Stage::kTcp, Cause::kTimeout, ErrorClass::kTransient, "too late");
  EXPECT_EQ(error.cause, Cause::kTimeout);
  EXPECT_EQ(error.error_class, ErrorClass::kTransient);
  EXPECT_EQ(error.detail, "too late");
  EXPECT_FALSE(error.reply);
  EXPECT_TRUE(error.recipients.empty());
}

}  // namespace
}  // namespace sendstep::base
