// TcpStream under TLS, against servers built on asio::ssl::stream.
#include <gmock/gmock.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "tests/unit/transport/net/stream_test.h"
#include "transport/net/tcp_stream.h"

namespace sendstep::net {
namespace {

using base::Cause;
using base::Deadline;
using base::ErrorClass;
using base::Result;
using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing::Identity;
using testing::LeafOptions;
using testing::Peer;
using testing::ReadLine;
using ::testing::StartsWith;
using testing::TestCa;
using testing::WriteText;
namespace asio = boost::asio;
using Text = Result<std::string>;
using Nothing = Result<void>;
using Handshake = Result<smtp::TlsInfo>;

const TestCa& Ca() {
  static const TestCa& ca = *new TestCa;
  return ca;
}

LeafOptions Named(std::vector<std::string> names) {
  LeafOptions options;
  options.common_name = names.empty() ? "nobody" : names.front();
  options.names = std::move(names);
  return options;
}

smtp::TlsSettings Trusting(const TestCa& ca) {
  smtp::TlsSettings settings;
  settings.ca_pem = ca.certificate_pem();
  return settings;
}

class TlsStreamTest : public testing::StreamTest {
 protected:
  // A server that shakes hands as `identity`, then echoes lines; keeps what it saw.
  void ServeEcho(const Identity& identity) {
    auto serve = [this, identity](Peer& peer) -> asio::awaitable<void> {
      bool protected_now = true;
      try {
        co_await peer.StartTls(identity);
      } catch (const boost::system::system_error&) {
        protected_now = false;
      }
      if (!protected_now) {
        bytes_after_failure_ = co_await peer.ReadAll();
        handshake_failed_ = true;
        co_return;
      }
      server_name_ = peer.server_name();
      for (;;) {
        const std::string line = co_await peer.ReadLine() + "\n";
        co_await peer.Write(line);
      }
    };
    Serve(serve);
  }

  Handshake Shake(const smtp::TlsSettings& settings, const std::string& name) {
    auto body = [settings, name](TcpStream& stream) -> asio::awaitable<Handshake> {
      Handshake done = co_await stream.StartTls(settings, name);
      if (done) {
        Nothing written = co_await WriteText(stream, "ping\n");
        if (!written) co_return written.error();
        Text pong = co_await ReadLine(stream);
        if (!pong) co_return pong.error();
        EXPECT_EQ(*pong, "ping");
      } else {
        Nothing written = co_await WriteText(stream, "secret\n");
        EXPECT_FALSE(written) << "nothing may follow a failed handshake";
      }
      co_return done;
    };
    return WithStream<Handshake>(body);
  }

  // The name and the bytes of the client's end; the server's end has the same bytes.
  smtp::ChannelBinding BindingUnder(int version) {
    const Identity identity = Ca().Issue(Named({"mail.example.net"}));
    std::string at_server;
    auto serve = [&](Peer& peer) -> asio::awaitable<void> {
      peer.SpeakAtMost(version);
      co_await peer.StartTls(identity);
      at_server = peer.channel_binding();
      co_await peer.Write(co_await peer.ReadLine() + "\n");
    };
    Serve(serve);
    const Handshake done = Shake(Trusting(Ca()), "mail.example.net");
    EXPECT_TRUE(done);
    if (!done) return {};
    EXPECT_EQ(done->binding.data, at_server);
    return done->binding;
  }

  // Refused as Cause::kCertificate, for good, and the server got no application data.
  std::string CertificateFault(const Identity& identity, const std::string& name,
                               const smtp::TlsSettings& settings = Trusting(Ca())) {
    ServeEcho(identity);
    Handshake done = Shake(settings, name);
    EXPECT_FALSE(done);
    if (done) return "accepted";
    RunUntil([&] { return handshake_failed_; });
    EXPECT_EQ(bytes_after_failure_, "");
    EXPECT_EQ(done.error().stage, base::Stage::kTls);
    EXPECT_EQ(done.error().cause, Cause::kCertificate) << done.error().detail;
    EXPECT_EQ(done.error().error_class, ErrorClass::kPermanent);
    return done.error().detail;
  }

