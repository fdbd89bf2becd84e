#include "providers/sandbox/dialog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/providers/sandbox/support.h"

namespace sendstep::providers::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class DialogTest : public ::testing::Test {
 protected:
  std::string Say(std::string_view line) { return dialog_.OnLine(line).reply; }
  // Code and enhanced code of the reply.
  std::string Code(std::string_view line) { return Say(line).substr(0, 9); }
  Next NextAfter(std::string_view line) { return dialog_.OnLine(line).next; }

  void StartTls() {
    Say("EHLO c");
    EXPECT_EQ(NextAfter("STARTTLS"), Next::kStartTls);
    dialog_.OnTlsStarted();
    Say("EHLO c");
  }
  void OpenTransaction() {
    Say("EHLO c");
    EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "250 2.1.0");
    EXPECT_EQ(Code("RCPT TO:<b@example.com>"), "250 2.1.5");
  }

  Greylist greylist_;
  Dialog dialog_{greylist_};
};

TEST_F(DialogTest, GreetingNamesTheHost) {
  EXPECT_EQ(dialog_.Greeting(), "220 sandbox ESMTP sendstep\r\n");
}

TEST_F(DialogTest, EhloListsWhatIsOfferedInClear) {
  EXPECT_EQ(Say("EHLO client.example"),
            "250-sandbox greets client.example\r\n"
            "250-PIPELINING\r\n"
            "250-SIZE 58720256\r\n"
            "250-STARTTLS\r\n"
            "250-ENHANCEDSTATUSCODES\r\n"
            "250-8BITMIME\r\n"
            "250-SMTPUTF8\r\n"
            "250-DSN\r\n"
            "250 CHUNKING\r\n");
}

TEST_F(DialogTest, EhloOffersAuthInsteadOfStartTlsOnceProtected) {
  StartTls();
  EXPECT_THAT(Say("EHLO c"), HasSubstr("250-AUTH PLAIN LOGIN\r\n"));
  EXPECT_THAT(Say("EHLO c"), Not(HasSubstr("STARTTLS")));
}

TEST_F(DialogTest, HeloHasOneLineAndNoExtensions) {
  EXPECT_EQ(Say("HELO c"), "250 sandbox greets c\r\n");
  EXPECT_EQ(Code("STARTTLS"), "503 5.5.1");
  EXPECT_EQ(Code("AUTH PLAIN"), "503 5.5.1");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE=1"), "555 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "250 2.1.0");
  EXPECT_EQ(Code("BDAT 1"), "503 5.5.1");
}

TEST_F(DialogTest, ClientNameMustBeADomainOrLiteral) {
  EXPECT_EQ(Code("EHLO"), "501 5.5.4");
  EXPECT_EQ(Code("EHLO a<b"), "501 5.5.4");
  EXPECT_EQ(Code("EHLO " + std::string(256, 'a')), "501 5.5.4");
  EXPECT_THAT(Say("EHLO [IPv6:::1]"), StartsWith("250-"));
  EXPECT_EQ(dialog_.client_name(), "[IPv6:::1]");
}

TEST_F(DialogTest, UnknownCommandsAreSyntaxErrors) {
  EXPECT_EQ(Code("HELLO you"), "500 5.5.2");
  EXPECT_EQ(Code(""), "500 5.5.2");
  EXPECT_EQ(Code("NOOP\tx"), "500 5.5.2");
  EXPECT_EQ(Code(std::string_view("NOOP\0x", 6)), "500 5.5.2");
  EXPECT_EQ(Code("NOOP a\rQUIT"), "500 5.5.2");
  EXPECT_EQ(Code("NOOP \xff"), "500 5.5.2");
}

TEST_F(DialogTest, CommandsWithoutStateAnswerAtAnyTime) {
  EXPECT_EQ(Code("NOOP"), "250 2.0.0");
  EXPECT_EQ(Code("noop whatever"), "250 2.0.0");
  EXPECT_EQ(Code("HELP"), "214 2.0.0");
  EXPECT_EQ(Code("VRFY someone"), "252 2.0.0");
  EXPECT_EQ(Code("VRFY"), "501 5.5.4");
  EXPECT_EQ(Code("EXPN list"), "502 5.5.1");
  EXPECT_EQ(Code("RSET"), "250 2.0.0");
  EXPECT_EQ(Code("RSET now"), "501 5.5.4");
  EXPECT_EQ(Code("QUIT now"), "501 5.5.4");
  const Step quit = dialog_.OnLine("QUIT");
  EXPECT_EQ(quit.reply, "221 2.0.0 Bye\r\n");
  EXPECT_EQ(quit.next, Next::kClose);
}

