// The sandbox over the wire.
#include "providers/sandbox/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "providers/registry.h"
#include "tests/unit/providers/sandbox/support.h"

namespace sendstep::providers::sandbox {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kMail = "Subject: hi\r\n\r\nbody\r\n";

std::string Flight(std::string_view recipients_and_end) {
  return "MAIL FROM:<a@example.com>\r\n" + std::string(recipients_and_end);
}

std::string BdatLast(std::string_view content) {
  return "BDAT " + std::to_string(content.size()) + " LAST\r\n" + std::string(content);
}

TEST(ServerTest, MailSentByDataIsKeptAsItCame) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com", "hidden@example.com"});
  const std::string reply = client.Data(kMail);
  ASSERT_THAT(reply, StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(client.Ask("QUIT"), "221 2.0.0 Bye");
  EXPECT_TRUE(client.Closed());

  const std::vector<fs::path> files = FilesIn(running.folder("new"));
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ("250 2.0.0 Ok: queued as " + files[0].filename().string(), reply);
  EXPECT_EQ(running.OnlyContent(), kMail);
  EXPECT_THAT(
      running.OnlyMessage(),
      StartsWith("Return-Path: <a@example.com>\r\n"
                 "X-Envelope-To: b@example.com, hidden@example.com\r\n"
                 "Received: from client.example ([127.0.0.1])\r\n by sandbox with ESMTP\r\n"));
}

TEST(ServerTest, StuffedDotsAreRemovedAndBareLineBreaksDoNotEndTheMessage) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  EXPECT_THAT(client.Data("..\r\n..x\r\na\n.\nQUIT\n\r.\rb\r\n"), StartsWith("250 2.0.0"));
  EXPECT_EQ(running.OnlyContent(), ".\r\n.x\r\na\n.\nQUIT\n\r.\rb\r\n");
}

TEST(ServerTest, WholeTransactionInOneWriteIsAnsweredInOrder) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Send(
      Flight("RCPT TO:<reject@example.com>\r\nRCPT TO:<b@example.com>\r\nNOOP\r\n"
             "DATA\r\nx\r\n.\r\nRCPT TO:<c@example.com>\r\nQUIT\r\n"));
  EXPECT_EQ(client.Codes(8), "250 550 250 250 354 250 503 221");
  EXPECT_TRUE(client.Closed());
  EXPECT_EQ(running.OnlyContent(), "x\r\n");
}

TEST(ServerTest, InputMayBeSplitAtEveryByte) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet();
  client.socket().set_option(asio::ip::tcp::no_delay(true));
  for (char c : Flight("RCPT TO:<b@example.com>\r\nBDAT 3\r\nabcDATA\r\nBDAT 2 LAST\r\nde"
                       "QUIT\r\n")) {
    client.Send({&c, 1});
  }
  EXPECT_EQ(client.Codes(6), "250 250 250 503 250 221");
  EXPECT_EQ(running.OnlyContent(), "abcde");
}

TEST(ServerTest, ChunksAreKeptByteForByte) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  const std::string first("a\r\n.\r\n..\n\0\xff", 11);
  client.Send("BDAT 11\r\n" + first + "BDAT 4\r\n\r\n.\r" + BdatLast(""));
  EXPECT_EQ(client.Reply(), "250 2.0.0 11 octets received");
  EXPECT_EQ(client.Reply(), "250 2.0.0 4 octets received");
  EXPECT_THAT(client.Reply(), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(running.OnlyContent(), first + "\r\n.\r");
}

TEST(ServerTest, ChunkAfterRefusedRecipientIsSwallowed) {
  RunningServer running;
  Client client(running.endpoint());
  const std::string forged = Flight("RCPT TO:<b@example.com>\r\n" + BdatLast("forged"));
  client.Greet().Send(Flight("RCPT TO:<reject@example.com>\r\n" + BdatLast(forged)) + "NOOP\r\n");
  EXPECT_EQ(client.Codes(4, 9), "250 2.1.0 550 5.1.1 554 5.5.1 250 2.0.0");
  EXPECT_TRUE(FilesIn(running.folder("new")).empty());
}

TEST(ServerTest, RsetGivesAHalfSentMessageUp) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  EXPECT_THAT(client.Ask("BDAT 2\r\n"), StartsWith("250"));
  EXPECT_EQ(FilesIn(running.folder("tmp")).size(), 1u);
  EXPECT_THAT(client.Ask("RSET"), StartsWith("250"));
  EXPECT_TRUE(FilesIn(running.folder("tmp")).empty());
  client.Envelope("a@example.com", {"b@example.com"});
  client.Send(BdatLast("second"));
  EXPECT_THAT(client.Reply(), StartsWith("250"));
  EXPECT_EQ(running.OnlyContent(), "second");
}