  // Answers the first bytes of the handshake with `bytes`.
  base::Error AnswerWith(const std::string& bytes) {
    auto serve = [bytes](Peer& peer) -> asio::awaitable<void> {
      co_await peer.ReadSome();
      co_await peer.Write(bytes);
      co_await peer.ReadAll();
    };
    Serve(serve);
    Handshake done = Shake(Trusting(Ca()), "smtp.example.com");
    return done ? base::Error() : done.error();
  }

  bool handshake_failed_ = false;
  std::string bytes_after_failure_;
  std::string server_name_ = "(no handshake)";
};

TEST_F(TlsStreamTest, BothEndsHaveTheSameChannelBindingWhichNoOtherConnectionHas) {
  const smtp::ChannelBinding newest = BindingUnder(TLS1_3_VERSION);
  EXPECT_EQ(newest.type, "tls-exporter");
  EXPECT_EQ(newest.data.size(), 32u);
  EXPECT_NE(BindingUnder(TLS1_3_VERSION).data, newest.data);
  const smtp::ChannelBinding older = BindingUnder(TLS1_2_VERSION);
  EXPECT_EQ(older.type, "tls-unique");
  EXPECT_EQ(older.data.size(), 12u);
}

TEST_F(TlsStreamTest, HandshakeTellsWhatWasAgreed) {
  ServeEcho(Ca().Issue(Named({"smtp.example.com"})));
  Handshake done = Shake(Trusting(Ca()), "smtp.example.com");
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->version, "TLSv1.3");
  EXPECT_THAT(done->cipher, StartsWith("TLS_"));
  EXPECT_EQ(done->subject, "CN=smtp.example.com");
  const auto left = done->not_after - std::chrono::system_clock::now();
  EXPECT_LT(left, hours(24) + std::chrono::minutes(1));
  EXPECT_GT(left, hours(23));
  EXPECT_EQ(server_name_, "smtp.example.com");
}

TEST_F(TlsStreamTest, WildcardStandsForOneLabel) {
  ServeEcho(Ca().Issue(Named({"*.example.com"})));
  EXPECT_TRUE(Shake(Trusting(Ca()), "smtp.example.com"));
  EXPECT_FALSE(Shake(Trusting(Ca()), "eu.smtp.example.com"));
}

TEST_F(TlsStreamTest, AddressIsCheckedAsAddressAndNotSentAsName) {
  LeafOptions options = Named({});
  options.ips = {"127.0.0.1", "::1"};
  ServeEcho(Ca().Issue(options));
  EXPECT_TRUE(Shake(Trusting(Ca()), "127.0.0.1"));
  EXPECT_EQ(server_name_, "");
  EXPECT_TRUE(Shake(Trusting(Ca()), "::1"));
  EXPECT_TRUE(Shake(Trusting(Ca()), "[::1]"));
}

TEST_F(TlsStreamTest, AddressInADnsNameIsNoAddress) {
  EXPECT_EQ(CertificateFault(Ca().Issue(Named({"mail.example.org"})), "127.0.0.1"),
            "certificate is for mail.example.org, not 127.0.0.1");
}

TEST_F(TlsStreamTest, WrongNameIsRefused) {
  EXPECT_EQ(CertificateFault(Ca().Issue(Named({"mail.example.org"})), "smtp.example.com"),
            "certificate is for mail.example.org, not smtp.example.com");
}

TEST_F(TlsStreamTest, ManyWrongNamesAreCut) {
  EXPECT_EQ(
      CertificateFault(Ca().Issue(Named({"a.example", "b.example", "c.example", "d.example"})),
                       "smtp.example.com"),
      "certificate is for a.example, b.example, c.example and 1 more, not smtp.example.com");
}

TEST_F(TlsStreamTest, WrongAddressIsRefused) {
  LeafOptions options = Named({});
  options.ips = {"192.0.2.1"};
  EXPECT_EQ(CertificateFault(Ca().Issue(options), "127.0.0.1"),
            "certificate is for 192.0.2.1, not 127.0.0.1");
}

TEST_F(TlsStreamTest, ExpiredCertificateIsRefused) {
  LeafOptions options = Named({"smtp.example.com"});
  options.not_before = -hours(48);
  options.not_after = -hours(24);
  EXPECT_THAT(CertificateFault(Ca().Issue(options), "smtp.example.com"),
              StartsWith("certificate has expired on 20"));
}

TEST_F(TlsStreamTest, CertificateOfTomorrowIsRefused) {
  LeafOptions options = Named({"smtp.example.com"});
  options.not_before = hours(24);
  options.not_after = hours(48);
  EXPECT_THAT(CertificateFault(Ca().Issue(options), "smtp.example.com"),
              StartsWith("certificate is not valid before 20"));
}

TEST_F(TlsStreamTest, SelfSignedCertificateIsRefused) {
  EXPECT_THAT(CertificateFault(TestCa::SelfSigned(Named({"smtp.example.com"})), "smtp.example.com"),
              StartsWith("self-signed certificate"));
}

TEST_F(TlsStreamTest, UnknownAuthorityIsRefused) {
  const TestCa other("another root");
  EXPECT_THAT(CertificateFault(other.Issue(Named({"smtp.example.com"})), "smtp.example.com"),
              StartsWith("unable to get local issuer"));
}

TEST_F(TlsStreamTest, SystemRootsDoNotKnowTheTestAuthority) {
  EXPECT_THAT(CertificateFault(Ca().Issue(Named({"smtp.example.com"})), "smtp.example.com",
                               smtp::TlsSettings()),
              StartsWith("unable to get local issuer"));
}

TEST_F(TlsStreamTest, NamedCertificateIsTrustedAsItIs) {
  const Identity pinned = TestCa::SelfSigned(Named({"smtp.example.com"}));
  ServeEcho(pinned);
  smtp::TlsSettings settings;
  settings.ca_pem = pinned.certificate_pem;
  EXPECT_TRUE(Shake(settings, "smtp.example.com"));
}

// Of the key alone, whatever the certificate says.
std::string PinOf(const Identity& identity) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(identity.certificate_pem.data(), -1), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der);
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(der, size, reinterpret_cast<unsigned char*>(digest.data()));
  OPENSSL_free(der);
  return digest;
}

