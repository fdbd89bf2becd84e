#include "transport/net/tls_sessions.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/test_ca.h"

namespace sendstep::net {
namespace {

using testing::Identity;

template <class T, void (*free)(T*)>
struct FreeWith {
  void operator()(T* pointer) const { free(pointer); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX, SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, FreeWith<SSL, SSL_free>>;

const Identity& ServerIdentity() {
  static const Identity& identity = *new Identity(testing::TestCa::SelfSigned({}));
  return identity;
}

ContextPtr ServerContext(int version) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  const std::string& certificate = ServerIdentity().certificate_pem;
  const std::string& key = ServerIdentity().key_pem;
  BIO* bio = BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size()));
  X509* x509 = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context.get(), x509);
  X509_free(x509);
  BIO_free(bio);
  bio = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
  EVP_PKEY* pkey = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(context.get(), pkey);
  EVP_PKEY_free(pkey);
  BIO_free(bio);
  return context;
}

// A client and a server in one process.
class Connected {
 public:
  Connected(SSL_CTX* client, SSL_CTX* server, TlsSessions& sessions)
      : client_(SSL_new(client)), server_(SSL_new(server)) {
    BIO* near = nullptr;
    BIO* far = nullptr;
    BIO_new_bio_pair(&near, 1 << 16, &far, 1 << 16);
    SSL_set_bio(client_.get(), near, near);
    SSL_set_bio(server_.get(), far, far);
    SSL_set_connect_state(client_.get());
    SSL_set_accept_state(server_.get());
    sessions.Attach(client_.get());
    for (int i = 0; i < 10 && !done_; ++i) {
      const int one = SSL_do_handshake(client_.get());
      const int other = SSL_do_handshake(server_.get());
      done_ = one == 1 && other == 1;
    }
    Hear();
  }

  bool done() const { return done_; }
  bool resumed() const {
    return SSL_session_reused(client_.get()) == 1 && SSL_session_reused(server_.get()) == 1;
  }
  void AddTickets(int count) {
    for (int i = 0; i < count; ++i) SSL_new_session_ticket(server_.get());
    SSL_do_handshake(server_.get());
    Hear();
  }
  // The client gets what is no message.
  void Break() {
    BIO_write(SSL_get_wbio(server_.get()), "\x17\x03\x03\x00\x05 junk", 10);
    Hear();
  }

 private:
  // Tickets come before what the server says.
  void Hear() {
    char c = 0;
    SSL_write(server_.get(), "!", 1);
    SSL_read(client_.get(), &c, 1);
  }

  SslPtr client_;
  SslPtr server_;
  bool done_ = false;
};

class TlsSessionsTest : public ::testing::TestWithParam<int> {
 protected:
  TlsSessionsTest() { TlsSessions::Enable(client_.get()); }

  std::unique_ptr<Connected> Connect() {
    auto connected = std::make_unique<Connected>(client_.get(), server_.get(), sessions_);
    EXPECT_TRUE(connected->done());
    return connected;
  }
  bool Resumes() { return Connect()->resumed(); }

  std::time_t now_ = 1'000'000'000;
  TlsSessions sessions_{[this] { return now_; }};
  ContextPtr client_{SSL_CTX_new(TLS_client_method())};
  ContextPtr server_ = ServerContext(GetParam());
};

TEST_P(TlsSessionsTest, SecondConnectionResumes) {
  EXPECT_FALSE(Resumes());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Resumes()) << i;
}

TEST_P(TlsSessionsTest, ConnectionsAtOnceResumeToo) {
  Resumes();
  const auto one = Connect();
  const auto other = Connect();
  EXPECT_TRUE(one->resumed());
  EXPECT_TRUE(other->resumed());
}

TEST_P(TlsSessionsTest, OtherAccountResumesNothing) {
  Resumes();
  TlsSessions others([this] { return now_; });
  EXPECT_FALSE(Connected(client_.get(), server_.get(), others).resumed());
}

TEST_P(TlsSessionsTest, ConnectionThatBreaksOffLeavesTheSessionToOthers) {
  Connect().reset();
  { Connected cut(client_.get(), server_.get(), sessions_); }
  EXPECT_TRUE(Resumes());
}

TEST_P(TlsSessionsTest, ConnectionThatFailsLeavesTheSessionToOthers) {
  Connect()->Break();
  EXPECT_TRUE(Resumes());
}

TEST_P(TlsSessionsTest, ServerThatForgotItsKeysGetsAFullHandshake) {
  Resumes();
  server_ = ServerContext(GetParam());
  EXPECT_FALSE(Resumes());
  EXPECT_TRUE(Resumes());
}

TEST_P(TlsSessionsTest, SessionOfAnHourIsNotOffered) {
  Resumes();
  now_ += TlsSessions::kMaxAge.count() - 1;
  EXPECT_TRUE(Resumes());
  now_ += 1;
  EXPECT_FALSE(Resumes());
  EXPECT_TRUE(Resumes());
}

TEST_P(TlsSessionsTest, ResumingDoesNotPutOffTheNextVerification) {
  Resumes();
  for (int minute = 10; minute < 60; minute += 10) {
    now_ += 600;
    EXPECT_TRUE(Resumes()) << minute;
  }
  now_ += 600;
  EXPECT_FALSE(Resumes());
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsSessionsTest,
                         ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION), [](const auto& tested) {
                           return tested.param == TLS1_3_VERSION ? "Tls13" : "Tls12";
                         });

class TlsTicketsTest : public TlsSessionsTest {};

TEST_P(TlsTicketsTest, NoMoreThanEightAreKept) {
  Connect()->AddTickets(30);
  SSL_CTX_set_num_tickets(server_.get(), 0);
  int resumed = 0;
  while (resumed < 50 && Resumes()) ++resumed;
  EXPECT_EQ(resumed, static_cast<int>(TlsSessions::kMost));
}

TEST_P(TlsTicketsTest, EachIsUsedOnce) {
  SSL_CTX_set_num_tickets(server_.get(), 1);
  Resumes();
  SSL_CTX_set_num_tickets(server_.get(), 0);
  EXPECT_TRUE(Resumes());
  EXPECT_FALSE(Resumes());
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsTicketsTest, ::testing::Values(TLS1_3_VERSION),
                         [](const auto& /*tested*/) { return "Tls13"; });

}  // namespace
}  // namespace sendstep::net