TEST(ServerTest, MessageWhoseEndNeverCameIsDropped) {
  RunningServer running;
  {
    Client client(running.endpoint());
    client.Greet().Envelope("a@example.com", {"b@example.com"});
    EXPECT_THAT(client.Ask("DATA"), StartsWith("354"));
    client.Send("Subject: half\r\n");
  }
  running.StopAndJoin();
  EXPECT_TRUE(FilesIn(running.folder("new")).empty());
  EXPECT_TRUE(FilesIn(running.folder("tmp")).empty());
}

TEST(ServerTest, TextLinesMayBeLong) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  const std::string line = std::string(200000, 'x') + "\r\n";
  EXPECT_THAT(client.Data(line), StartsWith("250"));
  EXPECT_EQ(running.OnlyContent(), line);
}

TEST(ServerTest, MessageOfTheLargestSizeIsKept) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  client.Send(BdatLast(std::string(kMaxMessageBytes, 'x')));
  EXPECT_THAT(client.Reply(), StartsWith("250 2.0.0"));
  EXPECT_EQ(running.OnlyContent().size(), kMaxMessageBytes);
}

TEST(ServerTest, LargerMessagesAreRefusedWhetherByDataOrInChunks) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  std::string content(kMaxMessageBytes - 1, 'x');
  EXPECT_THAT(client.Data(content + "\r\n"), StartsWith("552 5.3.4"));
  client.Envelope("a@example.com", {"b@example.com"});
  client.Send("BDAT " + std::to_string(content.size()) + "\r\n" + content);
  EXPECT_THAT(client.Reply(), StartsWith("250"));
  client.Send(BdatLast("ab") + BdatLast("ab"));
  EXPECT_EQ(client.Codes(2, 9), "552 5.3.4 503 5.5.1");
  EXPECT_THAT(client.Ask("NOOP"), StartsWith("250"));
  EXPECT_TRUE(FilesIn(running.folder("new")).empty());
  EXPECT_TRUE(FilesIn(running.folder("tmp")).empty());
}

TEST(ServerTest, MessageThatCannotBeWrittenIsRefusedForNow) {
  RunningServer running;
  Client client(running.endpoint());
  fs::remove_all(running.folder("tmp"));
  client.Greet().Envelope("a@example.com", {"b@example.com"});
  EXPECT_THAT(client.Data(kMail), StartsWith("452 4.3.1"));
  fs::create_directory(running.folder("tmp"));
  fs::remove_all(running.folder("new"));
  client.Envelope("a@example.com", {"b@example.com"});
  client.Send(BdatLast(kMail));
  EXPECT_THAT(client.Reply(), StartsWith("452 4.3.1"));
  EXPECT_TRUE(FilesIn(running.folder("tmp")).empty());
}

TEST(ServerTest, CommandLinesAreLimited) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet();
  EXPECT_THAT(client.Ask("NOOP " + std::string(kMaxCommandBytes - 5, 'x')), StartsWith("250"));
  EXPECT_THAT(client.Ask("NOOP " + std::string(kMaxCommandBytes - 4, 'x')),
              StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Ask(std::string(1000000, 'x')), StartsWith("500 5.5.2"));
  client.Send("NOOP\nNOOP\r\n");
  EXPECT_EQ(client.Codes(2, 9), "500 5.5.2 250 2.0.0");
}

TEST(ServerTest, RepliesBeforeAClientsHalfCloseAreDelivered) {
  RunningServer running;
  Client client(running.endpoint());
  client.Send("NOOP\r\nNOOP\r\n");
  client.socket().shutdown(asio::ip::tcp::socket::shutdown_send);
  EXPECT_EQ(client.Codes(3), "220 250 250");
  EXPECT_TRUE(client.Closed());
}

TEST(ServerTest, TooManyErrorsCloseTheSession) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet();
  std::string nonsense;
  for (int i = 0; i < 1000; ++i) nonsense += "WHAT\r\n";
  client.Send(nonsense);
  for (int i = 0; i < kMaxErrors; ++i) EXPECT_THAT(client.Reply(), StartsWith("500 5.5.2"));
  EXPECT_THAT(client.Reply(), StartsWith("421 4.7.0"));
  EXPECT_TRUE(client.Closed());
}

