#include "providers/sandbox/behavior.h"

#include <gtest/gtest.h>

#include "providers/sandbox/sandbox.h"

namespace sendstep::providers::sandbox {
namespace {

TEST(BehaviorTest, EveryListedNameBehavesInItsOrder) {
  int order = 0;
  for (const SandboxBehavior& row : SandboxBehaviors()) {
    const std::string address = std::string(row.local_part) + "@example.com";
    EXPECT_EQ(static_cast<int>(BehaviorOf(address)), order++) << row.local_part;
    EXPECT_FALSE(row.description.empty()) << row.local_part;
  }
  EXPECT_EQ(order, static_cast<int>(Behavior::kNone));
}

TEST(BehaviorTest, CaseTagQuotesAndDomainDoNotMatter) {
  EXPECT_EQ(BehaviorOf("Reject@example.com"), Behavior::kReject);
  EXPECT_EQ(BehaviorOf("DROP-AFTER-DATA+7@[127.0.0.1]"), Behavior::kDropAfterData);
  EXPECT_EQ(BehaviorOf("slow+a+b@example.org"), Behavior::kSlow);
  EXPECT_EQ(BehaviorOf("\"quota\"@example.com"), Behavior::kQuota);
}

TEST(BehaviorTest, OtherNamesAreOrdinary) {
  for (const char* address : {"rejected@example.com", "rejec@example.com", "a+reject@example.com",
                              "a@reject.example", "postmaster", "", "\"", "+@example.com"}) {
    EXPECT_EQ(BehaviorOf(address), Behavior::kNone) << address;
  }
}

TEST(GreylistTest, PairIsKnownTheSecondTime) {
  Greylist greylist;
  EXPECT_FALSE(greylist.Knows("a@example.com", "greylist@example.com"));
  EXPECT_TRUE(greylist.Knows("A@example.com", "Greylist@example.com"));
  EXPECT_FALSE(greylist.Knows("b@example.com", "greylist@example.com"));
  EXPECT_FALSE(greylist.Knows("a@example.com", "greylist+1@example.com"));
}

TEST(GreylistTest, TheOldestPairIsForgottenFirst) {
  Greylist greylist(2);
  greylist.Knows("a", "1");
  greylist.Knows("a", "2");
  greylist.Knows("a", "3");
  EXPECT_TRUE(greylist.Knows("a", "2"));
  EXPECT_TRUE(greylist.Knows("a", "3"));
  EXPECT_FALSE(greylist.Knows("a", "1"));
}

}  // namespace
}  // namespace sendstep::providers::sandbox