TEST_F(DialogTest, CommandsOutOfSequenceAreRefused) {
  EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "503 5.5.1");
  EXPECT_EQ(Code("STARTTLS"), "503 5.5.1");
  Say("EHLO c");
  EXPECT_EQ(Code("RCPT TO:<b@example.com>"), "503 5.5.1");
  EXPECT_EQ(Code("DATA"), "503 5.5.1");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "250 2.1.0");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "503 5.5.1");
  EXPECT_EQ(Code("DATA"), "554 5.5.1");
}

TEST_F(DialogTest, MailArgumentsAreChecked) {
  Say("EHLO c");
  EXPECT_EQ(Code("MAIL"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM: <a@example.com>"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@@example.com>"), "501 5.1.7");
  EXPECT_EQ(Code("MAIL FROM:<a>"), "501 5.1.7");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE=x"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> BODY=BINARYMIME"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SMTPUTF8=1"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> RET=SOME"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> ENVID"), "501 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> BY=1"), "555 5.5.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> AUTH=<>"), "555 5.5.4");
  EXPECT_EQ(dialog_.transaction().sender, std::nullopt);
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE=1 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=1"),
            "250 2.1.0");
}

TEST_F(DialogTest, NullSenderIsASender) {
  Say("EHLO c");
  EXPECT_EQ(Code("MAIL FROM:<>"), "250 2.1.0");
  EXPECT_EQ(Code("RCPT TO:<b@example.com>"), "250 2.1.5");
  EXPECT_EQ(dialog_.transaction().sender, "");
}

TEST_F(DialogTest, DeclaredSizeIsLimited) {
  Say("EHLO c");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE=58720257"), "552 5.3.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE=99999999999999999999"), "552 5.3.4");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> SIZE=58720256"), "250 2.1.0");
}

TEST_F(DialogTest, AuthParameterOfMailIsTakenWhereAuthIsOffered) {
  StartTls();
  EXPECT_EQ(Code("MAIL FROM:<a@example.com> AUTH=<>"), "250 2.1.0");
}

TEST_F(DialogTest, RecipientArgumentsAreChecked) {
  Say("EHLO c");
  Say("MAIL FROM:<a@example.com>");
  EXPECT_EQ(Code("RCPT b@example.com"), "501 5.5.4");
  EXPECT_EQ(Code("RCPT TO:<>"), "501 5.1.3");
  EXPECT_EQ(Code("RCPT TO:<b@example..com>"), "501 5.1.3");
  EXPECT_EQ(Code("RCPT TO:<b@example.com> NOTIFY=NEVER,DELAY"), "501 5.5.4");
  EXPECT_EQ(Code("RCPT TO:<b@example.com> NOTIFY=SOMETIMES"), "501 5.5.4");
  EXPECT_EQ(Code("RCPT TO:<b@example.com> ORCPT=b"), "501 5.5.4");
  EXPECT_EQ(Code("RCPT TO:<b@example.com> BY=1"), "555 5.5.4");
  EXPECT_EQ(Code("RCPT TO:<Postmaster>"), "250 2.1.5");
}

TEST_F(DialogTest, AddressesBeyondAsciiNeedSmtpUtf8) {
  Say("EHLO c");
  EXPECT_EQ(Code("MAIL FROM:<jörg@example.com>"), "553 5.6.7");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "250 2.1.0");
  EXPECT_EQ(Code("RCPT TO:<jörg@example.com>"), "553 5.6.7");
  Say("RSET");
  EXPECT_EQ(Code("MAIL FROM:<jörg@example.com> SMTPUTF8"), "250 2.1.0");
  EXPECT_EQ(Code("RCPT TO:<b@bücher.example>"), "250 2.1.5");
}

TEST_F(DialogTest, RecipientsAreLimitedToOneThousand) {
  Say("EHLO c");
  Say("MAIL FROM:<a@example.com>");
  for (size_t i = 0; i < kMaxRecipients; ++i) {
    ASSERT_EQ(Code("RCPT TO:<b" + std::to_string(i) + "@example.com>"), "250 2.1.5");
  }
  EXPECT_EQ(Code("RCPT TO:<one-more@example.com>"), "452 4.5.3");
  EXPECT_EQ(dialog_.transaction().recipients.size(), kMaxRecipients);
}

