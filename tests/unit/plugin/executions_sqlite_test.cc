// Executions with the ledger that servers have unless told otherwise.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "plugin/executions.h"
#include "plugin/fingerprint.h"
#include "plugin/ledger/sqlite_store.h"
#include "tests/unit/plugin/executions_fixture.h"

namespace sendstep::plugin {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ExecutionsSqliteTest : public ExecutionsTest {
 protected:
  ExecutionsSqliteTest() {
    std::string name = (fs::temp_directory_path() / "executions_test.XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    Open();
  }
  ~ExecutionsSqliteTest() override {
    EXPECT_TRUE(Idle());
    mailer_.CloseIdle();
    pool_.join();
    executions_.reset();
    store_.reset();
    Build(*fake_);
    fs::remove_all(folder_);
  }

  // As after a start of the server.
  void Open() {
    EXPECT_TRUE(Idle());
    executions_.reset();
    store_.reset();
    auto store = ledger::SqliteStore::Open(folder_ / "ledger.db");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    Build(*store_);
  }

  // Of all files of the ledger.
  std::string Bytes() const {
    std::string bytes;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      std::ifstream file(entry.path(), std::ios::binary);
      bytes.append(std::istreambuf_iterator<char>(file), {});
    }
    return bytes;
  }

  fs::path folder_;
  std::unique_ptr<ledger::SqliteStore> store_;
};

TEST_F(ExecutionsSqliteTest, WhatWasSentIsReplayedAfterARestart) {
  const auto first = Execute(Request());
  EXPECT_EQ(first->execution.state, State::kSent);
  Open();
  const auto later = Execute(Request());
  EXPECT_EQ(later->kind, Kind::kReplayed);
  EXPECT_EQ(later->execution, first->execution);
  EXPECT_EQ(smtp_.connections(), 1);
}

TEST_F(ExecutionsSqliteTest, ManyIdsAndCallersSendEachEmailOnce) {
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 60; ++i) calls.push_back(Start(Request("r" + std::to_string(i % 20))));
  for (const auto& call : calls) EXPECT_EQ(call->Get()->execution.state, State::kSent);
  EXPECT_EQ(smtp_.messages().size(), 20u);
}

TEST_F(ExecutionsSqliteTest, LedgerHoldsNothingOfTheEmailButIdsAndCodes) {
  const auto request = Request();
  SendCommand& command = request->command;
  command.message.subject = "canary-subject";
  command.message.text = "canary-text";
  command.message.to = {{*base::ParseAddress("canary-reader@example.org"), "Canary-Name"}};
  command.message.from.address = *base::ParseAddress("canary-sender@example.org");
  command.message.attachments = {{"canary-file.txt", "text/plain", "canary-content", ""}};
  command.envelope.sender = command.message.from.address;
  command.envelope.recipients = {command.message.to[0].address,
                                 *base::ParseAddress("canary-deferred@example.org"),
                                 *base::ParseAddress("canary-hidden@example.org")};
  command.recipient_names = {"canary-reader@example.org", "canary-deferred@example.org",
                             "canary-hidden@example.org"};
  auto& settings = command.account.resolved.settings;
  settings.allow_plaintext_auth = true;
  settings.credentials.emplace();
  settings.credentials->username = "canary-user";
  settings.credentials->password = base::Secret("canary-password");
  request->fingerprint = Fingerprint(KeyedDigest(base::Secret("canary-key")), command);
  smtp_.Reply("RCPT TO:<canary-deferred", "451 4.3.0 <canary-deferred@example.org> canary-words");
  smtp_.Reply("RCPT TO:<canary-hidden", "550 5.1.1 <canary-hidden@example.org> canary-words");

  EXPECT_EQ(Execute(request)->execution.state, State::kPending);
  EXPECT_EQ(Execute(request)->execution.state, State::kPending);
  EXPECT_EQ(smtp_.heard("AUTH"), 1);
  const std::string bytes = Bytes();
  EXPECT_THAT(bytes, HasSubstr(request->message_id)) << "the right files were looked at";
  for (const char* canary : {"canary", "Canary", "mx.example", "Y2FuYXJ5"}) {
    EXPECT_THAT(bytes, Not(HasSubstr(canary)));
  }
}

}  // namespace
}  // namespace sendstep::plugin