TEST_F(TlsStreamTest, PinnedKeyIsTrustedWhateverTheCertificateSays) {
  LeafOptions options = Named({"mail.example.org"});
  options.not_after = -std::chrono::minutes(1);
  const Identity identity = TestCa::SelfSigned(options);
  for (const std::string name : {"smtp.example.com", "127.0.0.1"}) {
    ServeEcho(identity);
    smtp::TlsSettings settings;
    settings.pinned_key_sha256 = PinOf(identity);
    const Handshake done = Shake(settings, name);
    EXPECT_TRUE(done) << name << ": " << done.error().detail;
  }
}

TEST_F(TlsStreamTest, AnotherKeyThanThePinnedOneIsRefusedWhateverTheCertificateSays) {
  smtp::TlsSettings settings = Trusting(Ca());
  settings.pinned_key_sha256 = PinOf(Ca().Issue(Named({"smtp.example.com"})));
  EXPECT_EQ(CertificateFault(Ca().Issue(Named({"smtp.example.com"})), "smtp.example.com", settings),
            "the server's key is not the one that is pinned");
}

TEST_F(TlsStreamTest, OlderTlsThanAllowedIsToldForWhatItIs) {
  const Identity identity = Ca().Issue(Named({"smtp.example.com"}));
  auto serve = [&identity](Peer& peer) -> asio::awaitable<void> {
    peer.SpeakAtMost(TLS1_2_VERSION);
    try {
      co_await peer.StartTls(identity);
    } catch (const boost::system::system_error&) {
    }
  };
  Serve(serve);
  smtp::TlsSettings settings = Trusting(Ca());
  settings.tls13_only = true;
  const Handshake done = Shake(settings, "smtp.example.com");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().cause, Cause::kTlsFailed);
  EXPECT_THAT(done.error().detail, ::testing::HasSubstr("no version of TLS that is allowed"));
}

TEST_F(TlsStreamTest, NothingIsCheckedOnlyWhenToldSo) {
  LeafOptions options = Named({"mail.example.org"});
  options.not_after = -std::chrono::minutes(1);
  ServeEcho(TestCa::SelfSigned(options));
  smtp::TlsSettings settings;
  settings.verify = false;
  Handshake done = Shake(settings, "smtp.example.com");
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_EQ(done->subject, "CN=mail.example.org");
  EXPECT_EQ(server_name_, "smtp.example.com");
}

