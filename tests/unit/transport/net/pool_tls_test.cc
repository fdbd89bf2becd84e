// Which connections of a Mailer resume TLS sessions, and which must not.
#include <boost/asio/buffer.hpp>

#include "tests/unit/transport/net/pool_test.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using base::Cause;
using testing::MailServer;
using testing::Outcomes;
using testing::SendCase;
using testing::Sent;

const testing::TestCa& Ca() {
  static const testing::TestCa& ca = *new testing::TestCa;
  return ca;
}

std::shared_ptr<asio::ssl::context> Context(int version, const std::string& name = "mx.example") {
  testing::LeafOptions options;
  options.names = {name};
  const testing::Identity identity = Ca().Issue(options);
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  context->use_certificate_chain(asio::buffer(identity.certificate_pem));
  context->use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
  SSL_CTX_set_min_proto_version(context->native_handle(), version);
  SSL_CTX_set_max_proto_version(context->native_handle(), version);
  return context;
}

// Each message goes over a connection of its own.
class PoolTlsTest : public testing::PoolTest, public ::testing::WithParamInterface<int> {
 protected:
  PoolTlsTest() {
    server_.rules().tls = Context(GetParam());
    account_.tls.policy = smtp::TlsPolicy::kImplicit;
    account_.tls.ca_pem = Ca().certificate_pem();
    account_.limits.max_mails_per_connection = 1;
  }

  // A send's handshake resumed a session.
  bool Resumes(SendCase one) {
    Outcomes outcomes;
    one.observer = &outcomes;
    const int before = server_.resumed();
    const Sent sent = Send(one);
    EXPECT_TRUE(sent) << sent.error().detail;
    EXPECT_EQ(outcomes.tls.size(), 1u);
    const bool resumed = !outcomes.tls.empty() && outcomes.tls[0].resumed;
    EXPECT_EQ(server_.resumed() - before, resumed) << "both sides say the same";
    return resumed;
  }
  bool Resumes() { return Resumes(SendCase{account_}); }
};

TEST_P(PoolTlsTest, SecondConnectionOfAnAccountResumes) {
  EXPECT_FALSE(Resumes());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Resumes()) << i;
  EXPECT_EQ(mailer_.pool_stats().tls_resumed, 5u);
}

TEST_P(PoolTlsTest, ResumedConnectionTellsTheCertificateTooThatWasVerified) {
  Outcomes first, second;
  ASSERT_TRUE(Send({.settings = account_, .observer = &first}));
  ASSERT_TRUE(Send({.settings = account_, .observer = &second}));
  ASSERT_TRUE(second.tls.at(0).resumed);
  EXPECT_EQ(second.tls[0].subject, first.tls.at(0).subject);
  EXPECT_EQ(second.tls[0].not_after, first.tls[0].not_after);
}

TEST_P(PoolTlsTest, ConnectionThatBreaksOffDoesNotSpoilTheSession) {
  EXPECT_FALSE(Resumes());
  server_.rules().answer = [](const MailServer::Command& command) -> std::optional<std::string> {
    if (command.verb != "MAIL") return std::nullopt;
    return "";
  };
  EXPECT_FALSE(Send());
  server_.rules().answer = nullptr;
  EXPECT_TRUE(Resumes());
}

TEST_P(PoolTlsTest, CancelledConnectionDoesNotSpoilTheSession) {
  EXPECT_FALSE(Resumes());
  server_.Hold("MAIL");
  const auto cancelled = Start();
  RunUntilHeld(1);
  cancelled->Cancel();
  EXPECT_FALSE(Finish(cancelled));
  server_.Go();
  EXPECT_TRUE(Resumes());
}

TEST_P(PoolTlsTest, AccountsDoNotShareSessions) {
  EXPECT_FALSE(Resumes());
  SendCase other{account_};
  other.settings.tenant = "other";
  EXPECT_FALSE(Resumes(other));
  other.settings = account_;
  other.settings.credentials->password = base::Secret("abracadabra");
  EXPECT_FALSE(Resumes(other));
  EXPECT_TRUE(Resumes());
}

TEST_P(PoolTlsTest, ServerThatRefusesTheTicketIsVerifiedInFull) {
  EXPECT_FALSE(Resumes());
  server_.rules().tls = Context(GetParam());
  EXPECT_FALSE(Resumes());
  EXPECT_TRUE(Resumes());
  server_.rules().tls = Context(GetParam(), "mail.example.org");
  const Sent sent = Send();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().cause, Cause::kCertificate);
}

