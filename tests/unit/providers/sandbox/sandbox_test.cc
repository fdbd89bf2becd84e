#include "providers/sandbox/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/providers/sandbox/support.h"

namespace sendstep::providers {
namespace {

using sandbox::Client;
using sandbox::FilesIn;
using sandbox::TemporaryFolder;
using sandbox::Threads;
using ::testing::StartsWith;

TEST(SandboxTest, EndpointIsOnLoopbackAndKeepsMail) {
  const TemporaryFolder folder;
  Threads threads(1);
  const auto sandbox = Sandbox::Start(threads.io().get_executor(), folder.path() / "mail");
  ASSERT_TRUE(sandbox.ok()) << sandbox.status();
  const SandboxEndpoint endpoint = (*sandbox)->endpoint();
  EXPECT_EQ(endpoint.host, "127.0.0.1");
  EXPECT_NE(endpoint.port, 0);
  EXPECT_THAT(endpoint.ca_pem, StartsWith("-----BEGIN CERTIFICATE-----"));
  EXPECT_EQ((*sandbox)->maildir(), folder.path() / "mail");

  Client client(endpoint);
  client.GreetTls().Envelope("a@example.com", {"b@example.com"});
  EXPECT_THAT(client.Data("Subject: x\r\n\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(FilesIn((*sandbox)->maildir() / "new").size(), 1u);
}

TEST(SandboxTest, UnusableMaildirIsAnError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  boost::asio::io_context io;
  EXPECT_FALSE(Sandbox::Start(io.get_executor(), folder.path() / "file").ok());
}

TEST(SandboxTest, DestructionClosesListenerAndSessions) {
  const TemporaryFolder folder;
  Threads threads(2);
  auto sandbox = Sandbox::Start(threads.io().get_executor(), folder.path());
  ASSERT_TRUE(sandbox.ok());
  const SandboxEndpoint endpoint = (*sandbox)->endpoint();
  Client client(endpoint);
  client.Greet();
  sandbox->reset();
  EXPECT_TRUE(client.Closed());
  EXPECT_ANY_THROW(Client refused(endpoint));
}

TEST(SandboxTest, StopMayBeCalledAgainAndLeavesTheEndpointReadable) {
  const TemporaryFolder folder;
  Threads threads(1);
  const auto sandbox = Sandbox::Start(threads.io().get_executor(), folder.path());
  ASSERT_TRUE(sandbox.ok());
  (*sandbox)->Stop();
  (*sandbox)->Stop();
  EXPECT_EQ((*sandbox)->endpoint().host, "127.0.0.1");
}

TEST(SandboxTest, TwoSandboxesShareAMaildir) {
  const TemporaryFolder folder;
  Threads threads(2);
  const auto one = Sandbox::Start(threads.io().get_executor(), folder.path());
  const auto two = Sandbox::Start(threads.io().get_executor(), folder.path());
  ASSERT_TRUE(one.ok() && two.ok());
  for (const auto* sandbox : {&one, &two}) {
    Client client((**sandbox)->endpoint());
    client.Greet().Envelope("a@example.com", {"b@example.com"});
    EXPECT_THAT(client.Data("x\r\n"), StartsWith("250"));
  }
  EXPECT_EQ(FilesIn(folder.path() / "new").size(), 2u);
}

}  // namespace
}  // namespace sendstep::providers