TEST_F(TlsStreamTest, CaTextWithoutCertificateIsInvalid) {
  ServeEcho(Ca().Issue(Named({"smtp.example.com"})));
  smtp::TlsSettings settings;
  settings.ca_pem = "not PEM";
  Handshake done = Shake(settings, "smtp.example.com");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().cause, Cause::kInvalid);
  EXPECT_EQ(done.error().error_class, ErrorClass::kPermanent);
}

TEST_F(TlsStreamTest, PlaintextGreetingIsTold) {
  const base::Error error = AnswerWith("220 smtp.example.com ESMTP\r\n");
  EXPECT_EQ(error.cause, Cause::kTlsOnPlaintextPort);
  EXPECT_EQ(error.error_class, ErrorClass::kPermanent);
  EXPECT_EQ(error.detail,
            "the server answered the TLS handshake in plaintext: 220 smtp.example.com ESMTP");
}

TEST_F(TlsStreamTest, FatalAlertIsTlsFailed) {
  const base::Error error = AnswerWith(std::string("\x15\x03\x03\x00\x02\x02\x28", 7));
  EXPECT_EQ(error.cause, Cause::kTlsFailed) << error.detail;
  EXPECT_EQ(error.error_class, ErrorClass::kPermanent);
  EXPECT_THAT(error.detail, HasSubstr("handshake failure"));
}

TEST_F(TlsStreamTest, InternalErrorAlertMayPass) {
  const base::Error error = AnswerWith(std::string("\x15\x03\x03\x00\x02\x02\x50", 7));
  EXPECT_EQ(error.cause, Cause::kTlsFailed) << error.detail;
  EXPECT_EQ(error.error_class, ErrorClass::kTransient);
}

TEST_F(TlsStreamTest, CloseDuringTheHandshakeIsConnectionLost) {
  auto serve = [](Peer& peer) -> asio::awaitable<void> { co_await peer.ReadSome(); };
  Serve(serve);
  Handshake done = Shake(Trusting(Ca()), "smtp.example.com");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().stage, base::Stage::kTls);
  EXPECT_EQ(done.error().cause, Cause::kConnectionLost);
  EXPECT_EQ(done.error().error_class, ErrorClass::kTransient);
}

TEST_F(TlsStreamTest, DemandForAClientCertificateIsToldForWhatItIs) {
  const Identity identity = Ca().Issue(Named({"smtp.example.com"}));
  auto serve = [identity](Peer& peer) -> asio::awaitable<void> {
    peer.DemandCertificate();
    co_await peer.StartTls(identity);
  };
  Serve(serve);
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    Handshake done = co_await stream.StartTls(Trusting(Ca()), "smtp.example.com");
    EXPECT_TRUE(done) << "TLS 1.3 tells it later";
    co_return co_await ReadLine(stream);
  };
  const Text line = WithStream<Text>(body);
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().cause, Cause::kClientCertificate);
  EXPECT_EQ(line.error().error_class, ErrorClass::kPermanent);
}

TEST_F(TlsStreamTest, SilentHandshakeTimesOut) {
  Serve([](Peer& peer) -> asio::awaitable<void> { co_await peer.ReadAll(); });
  auto body = [](TcpStream& stream) -> asio::awaitable<Handshake> {
    stream.Expire(Deadline::After(milliseconds(40)));
    co_return co_await stream.StartTls(Trusting(Ca()), "smtp.example.com");
  };
  Handshake done = WithStream<Handshake>(body);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().stage, base::Stage::kTls);
  EXPECT_EQ(done.error().cause, Cause::kTimeout);
}

TEST_F(TlsStreamTest, SilentHandshakeCanBeCancelled) {
  std::string hello;
  auto serve = [&](Peer& peer) -> asio::awaitable<void> {
    hello = co_await peer.ReadSome();
    co_await peer.ReadAll();
  };
  Serve(serve);
  auto body = [](TcpStream& stream) -> asio::awaitable<Handshake> {
    co_return co_await stream.StartTls(Trusting(Ca()), "smtp.example.com");
  };
  auto running = StartWithStream<Handshake>(body);
  RunUntil([&] { return !hello.empty(); });
  running->Cancel();
  EXPECT_EQ(Finish(running).error().cause, Cause::kCancelled);
}