TEST(ServerTest, StartTlsIsVerifiedByAddressAndByName) {
  RunningServer running;
  for (const char* name : {"127.0.0.1", "localhost"}) {
    Client client(running.endpoint());
    client.Greet();
    EXPECT_THAT(client.Ask("STARTTLS"), StartsWith("220 2.0.0"));
    EXPECT_FALSE(client.Handshake(running.endpoint().ca_pem, name)) << name;
    EXPECT_STREQ(SSL_get_version(client.ssl()), "TLSv1.3");
    EXPECT_THAT(client.Ask("EHLO c"), HasSubstr("AUTH PLAIN LOGIN"));
  }
}

TEST(ServerTest, StartTlsFailsForOtherNamesAndAuthorities) {
  RunningServer running;
  const RunningServer other;
  {
    Client client(running.endpoint());
    client.Greet().Ask("STARTTLS");
    EXPECT_TRUE(client.Handshake(running.endpoint().ca_pem, "example.com"));
  }
  Client client(running.endpoint());
  client.Greet().Ask("STARTTLS");
  EXPECT_TRUE(client.Handshake(other.endpoint().ca_pem, "localhost"));
}

TEST(ServerTest, BytesBehindStartTlsAreNeverRun) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Send("STARTTLS\r\nRSET\r\n");
  EXPECT_THAT(client.Reply(), StartsWith("421 4.7.0"));
  EXPECT_TRUE(client.Closed());
}

TEST(ServerTest, GarbageInsteadOfAHandshakeCloses) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet();
  EXPECT_THAT(client.Ask("STARTTLS"), StartsWith("220"));
  client.Send("MAIL FROM:<a@example.com>\r\n");
  // A TLS alert may come, an SMTP reply may not.
  EXPECT_THAT(client.Reply().substr(0, 3), ::testing::Not(::testing::MatchesRegex("[2-5][0-9]+")));
}

TEST(ServerTest, AuthenticatedMailThroughTlsSaysSoInReceived) {
  RunningServer running;
  Client client(running.endpoint());
  client.GreetTls();
  EXPECT_THAT(client.ehlo(), HasSubstr("AUTH PLAIN LOGIN"));
  EXPECT_THAT(client.Ask("AUTH PLAIN " + Base64(std::string("\0user\0secret", 12))),
              StartsWith("235 2.7.0"));
  client.Envelope("a@example.com", {"b@example.com"});
  EXPECT_THAT(client.Data(kMail), StartsWith("250 2.0.0"));
  EXPECT_THAT(client.Ask("QUIT"), StartsWith("221"));
  EXPECT_TRUE(client.Closed());
  EXPECT_THAT(running.OnlyMessage(), HasSubstr(" by sandbox with ESMTPSA\r\n"));
  EXPECT_THAT(running.OnlyMessage(), ::testing::Not(HasSubstr("secret")));
  EXPECT_EQ(running.OnlyContent(), kMail);
}

TEST(ServerTest, LoginDialogAndItsLongLines) {
  RunningServer running;
  Client client(running.endpoint());
  client.GreetTls();
  EXPECT_EQ(client.Ask("AUTH LOGIN"), "334 VXNlcm5hbWU6");
  EXPECT_EQ(client.Ask("*"), "501 5.7.0 Authentication cancelled");
  EXPECT_EQ(client.Ask("AUTH LOGIN"), "334 VXNlcm5hbWU6");
  EXPECT_THAT(client.Ask("not base64"), StartsWith("501 5.5.2"));
  client.Ask("AUTH LOGIN");
  EXPECT_THAT(client.Ask(std::string(kMaxAuthBytes + 1, 'x')), StartsWith("500 5.5.6"));
  EXPECT_EQ(client.Ask("AUTH LOGIN " + Base64("user")), "334 UGFzc3dvcmQ6");
  EXPECT_THAT(client.Ask(Base64(std::string(9000, 'p'))), StartsWith("235 2.7.0"));
}

TEST(ServerTest, OneFlightThroughTls) {
  RunningServer running;
  Client client(running.endpoint());
  client.GreetTls().Send(Flight("RCPT TO:<b@example.com>\r\n" + BdatLast(kMail)));
  EXPECT_EQ(client.Codes(3), "250 250 250");
  EXPECT_EQ(running.OnlyContent(), kMail);
}

TEST(ServerTest, InternationalAddressesReachTheEnvelopeHeaders) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet();
  EXPECT_THAT(client.Ask("MAIL FROM:<jörg@bücher.example> SMTPUTF8"), StartsWith("250"));
  EXPECT_THAT(client.Ask("RCPT TO:<δοκιμή@example.com>"), StartsWith("250"));
  EXPECT_THAT(client.Data(kMail), StartsWith("250"));
  EXPECT_THAT(running.OnlyMessage(), StartsWith("Return-Path: <jörg@bücher.example>\r\n"
                                                "X-Envelope-To: δοκιμή@example.com\r\n"));
  EXPECT_THAT(running.OnlyMessage(), HasSubstr(" with UTF8SMTP\r\n"));
}

