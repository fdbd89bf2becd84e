#include "clients/cli/mailbox.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::cli {
namespace {

// "name|email", or "!" and what is wrong.
std::string Read(std::string_view text) {
  const auto address = ParseMailbox(text);
  if (!address.ok()) return "!" + std::string(address.status().message());
  return address->name() + "|" + address->email();
}

TEST(Mailbox, AnAddressAlone) {
  EXPECT_EQ(Read("ann@example.com"), "|ann@example.com");
  EXPECT_EQ(Read("  <ann@example.com> "), "|ann@example.com");
}

TEST(Mailbox, ANameBeforeAnAddress) {
  EXPECT_EQ(Read("Ann Lee <ann@example.com>"), "Ann Lee|ann@example.com");
  EXPECT_EQ(Read("Ännchen 😀<a@b.c>"), "Ännchen 😀|a@b.c");
}

TEST(Mailbox, QuotesAroundANameGo) {
  EXPECT_EQ(Read(R"("Lee, Ann" <a@b.c>)"), "Lee, Ann|a@b.c");
  EXPECT_EQ(Read(R"("say \"hi\" <now>" <a@b.c>)"), "say \"hi\" <now>|a@b.c");
}

TEST(Mailbox, AQuotedLocalPartStays) {
  EXPECT_EQ(Read(R"("a<b"@example.com)"), R"(|"a<b"@example.com)");
}

TEST(Mailbox, BrokenFormsAreRefused) {
  EXPECT_EQ(Read("Ann <a@b.c"), "!no \">\" at the end");
  EXPECT_EQ(Read("Ann <a@b.c> x"), "!no \">\" at the end");
  EXPECT_EQ(Read("Ann <>"), "!no address");
  EXPECT_EQ(Read(" "), "!no address");
}

}  // namespace
}  // namespace sendstep::cli
