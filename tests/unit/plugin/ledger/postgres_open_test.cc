// What is refused, and how, where no server is needed to know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "plugin/ledger/postgres.h"
#include "plugin/ledger/postgres_session.h"
#include "plugin/ledger/postgres_store.h"

namespace sendstep::ledger {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PostgresUrl, UnknownHostIsNamedWithoutThePassword) {
  // No name has such a label: nobody is asked for it.
  for (const std::string& host : {std::string("/nowhere"), std::string(70, 'h')}) {
    const std::string url = "postgresql://me:canary-7f3@/ledger?host=" + host;
    const absl::Status status = PostgresStore::Open(url, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr(host));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("canary")));
  }
}

TEST(PostgresUrl, MalformedIsRefusedWithoutAnyOfIt) {
  for (const char* url :
       {"", "canary", "host=h password=canary", "mysql://u:canary@h/d",
        "postgresql://u:can@ary@h/d", "postgresql://u:canary/x@h/d", "postgresql://u:canary/d",
        "postgresql://u:1/canary@h/d", "postgresql://u:canary%zz@h/d",
        "postgresql://u:p@h/d?canary", "postgresql://[canary/d", "postgresql://u:p@h/d?canary=1"}) {
    const absl::Status status = PostgresStore::Open(url, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url;
    const std::string message(status.message());
    for (const char* part : {"canary", "ary", "can@"}) EXPECT_THAT(message, Not(HasSubstr(part)));
  }
}

TEST(PostgresUrl, PasswordIsTakenOutOfWhatOthersSay) {
  const auto url = PostgresUrl::Parse("postgresql://me:s%40crit@db:5433/ledger?sslmode=require");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->name(), "db:5433/ledger");
  EXPECT_EQ(url->Clean("with s@crit:\n\tno\n"), "with ***:; no");
}

TEST(PostgresSettings, WhatWouldLoseCommittedChangesIsRefused) {
  const PostgresSettings good = {"on", "", "on", "on", "UTF8"};
  EXPECT_EQ(JudgeSettings(good), "");
  EXPECT_EQ(JudgeSettings({"local", "", "on", "on", "UTF8"}), "");
  EXPECT_EQ(JudgeSettings({"remote_apply", "standby", "on", "on", "UTF8"}), "");
  EXPECT_THAT(JudgeSettings({"local", "standby", "on", "on", "UTF8"}), HasSubstr("failover"));
  EXPECT_THAT(JudgeSettings({"off", "", "on", "on", "UTF8"}), HasSubstr("sent again"));
  EXPECT_THAT(JudgeSettings({"on", "", "off", "on", "UTF8"}), HasSubstr("fsync"));
  EXPECT_THAT(JudgeSettings({"on", "", "on", "off", "UTF8"}), HasSubstr("full_page_writes"));
  EXPECT_THAT(JudgeSettings({"on", "", "on", "on", "SQL_ASCII"}), HasSubstr("encoding"));
}

}  // namespace
}  // namespace sendstep::ledger