TEST(ServerTest, RefusingRecipientsRefuse) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Ask("MAIL FROM:<a@example.com>");
  EXPECT_THAT(client.Ask("RCPT TO:<reject@example.com>"), StartsWith("550 5.1.1"));
  EXPECT_THAT(client.Ask("RCPT TO:<Tempfail+x@example.org>"), StartsWith("451 4.3.0"));
  EXPECT_THAT(client.Ask("RCPT TO:<quota@example.com>"), StartsWith("552 5.2.2"));
  EXPECT_THAT(client.Ask("RCPT TO:<b@example.com>"), StartsWith("250"));
  EXPECT_THAT(client.Data(kMail), StartsWith("250"));
  EXPECT_THAT(running.OnlyMessage(), HasSubstr("X-Envelope-To: b@example.com\r\n"));
}

TEST(ServerTest, GreylistedRecipientIsAcceptedByTheNextSession) {
  RunningServer running;
  Client first(running.endpoint());
  first.Greet().Ask("MAIL FROM:<a@example.com>");
  EXPECT_THAT(first.Ask("RCPT TO:<greylist@example.com>"), StartsWith("450 4.7.1"));
  Client second(running.endpoint());
  second.Greet().Envelope("a@example.com", {"greylist@example.com"});
  EXPECT_THAT(second.Data(kMail), StartsWith("250"));
}

TEST(ServerTest, SlowRecipientDelaysTheLastReplyOnly) {
  Options options;
  options.slow_delay = milliseconds(60);
  RunningServer running(options);
  Client client(running.endpoint());
  client.Greet().Send(Flight("RCPT TO:<slow@example.com>\r\n" + BdatLast(kMail)));
  EXPECT_EQ(client.Codes(2), "250 250");
  EXPECT_EQ(running.OnlyContent(), kMail);
  EXPECT_THAT(client.Reply(), StartsWith("250 2.0.0 Ok: queued as "));
}

TEST(ServerTest, SlowReplyTakesItsTime) {
  Options options;
  options.slow_delay = milliseconds(60);
  RunningServer running(options);
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"slow@example.com"});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(client.Data(kMail), StartsWith("250 2.0.0"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, options.slow_delay);
}

TEST(ServerTest, DropAfterDataKeepsTheMailAndClosesWithoutAReply) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"drop-after-data@example.com", "b@example.com"});
  EXPECT_EQ(client.Data(kMail), "");
  EXPECT_EQ(running.OnlyContent(), kMail);
}

TEST(ServerTest, UncertainClosesWithoutAReplyAndKeepsNothing) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"uncertain@example.com"});
  EXPECT_EQ(client.Data(kMail), "");
  EXPECT_TRUE(FilesIn(running.folder("new")).empty());
}

TEST(ServerTest, TooLargeKeepsNothingAndGoesOn) {
  RunningServer running;
  Client client(running.endpoint());
  client.Greet().Envelope("a@example.com", {"toolarge@example.com"});
  EXPECT_THAT(client.Data(kMail), StartsWith("552 5.3.4"));
  EXPECT_TRUE(FilesIn(running.folder("new")).empty());
  client.Envelope("a@example.com", {"b@example.com"});
  EXPECT_THAT(client.Data(kMail), StartsWith("250 2.0.0"));
}

TEST(ServerTest, DropAfterDataAnswersTheRestOfAFlight) {
  RunningServer running;
  Client client(running.endpoint());
  client.GreetTls().Send(Flight("RCPT TO:<drop-after-data@example.com>\r\n" + BdatLast(kMail)));
  EXPECT_EQ(client.Codes(2), "250 250");
  EXPECT_TRUE(client.Closed());
  EXPECT_EQ(running.OnlyContent(), kMail);
}

TEST(ServerTest, IdleSessionIsToldAndClosed) {
  Options options;
  options.idle_timeout = milliseconds(30);
  RunningServer running(options);
  Client client(running.endpoint());
  EXPECT_THAT(client.Reply(), StartsWith("220"));
  EXPECT_THAT(client.Reply(), StartsWith("421 4.4.2"));
  EXPECT_TRUE(client.Closed());
}

TEST(ServerTest, IdleHandshakeIsClosed) {
  Options options;
  options.idle_timeout = seconds(2);
  RunningServer running(options);
  Client client(running.endpoint());
  client.Send("EHLO c\r\nSTARTTLS\r\n");
  EXPECT_EQ(client.Codes(3), "220 250 220");
  EXPECT_TRUE(client.Closed());
}