// After a handshake.
class TlsTransferTest : public TlsStreamTest {
 protected:
  // The server does `then` once TLS is up; the client, `body`.
  template <class T>
  std::shared_ptr<testing::Running<T>> StartProtected(
      std::function<asio::awaitable<void>(Peer&)> then,
      std::function<asio::awaitable<T>(TcpStream&)> body) {
    const Identity identity = Ca().Issue(Named({"smtp.example.com"}));
    auto serve = [identity, then](Peer& peer) -> asio::awaitable<void> {
      co_await peer.StartTls(identity);
      co_await then(peer);
    };
    Serve(serve);
    auto shake = [body](TcpStream& stream) -> asio::awaitable<T> {
      Handshake done = co_await stream.StartTls(Trusting(Ca()), "smtp.example.com");
      EXPECT_TRUE(done);
      co_return co_await body(stream);
    };
    return StartWithStream<T>(shake);
  }
};

TEST_F(TlsTransferTest, SmallBuffersShareARecord) {
  std::string record;
  auto then = [&](Peer& peer) -> asio::awaitable<void> { record = co_await peer.ReadSome(); };
  auto body = [](TcpStream& stream) -> asio::awaitable<Nothing> {
    const std::vector<asio::const_buffer> buffers = {
        asio::buffer("MAIL\r\n", 6), asio::buffer("", 0), asio::buffer("RCPT\r\n", 6),
        asio::buffer("DATA\r\n", 6)};
    co_return co_await stream.Write(buffers);
  };
  EXPECT_TRUE(Finish(StartProtected<Nothing>(then, body)));
  RunUntil([&] { return !record.empty(); });
  EXPECT_EQ(record, "MAIL\r\nRCPT\r\nDATA\r\n");
}

TEST_F(TlsTransferTest, MixedBuffersArriveInOrder) {
  std::vector<std::string> pieces;
  std::string expected;
  for (const size_t size : {5, 0, 40000, 16384, 3, 16383, 16385, 7, 1 << 20, 1}) {
    pieces.push_back(std::string(size, static_cast<char>('a' + pieces.size())));
    expected += pieces.back();
  }
  std::string received;
  auto then = [&](Peer& peer) -> asio::awaitable<void> {
    while (received.size() < expected.size()) received += co_await peer.ReadSome();
    co_await peer.Write("250 ok\n");
  };
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    std::vector<asio::const_buffer> buffers;
    for (const std::string& piece : pieces) buffers.push_back(asio::buffer(piece));
    Nothing written = co_await stream.Write(buffers);
    if (!written) co_return written.error();
    co_return co_await ReadLine(stream);
  };
  EXPECT_TRUE(Finish(StartProtected<Text>(then, body)));
  EXPECT_TRUE(received == expected) << received.size() << " of " << expected.size() << " bytes";
}

TEST_F(TlsTransferTest, SessionTicketsLeaveOthersTheirTurn) {
  constexpr int kTickets = 400;  // some 100 kB; one step takes in 16 kB of records at most
  bool sent = false, read = false;
  int turns = 0;
  auto then = [&](Peer& peer) -> asio::awaitable<void> {
    peer.socket().set_option(asio::ip::tcp::no_delay(true));
    peer.AddTickets(kTickets);
    co_await peer.Write("250 ok\n");
    sent = true;
    co_await peer.ReadAll();
  };
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    while (!sent) co_await asio::post(context_, asio::use_awaitable);
    std::function<void()> other = [&] {
      if (read) return;
      ++turns;
      asio::post(context_, other);
    };
    other();
    Text line = co_await ReadLine(stream);
    read = true;
    co_return line;
  };
  Text line = Finish(StartProtected<Text>(then, body));
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "250 ok");
  EXPECT_GE(turns, 4);
  EXPECT_LE(turns, 400) << "the reader waited for the network, and this shows nothing";
}

TEST_F(TlsTransferTest, WhatHasArrivedIsReadWithoutWaiting) {
  auto then = [](Peer& peer) -> asio::awaitable<void> {
    peer.AddTickets(2);
    co_await peer.ReadLine();
    co_await peer.Write("421 idle\n");
  };
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    char c;
    base::Result<size_t> size = stream.ReadAvailable(asio::buffer(&c, 1));
    EXPECT_EQ(*size, 0u);
    co_await WriteText(stream, "NOOP\n");
    std::string line;
    while (line.find('\n') == line.npos) {
      co_await asio::post(context_, asio::use_awaitable);
      size = stream.ReadAvailable(asio::buffer(&c, 1));
      if (!size) co_return size.error();
      line.append(&c, *size);
    }
    // The server has closed.
    do {
      co_await asio::post(context_, asio::use_awaitable);
      size = stream.ReadAvailable(asio::buffer(&c, 1));
    } while (size);
    EXPECT_EQ(size.error().cause, Cause::kConnectionLost);
    co_return line;
  };
  Text line = Finish(StartProtected<Text>(then, body));
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "421 idle\n");
}