TEST_F(DialogTest, RecipientsBehaveByName) {
  Say("EHLO c");
  Say("MAIL FROM:<a@example.com>");
  EXPECT_EQ(Code("RCPT TO:<reject@example.com>"), "550 5.1.1");
  EXPECT_EQ(Code("RCPT TO:<tempfail@example.com>"), "451 4.3.0");
  EXPECT_EQ(Code("RCPT TO:<quota@example.com>"), "552 5.2.2");
  EXPECT_EQ(Code("RCPT TO:<greylist@example.com>"), "450 4.7.1");
  EXPECT_EQ(Code("RCPT TO:<greylist@example.com>"), "250 2.1.5");
  EXPECT_EQ(Code("RCPT TO:<slow@example.com>"), "250 2.1.5");
  EXPECT_EQ(Code("RCPT TO:<drop-after-data@example.com>"), "250 2.1.5");
  EXPECT_TRUE(dialog_.transaction().slow);
  EXPECT_TRUE(dialog_.transaction().drop_after_data);
  EXPECT_FALSE(dialog_.transaction().keeps_nothing);
  const Step left = dialog_.OnLine("RCPT TO:<disconnect@example.com>");
  EXPECT_THAT(left.reply, StartsWith("421 4.3.0"));
  EXPECT_EQ(left.next, Next::kClose);
}

TEST_F(DialogTest, TooLargeIsToldAtTheEndOfTheMessage) {
  Say("EHLO c");
  Say("MAIL FROM:<a@example.com>");
  EXPECT_EQ(Code("RCPT TO:<toolarge@example.com>"), "250 2.1.5");
  EXPECT_TRUE(dialog_.transaction().keeps_nothing);
  const Step end = dialog_.OnMessage({.outcome = Received::Outcome::kForgotten, .id = {}});
  EXPECT_THAT(end.reply, StartsWith("552 5.3.4"));
  EXPECT_EQ(end.next, Next::kLine);
}

TEST_F(DialogTest, AuthFailFailsWithAnyPasswordAndMechanism) {
  Say("EHLO c");
  dialog_.OnTlsStarted();
  Say("EHLO c");
  // NUL authfail NUL x
  EXPECT_EQ(Code("AUTH PLAIN AGF1dGhmYWlsAHg="), "535 5.7.8");
  // authfail+1@example.com, x
  EXPECT_THAT(Say("AUTH LOGIN YXV0aGZhaWwrMUBleGFtcGxlLmNvbQ=="), StartsWith("334 "));
  EXPECT_EQ(Code("eA=="), "535 5.7.8");
}

TEST_F(DialogTest, DataFollowsAnAcceptedRecipient) {
  OpenTransaction();
  EXPECT_EQ(Code("DATA now"), "501 5.5.4");
  const Step data = dialog_.OnLine("DATA");
  EXPECT_THAT(data.reply, StartsWith("354 "));
  EXPECT_EQ(data.next, Next::kData);
}

TEST_F(DialogTest, EndOfMessageEndsTheTransaction) {
  OpenTransaction();
  Received received;
  received.id = "42";
  EXPECT_EQ(dialog_.OnMessage(received).reply, "250 2.0.0 Ok: queued as 42\r\n");
  EXPECT_EQ(Code("RCPT TO:<b@example.com>"), "503 5.5.1");
}

TEST_F(DialogTest, MessageThatWasNotReceivedIsRefused) {
  OpenTransaction();
  Received received;
  received.outcome = Received::Outcome::kTooLarge;
  EXPECT_THAT(dialog_.OnMessage(received).reply, StartsWith("552 5.3.4"));
  OpenTransaction();
  received.outcome = Received::Outcome::kNotWritten;
  EXPECT_THAT(dialog_.OnMessage(received).reply, StartsWith("452 4.3.1"));
}

TEST_F(DialogTest, ChunksKeepOtherCommandsOut) {
  OpenTransaction();
  const Step chunk = dialog_.OnLine("BDAT 5");
  EXPECT_EQ(chunk.reply, "");
  EXPECT_EQ(chunk.next, Next::kChunk);
  EXPECT_EQ(dialog_.OnChunk(5, {}).reply, "250 2.0.0 5 octets received\r\n");
  EXPECT_EQ(Code("DATA"), "503 5.5.1");
  EXPECT_EQ(Code("RCPT TO:<c@example.com>"), "503 5.5.1");
  EXPECT_EQ(Code("MAIL FROM:<c@example.com>"), "503 5.5.1");
  EXPECT_TRUE(dialog_.OnLine("BDAT 0 LAST").chunk.last);
}