TEST(ServerTest, OneAccountsConnectionsLeaveRoomForOthers) {
  const Registry registry = Registry::Embedded();
  const auto& limits = registry.FindByName("sandbox")->sending_limits();
  EXPECT_LE(2 * limits.max_connections(), Options().max_sessions);
}

TEST(ServerTest, SessionsBeyondTheLimitAreTurnedAway) {
  Options options;
  options.max_sessions = 1;
  RunningServer running(options);
  {
    Client first(running.endpoint());
    first.Greet();
    Client second(running.endpoint());
    EXPECT_THAT(second.Reply(), StartsWith("421 4.3.2"));
    EXPECT_TRUE(second.Closed());
  }
  std::string greeting;
  while (!greeting.starts_with("220")) greeting = Client(running.endpoint()).Reply();
}

TEST(ServerTest, StopEndsSessionsInEveryState) {
  Options options;
  options.slow_delay = hours(1);
  RunningServer running(options);
  Client idle(running.endpoint());
  idle.Greet();
  Client in_tls(running.endpoint());
  in_tls.GreetTls();
  Client in_handshake(running.endpoint());
  in_handshake.Greet().Ask("STARTTLS");
  Client in_data(running.endpoint());
  in_data.Greet().Envelope("a@example.com", {"b@example.com"});
  in_data.Ask("DATA");
  Client in_slow(running.endpoint());
  in_slow.Greet().Send(Flight("RCPT TO:<slow@example.com>\r\n" + BdatLast(kMail)));
  EXPECT_EQ(in_slow.Codes(2), "250 250");

  running.server().Stop();
  EXPECT_ANY_THROW(Client refused(running.endpoint()));
  for (Client* client : {&idle, &in_tls, &in_handshake, &in_data, &in_slow}) {
    EXPECT_TRUE(client->Closed());
  }
  // Returns only when nothing is pending.
  running.StopAndJoin();
  EXPECT_TRUE(FilesIn(running.folder("tmp")).empty());
  EXPECT_EQ(FilesIn(running.folder("new")).size(), 1u);
}

TEST(ServerTest, FiftySessionsSendSideBySide) {
  constexpr int kSessions = 50;
  RunningServer running;
  std::vector<std::thread> clients;
  for (int i = 0; i < kSessions; ++i) {
    clients.emplace_back([&running, i] {
      const std::string content = "Subject: " + std::to_string(i) + "\r\n\r\n" +
                                  std::string(50000, static_cast<char>('0' + i)) + "\r\n";
      Client client(running.endpoint());
      i % 2 ? client.GreetTls() : client.Greet();
      client.Envelope("a@example.com", {"b" + std::to_string(i) + "@example.com"});
      EXPECT_THAT(client.Data(content), StartsWith("250 2.0.0"));
      client.Send(Flight("RCPT TO:<c@example.com>\r\n" + BdatLast(content)));
      EXPECT_EQ(client.Codes(3), "250 250 250");
      EXPECT_THAT(client.Ask("QUIT"), StartsWith("221"));
    });
  }
  for (std::thread& client : clients) client.join();
  const std::vector<fs::path> files = FilesIn(running.folder("new"));
  EXPECT_EQ(files.size(), 2u * kSessions);
  for (const fs::path& file : files) {
    const std::string message = ReadFile(file);
    // Each holds the body of one session alone.
    const char body = message[message.size() - 3];
    EXPECT_EQ(message.substr(message.size() - 50002, 50000), std::string(50000, body));
  }
}

TEST(ServerTest, StopWhileSessionsSendIsSafe) {
  RunningServer running;
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    auto client = std::make_unique<Client>(running.endpoint());
    client->Greet();
    clients.emplace_back([client = std::move(client)] {
      while (!client->Ask("NOOP").empty()) {
        client->Send(Flight("RCPT TO:<b@example.com>\r\n" + BdatLast(kMail)));
        client->Codes(3);
      }
    });
  }
  while (FilesIn(running.folder("new")).size() < 20) std::this_thread::yield();
  running.StopAndJoin();
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(FilesIn(running.folder("tmp")).empty());
}

TEST(ServerTest, NothingIsLeftWhereTheExecutorNeverRunsAgain) {
  const TemporaryFolder folder;
  asio::io_context io;
  auto server = Server::Start(io.get_executor(), folder.path());
  ASSERT_TRUE(server.ok());
  Client client((*server)->endpoint());
  io.run_one();  // accepts
  io.poll();     // greets
  EXPECT_THAT(client.Reply(), StartsWith("220"));
  (*server)->Stop();
}

}  // namespace
}  // namespace sendstep::providers::sandbox
