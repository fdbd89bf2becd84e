#include "transport/smtp/redactor.h"

#include <gtest/gtest.h>

#include "transport/smtp/sasl.h"

namespace sendstep::smtp {
namespace {

using namespace std::string_view_literals;

std::optional<Credentials> WithPassword(std::string_view user, std::string_view password) {
  Credentials credentials;
  credentials.username = user;
  credentials.password = base::Secret(password);
  return credentials;
}

std::string Encode(std::string_view bytes) { return std::string(EncodeBase64(bytes).Reveal()); }

TEST(Redactor, BlanksThePasswordAndItsBase64Forms) {
  const auto credentials = WithPassword("alice", "opensesame");
  const Redactor redactor(credentials);
  EXPECT_EQ(redactor.Redact("got opensesame!"), "got [redacted]!");
  EXPECT_EQ(redactor.Redact("<" + Encode("opensesame") + ">"), "<[redacted]>");
  EXPECT_EQ(redactor.Redact("AUTH PLAIN " + Encode("\0alice\0opensesame"sv)),
            "AUTH PLAIN [redacted]");
  EXPECT_EQ(redactor.Redact("nothing here, alice"), "nothing here, alice");
}

TEST(Redactor, BlanksTheTokenAndItsBase64Forms) {
  std::optional<Credentials> credentials(std::in_place);
  credentials->username = "alice";
  credentials->oauth2_token = base::Secret("ya29.abcdef");
  const Redactor redactor(credentials);
  EXPECT_EQ(redactor.Redact("Bearer ya29.abcdef"), "Bearer [redacted]");
  EXPECT_EQ(redactor.Redact(EncodeBase64(XOAuth2Message(*credentials).Reveal()).Reveal()),
            "[redacted]");
}

TEST(Redactor, BlanksAUsernameOnlyWhereItIsSecret) {
  auto credentials = WithPassword("server-token-4711", "opensesame");
  EXPECT_EQ(Redactor(credentials).Redact("server-token-4711"), "server-token-4711");
  credentials->username_is_secret = true;
  EXPECT_EQ(Redactor(credentials).Redact("server-token-4711"), "[redacted]");
}

TEST(Redactor, BlanksCutAndWrappedEchoes) {
  const auto credentials = WithPassword("alice@example.org", "opensesame-and-more");
  const Redactor redactor(credentials);
  const std::string triple = Encode("\0alice@example.org\0opensesame-and-more"sv);
  for (size_t from = 0; from + 8 <= triple.size(); ++from) {
    for (size_t size = 8; from + size <= triple.size(); ++size) {
      EXPECT_EQ(redactor.Redact("x " + triple.substr(from, size) + "..."), "x [redacted]...");
    }
  }
}

TEST(Redactor, DoesNotSpellOutShortSecrets) {
  const auto credentials = WithPassword("alice", "a");
  EXPECT_EQ(Redactor(credentials).Redact("a banana"), "a banana");
}

TEST(Redactor, WithoutCredentialsChangesNothing) {
  EXPECT_EQ(Redactor(std::nullopt).Redact("AUTH PLAIN LOGIN"), "AUTH PLAIN LOGIN");
}

TEST(Redactor, BlanksEveryLineOfAReply) {
  const auto credentials = WithPassword("alice", "opensesame");
  base::Reply reply;
  reply.code = 535;
  reply.lines = {"opensesame?", "no", "opensesameopensesame"};
  const base::Reply redacted = Redactor(credentials).Redact(reply);
  EXPECT_EQ(redacted.lines, (std::vector<std::string>{"[redacted]?", "no", "[redacted]"}));
}

TEST(Redactor, MakesALineFitForPeople) {
  const Redactor redactor(std::nullopt);
  EXPECT_EQ(redactor.Line("caf\xc3\xa9\x1b[31m\r"), "caf\xc3\xa9?[31m?");
  EXPECT_EQ(redactor.Line("caf\xe9"), "caf?");
}

}  // namespace
}  // namespace sendstep::smtp