TEST_F(DialogTest, FailedChunkEndsTheTransaction) {
  OpenTransaction();
  Say("BDAT 5");
  Received received;
  received.outcome = Received::Outcome::kTooLarge;
  EXPECT_THAT(dialog_.OnChunk(5, received).reply, StartsWith("552 5.3.4"));
  const Step next = dialog_.OnLine("BDAT 5 LAST");
  EXPECT_THAT(next.reply, StartsWith("503 5.5.1"));
  EXPECT_EQ(next.next, Next::kSkipChunk);
}

TEST_F(DialogTest, ChunkOutOfSequenceIsSwallowed) {
  Say("EHLO c");
  Step step = dialog_.OnLine("BDAT 86 LAST");
  EXPECT_THAT(step.reply, StartsWith("503 5.5.1"));
  EXPECT_EQ(step.next, Next::kSkipChunk);
  EXPECT_EQ(step.chunk.size, 86u);
  Say("MAIL FROM:<a@example.com>");
  Say("RCPT TO:<reject@example.com>");
  step = dialog_.OnLine("BDAT 86 LAST");
  EXPECT_THAT(step.reply, StartsWith("554 5.5.1"));
  EXPECT_EQ(step.next, Next::kSkipChunk);
}

TEST_F(DialogTest, ChunkOfUnknownSizeCloses) {
  OpenTransaction();
  const Step step = dialog_.OnLine("BDAT many");
  EXPECT_THAT(step.reply, StartsWith("501 5.5.4"));
  EXPECT_EQ(step.next, Next::kClose);
}

TEST_F(DialogTest, HelloAndRsetEndTheTransaction) {
  for (const char* command : {"EHLO c", "HELO c", "RSET"}) {
    OpenTransaction();
    Say(command);
    EXPECT_EQ(dialog_.transaction().sender, std::nullopt) << command;
  }
}

TEST_F(DialogTest, StartTlsForgetsEverythingLearntInClear) {
  Say("EHLO c");
  EXPECT_EQ(Code("STARTTLS now"), "501 5.5.4");
  EXPECT_EQ(Code("STARTTLS"), "220 2.0.0");
  dialog_.OnTlsStarted();
  EXPECT_EQ(dialog_.client_name(), "");
  EXPECT_EQ(Code("MAIL FROM:<a@example.com>"), "503 5.5.1");
  Say("EHLO c");
  EXPECT_EQ(Code("STARTTLS"), "503 5.5.1");
}

TEST_F(DialogTest, BytesBehindStartTlsClose) {
  const Step step = dialog_.OnEarlyTlsBytes();
  EXPECT_THAT(step.reply, StartsWith("421 4.7.0"));
  EXPECT_EQ(step.next, Next::kClose);
}

TEST_F(DialogTest, AuthNeedsTls) {
  EXPECT_EQ(Code("AUTH PLAIN"), "503 5.5.1");
  Say("EHLO c");
  EXPECT_EQ(Code("AUTH PLAIN " + Base64(std::string("\0user\0pass", 10))), "530 5.7.0");
}

TEST_F(DialogTest, PlainTakesAnyUsernameAndPassword) {
  StartTls();
  EXPECT_EQ(Code("AUTH PLAIN " + Base64(std::string("\0user\0pass", 10))), "235 2.7.0");
  EXPECT_EQ(Code("AUTH PLAIN " + Base64(std::string("\0user\0pass", 10))), "503 5.5.1");
}

TEST_F(DialogTest, PlainWithoutInitialResponseIsAskedFor) {
  StartTls();
  EXPECT_EQ(Say("AUTH plain"), "334 \r\n");
  EXPECT_EQ(dialog_.line_limit(), kMaxAuthBytes);
  EXPECT_EQ(Code(Base64(std::string("other\0user\0pass", 15))), "235 2.7.0");
  EXPECT_EQ(dialog_.line_limit(), kMaxCommandBytes);
}

TEST_F(DialogTest, LoginAsksForUsernameAndPassword) {
  StartTls();
  EXPECT_EQ(Say("AUTH LOGIN"), "334 " + Base64("Username:") + "\r\n");
  EXPECT_EQ(Say(Base64("user")), "334 " + Base64("Password:") + "\r\n");
  EXPECT_EQ(Code(Base64("pass")), "235 2.7.0");
}