TEST_P(PoolTlsTest, ServerThatCannotBearATicketIsConnectedToOnceMoreWithoutOne) {
  EXPECT_FALSE(Resumes());
  const auto abort = [](SSL* ssl, SSL_SESSION* session, const unsigned char*, size_t,
                        SSL_TICKET_STATUS status, void*) {
    const bool offered = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!offered) return SSL_TICKET_RETURN_IGNORE_RENEW;
    // OpenSSL 3.0 forgets to, under TLS 1.3.
    if (SSL_version(ssl) == TLS1_3_VERSION) SSL_SESSION_free(session);
    return SSL_TICKET_RETURN_ABORT;
  };
  SSL_CTX_set_session_ticket_cb(server_.rules().tls->native_handle(), nullptr, abort, nullptr);
  Outcomes outcomes;
  const Sent sent = Send({.settings = account_, .observer = &outcomes});
  ASSERT_TRUE(sent) << sent.error().detail;
  EXPECT_FALSE(outcomes.tls.at(0).resumed);
  EXPECT_EQ(server_.messages()["Subject: hello"], 2);
  EXPECT_EQ(server_.connections(), 3);
}

TEST_P(PoolTlsTest, UnverifiedSessionIsNotLentToWhoVerifies) {
  server_.rules().tls = Context(GetParam(), "mail.example.org");
  SendCase careless{account_};
  careless.settings.tls.verify = false;
  EXPECT_FALSE(Resumes(careless));
  EXPECT_TRUE(Resumes(careless));
  const Sent sent = Send();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().cause, Cause::kCertificate);
}

TEST_P(PoolTlsTest, OwnConnectionShakesHandsInFullAndLeavesNoSession) {
  SendCase own{account_};
  own.options.own_connection = true;
  EXPECT_FALSE(Resumes(own));
  EXPECT_FALSE(Resumes()) << "nothing was left";
  EXPECT_FALSE(Resumes(own));
  EXPECT_TRUE(Resumes());
}

TEST_P(PoolTlsTest, CheckShakesHandsInFull) {
  EXPECT_FALSE(Resumes());
  Outcomes outcomes;
  auto check = [&]() -> asio::awaitable<Sent> {
    co_return co_await mailer_.Check(account_, std::nullopt, base::Deadline::Never(), outcomes);
  };
  ASSERT_TRUE(Await<Sent>(check));
  ASSERT_EQ(outcomes.tls.size(), 1u);
  EXPECT_FALSE(outcomes.tls[0].resumed);
  EXPECT_EQ(server_.resumed(), 0);
}

TEST_P(PoolTlsTest, SessionGoesOnUnderTlsToo) {
  account_.limits.max_mails_per_connection = 100;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Send());
  EXPECT_EQ(server_.connections(), 1);
}

TEST_P(PoolTlsTest, ConnectionClosedUnderTlsWhileIdleCostsNoError) {
  account_.limits.max_mails_per_connection = 100;
  ASSERT_TRUE(Send());
  server_.CloseAll("");
  RunUntilOpen(0);
  EXPECT_TRUE(SendSoon());
  EXPECT_EQ(server_.connections(), 2);
}

INSTANTIATE_TEST_SUITE_P(Versions, PoolTlsTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& tested) {
                           return tested.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

class PoolTlsCrowdTest : public testing::PoolCrowdTest,
                         public ::testing::WithParamInterface<int> {};

TEST_P(PoolTlsCrowdTest, ManyConnectionsAtOnceResume) {
  // Before the first connection.
  server_.rules().tls = Context(GetParam());
  account_.tls.policy = smtp::TlsPolicy::kImplicit;
  account_.tls.ca_pem = Ca().certificate_pem();
  account_.limits.max_connections = 4;
  account_.limits.max_mails_per_connection = 2;
  ExpectSent(Finish(StartMany(60)));
  EXPECT_GT(mailer_.pool_stats().tls_resumed, 10u);
  EXPECT_LE(server_.most_open(), 4);
}

INSTANTIATE_TEST_SUITE_P(Versions, PoolTlsCrowdTest,
                         ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION), [](const auto& tested) {
                           return tested.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

}  // namespace
}  // namespace sendstep::net