TEST_F(TlsTransferTest, TruncatedCloseIsConnectionLost) {
  auto then = [](Peer&) -> asio::awaitable<void> { co_return; };
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    co_return co_await ReadLine(stream);
  };
  Text line = Finish(StartProtected<Text>(then, body));
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().stage, base::Stage::kTcp);
  EXPECT_EQ(line.error().cause, Cause::kConnectionLost);
}

TEST_F(TlsTransferTest, ResetUnderWritesIsConnectionLostWithoutSignal) {
  auto then = [](Peer& peer) -> asio::awaitable<void> {
    peer.socket().set_option(asio::socket_base::linger(true, 0));
    peer.socket().close();
    co_return;
  };
  auto body = [](TcpStream& stream) -> asio::awaitable<Nothing> {
    co_await ReadLine(stream);
    co_return co_await WriteText(stream, "NOOP\r\n");  // SIGPIPE would kill here
  };
  Nothing written = Finish(StartProtected<Nothing>(then, body));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().cause, Cause::kConnectionLost);
}

TEST_F(TlsTransferTest, ReadTimesOutAndGoesOnWithANewDeadline) {
  auto then = [](Peer& peer) -> asio::awaitable<void> {
    co_await peer.Write("250 " + co_await peer.ReadLine() + "\n");
    co_await peer.ReadAll();
  };
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(milliseconds(30)));
    Text none = co_await ReadLine(stream);
    EXPECT_EQ(none.error().cause, Cause::kTimeout);
    stream.Expire(Deadline::Never());
    Nothing written = co_await WriteText(stream, "NOOP\n");
    EXPECT_TRUE(written);
    co_return co_await ReadLine(stream);
  };
  Text line = Finish(StartProtected<Text>(then, body));
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "250 NOOP");
}

TEST_F(TlsTransferTest, RefusalCanBeReadAfterAWriteThatTimedOut) {
  asio::steady_timer never(context_, asio::steady_timer::time_point::max());
  auto then = [&](Peer& peer) -> asio::awaitable<void> {
    co_await peer.Write("552 too big\n");
    co_await never.async_wait(asio::use_awaitable);
  };
  const std::string big(64 << 20, 'x');
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(milliseconds(500)));
    Nothing written = co_await WriteText(stream, big);
    EXPECT_EQ(written.error().cause, Cause::kTimeout);
    stream.Expire(Deadline::Never());
    written = co_await WriteText(stream, "QUIT\n");
    EXPECT_EQ(written.error().cause, Cause::kConnectionLost) << "half a record was written before";
    co_return co_await ReadLine(stream);
  };
  Text line = Finish(StartProtected<Text>(then, body));
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "552 too big");
}

TEST_F(TlsTransferTest, ReadAndWriteCanBeCancelled) {
  asio::steady_timer never(context_, asio::steady_timer::time_point::max());
  bool up = false;
  auto then = [&](Peer& peer) -> asio::awaitable<void> {
    co_await peer.ReadSome();
    up = true;
    co_await never.async_wait(asio::use_awaitable);
  };
  auto read = [](TcpStream& stream) -> asio::awaitable<Nothing> {
    co_await WriteText(stream, "x");
    Text line = co_await ReadLine(stream);
    if (!line) co_return line.error();
    co_return Nothing();
  };
  auto reading = StartProtected<Nothing>(then, read);
  RunUntil([&] { return up; });
  reading->Cancel();
  EXPECT_EQ(Finish(reading).error().cause, Cause::kCancelled);

  up = false;
  const std::string big(64 << 20, 'x');
  auto write = [&](TcpStream& stream) -> asio::awaitable<Nothing> {
    co_return co_await WriteText(stream, big);
  };
  auto writing = StartProtected<Nothing>(then, write);
  RunUntil([&] { return up; });
  writing->Cancel();
  EXPECT_EQ(Finish(writing).error().cause, Cause::kCancelled);
}

}  // namespace
}  // namespace sendstep::net