TEST_F(DialogTest, LoginTakesTheUsernameAsInitialResponse) {
  StartTls();
  EXPECT_EQ(Say("AUTH LOGIN " + Base64("user")), "334 " + Base64("Password:") + "\r\n");
  EXPECT_EQ(Code(Base64("pass")), "235 2.7.0");
}

TEST_F(DialogTest, AuthIsCancelledByAStar) {
  StartTls();
  Say("AUTH LOGIN");
  EXPECT_EQ(Code("*"), "501 5.7.0");
  EXPECT_EQ(Code("NOOP"), "250 2.0.0");
}

TEST_F(DialogTest, MalformedAuthIsRefused) {
  StartTls();
  EXPECT_EQ(Code("AUTH"), "501 5.5.4");
  EXPECT_EQ(Code("AUTH PLAIN a b"), "501 5.5.4");
  EXPECT_EQ(Code("AUTH CRAM-MD5"), "504 5.5.4");
  EXPECT_EQ(Code("AUTH PLAIN abc"), "501 5.5.2");
  EXPECT_EQ(Code("AUTH PLAIN ="), "501 5.5.2");
  EXPECT_EQ(Code("AUTH PLAIN " + Base64("user pass")), "501 5.5.2");
  EXPECT_EQ(Code("AUTH PLAIN " + Base64(std::string("\0u\0p\0x", 6))), "501 5.5.2");
  EXPECT_EQ(Code("AUTH PLAIN " + Base64(std::string("\0\0pass", 6))), "535 5.7.8");
  EXPECT_EQ(Code("AUTH PLAIN " + Base64(std::string("\0user\0", 6))), "535 5.7.8");
  EXPECT_EQ(Code("AUTH LOGIN ="), "535 5.7.8");
  Say("AUTH LOGIN " + Base64("user"));
  EXPECT_EQ(Code(""), "535 5.7.8");
}

TEST_F(DialogTest, AuthIsRefusedWithinATransaction) {
  StartTls();
  Say("MAIL FROM:<a@example.com>");
  EXPECT_EQ(Code("AUTH PLAIN"), "503 5.5.1");
}

TEST_F(DialogTest, LinesThatAreNoneAreRefused) {
  EXPECT_THAT(dialog_.OnLongLine().reply, StartsWith("500 5.5.2"));
  EXPECT_THAT(dialog_.OnBareLineFeed().reply, StartsWith("500 5.5.2"));
  StartTls();
  Say("AUTH PLAIN");
  EXPECT_THAT(dialog_.OnLongLine().reply, StartsWith("500 5.5.6"));
  EXPECT_EQ(Code("NOOP"), "250 2.0.0");
}

TEST_F(DialogTest, TooManyErrorsClose) {
  for (int i = 0; i < kMaxErrors; ++i) ASSERT_EQ(Code("WHAT"), "500 5.5.2");
  const Step step = dialog_.OnLine("WHAT");
  EXPECT_THAT(step.reply, StartsWith("421 4.7.0"));
  EXPECT_EQ(step.next, Next::kClose);
}

TEST_F(DialogTest, RecipientsPipelinedBehindARefusedSenderAreNoErrors) {
  Say("EHLO c");
  Say("MAIL FROM:<a@example.com> SIZE=99999999999");
  for (int i = 0; i < 2 * kMaxErrors; ++i) {
    ASSERT_EQ(Code("RCPT TO:<b@example.com>"), "503 5.5.1");
  }
  EXPECT_EQ(Code("NOOP"), "250 2.0.0");
}

TEST_F(DialogTest, ProtocolNamesWhatWasUsed) {
  Say("HELO c");
  EXPECT_EQ(dialog_.Protocol(), "SMTP");
  Say("EHLO c");
  EXPECT_EQ(dialog_.Protocol(), "ESMTP");
  StartTls();
  EXPECT_EQ(dialog_.Protocol(), "ESMTPS");
  Say("AUTH PLAIN " + Base64(std::string("\0user\0pass", 10)));
  EXPECT_EQ(dialog_.Protocol(), "ESMTPSA");
  Say("MAIL FROM:<a@example.com> SMTPUTF8");
  EXPECT_EQ(dialog_.Protocol(), "UTF8SMTPSA");
}

}  // namespace
}  // namespace sendstep::providers::sandbox
