// What goes to a proxy and what its answers mean. Real proxies: tests/integration/proxy_test.py.
#include "transport/net/proxy.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/unit/transport/net/stream_test.h"

namespace sendstep::net {
namespace {

using base::Cause;
using base::ErrorClass;
using smtp::ProxySettings;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Peer;
using Kind = ProxySettings::Kind;
using Nothing = base::Result<void>;
using namespace std::string_literals;

class ProxyTest : public testing::StreamTest {
 protected:
  // The proxy answers each thing it reads with the next of `answers`, then closes where there is no
  // other; `asked` has what it read.
  Nothing Connect(std::vector<std::string> answers, const std::string& host = "mx.example",
                  uint16_t port = 587) {
    asked.clear();
    auto serve = [this, answers](Peer& peer) -> boost::asio::awaitable<void> {
      for (const std::string& answer : answers) {
        asked.push_back(co_await peer.ReadSome());
        co_await peer.Write(answer);
      }
    };
    Serve(serve);
    auto body = [this, host, port](TcpStream& stream) -> boost::asio::awaitable<Nothing> {
      Nothing done = co_await ConnectThrough(stream, proxy_, host, port);
      if (done) after = co_await testing::ReadLine(stream);
      co_return done;
    };
    return WithStream<Nothing>(body);
  }

  void LogIn() {
    proxy_.username = "ada";
    proxy_.password = base::Secret("open sesame");
  }

  ProxySettings proxy_;
  std::vector<std::string> asked;
  base::Result<std::string> after = std::string();  // the first line of the server
};

const std::string kConnected = "\x05\x00\x00\x01\x7f\x00\x00\x01\x04\xd2"s;

TEST_F(ProxyTest, SocksAsksByNameAndReadsNothingOfTheServer) {
  ASSERT_TRUE(Connect({"\x05\x00"s, kConnected + "220 mx.example\n"}));
  EXPECT_THAT(asked, ElementsAre("\x05\x01\x00"s, "\x05\x01\x00\x03\x0amx.example\x02\x4b"s));
  EXPECT_EQ(*after, "220 mx.example");
}

TEST_F(ProxyTest, SocksAsksByAddressWhereThereIsOne) {
  ASSERT_TRUE(Connect({"\x05\x00"s, kConnected + "220\n"}, "192.0.2.1", 25));
  EXPECT_EQ(asked[1], "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19"s);
  ASSERT_TRUE(Connect({"\x05\x00"s, kConnected + "220\n"}, "::1", 25));
  EXPECT_EQ(asked[1], "\x05\x01\x00\x04"s + std::string(15, '\0') + "\x01\x00\x19"s);
}

TEST_F(ProxyTest, SocksBoundAddressMayHaveEachForm) {
  for (const std::string& bound : {"\x03\x03"s
                                   "abc",
                                   "\x04"s + std::string(16, 'x')}) {
    ASSERT_TRUE(Connect({"\x05\x00"s, "\x05\x00\x00"s + bound + "\x00\x19"s + "220 ok\n"}));
    EXPECT_EQ(*after, "220 ok");
  }
}

TEST_F(ProxyTest, SocksLogsIn) {
  LogIn();
  ASSERT_TRUE(Connect({"\x05\x02"s, "\x01\x00"s, kConnected + "220\n"}));
  EXPECT_EQ(asked[0], "\x05\x01\x02"s);
  EXPECT_EQ(asked[1],
            "\x01\x03"s
            "ada"
            "\x0b"
            "open sesame");
}

TEST_F(ProxyTest, SocksRefusalsSayWhyAndWhetherTheyMayPass) {
  struct Row {
    std::vector<std::string> answers;
    bool login;
    ErrorClass error_class;
    const char* says;
  };
  const Row rows[] = {
      {{"\x05\xff"s}, false, ErrorClass::kPermanent, "wants a username"},
      {{"\x05\xff"s}, true, ErrorClass::kPermanent, "takes no username"},
      {{"\x05\x02"s, "\x01\x01"s}, true, ErrorClass::kPermanent, "does not take this username"},
      {{"HTTP/1.1 400 Bad\r\n\r\n"}, false, ErrorClass::kPermanent, "does not speak SOCKS5"},
      {{"\x05\x00"s, "\x05\x02\x00\x01"s}, false, ErrorClass::kPermanent, "do not allow"},
      {{"\x05\x00"s, "\x05\x05\x00\x01"s}, false, ErrorClass::kTransient, "refused the connection"},
      {{"\x05\x00"s, "\x05\x09\x00\x01"s}, false, ErrorClass::kPermanent, "code 9"},
      {{"\x05\x00"s, "\x05\x00\x00\x07"s}, false, ErrorClass::kPermanent, "does not speak SOCKS5"},
  };
  for (const Row& row : rows) {
    proxy_ = {};
    if (row.login) LogIn();
    const Nothing refused = Connect(row.answers);
    ASSERT_FALSE(refused) << row.says;
    EXPECT_EQ(refused.error().cause, Cause::kProxy);
    EXPECT_EQ(refused.error().stage, base::Stage::kTcp);
    EXPECT_EQ(refused.error().error_class, row.error_class) << row.says;
    EXPECT_THAT(refused.error().detail, HasSubstr(row.says));
    EXPECT_THAT(refused.error().detail, Not(HasSubstr("sesame")));
  }
}

TEST_F(ProxyTest, SocksTakesNoLongNames) {
  proxy_.username = std::string(256, 'a');
  EXPECT_THAT(Connect({"\x05\x02"s}).error().detail, HasSubstr("no such long username"));
  EXPECT_THAT(Connect({}, std::string(256, 'a')).error().detail, HasSubstr("no such long name"));
}

TEST_F(ProxyTest, HttpConnectsAndReadsNothingOfTheServer) {
  proxy_.kind = Kind::kHttpConnect;
  ASSERT_TRUE(Connect({"HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n220 mx\n"}));
  EXPECT_THAT(asked,
              ElementsAre("CONNECT mx.example:587 HTTP/1.1\r\nHost: mx.example:587\r\n\r\n"));
  EXPECT_EQ(*after, "220 mx");
}

TEST_F(ProxyTest, HttpLogsInAndBracketsIpv6) {
  proxy_.kind = Kind::kHttpConnect;
  LogIn();
  ASSERT_TRUE(Connect({"HTTP/1.0 200 OK\r\n\r\n220 mx\n"}, "::1"));
  EXPECT_THAT(asked[0], HasSubstr("CONNECT [::1]:587 "));
  EXPECT_THAT(asked[0], HasSubstr("\r\nProxy-Authorization: Basic YWRhOm9wZW4gc2VzYW1l\r\n"));
}

TEST_F(ProxyTest, HttpRefusalsSayWhyAndWhetherTheyMayPass) {
  proxy_.kind = Kind::kHttpConnect;
  const std::tuple<std::string, ErrorClass, const char*> rows[] = {
      {"HTTP/1.1 407 Auth\r\n\r\n", ErrorClass::kPermanent, "407: it wants another username"},
      {"HTTP/1.1 403 Forbidden\r\n\r\n", ErrorClass::kPermanent, "403"},
      {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nabc", ErrorClass::kTransient, "502"},
      {"220 mail.example ESMTP\r\n\r\n", ErrorClass::kPermanent, "does not speak HTTP"},
      {std::string(9000, 'x'), ErrorClass::kPermanent, "too long"}};
  for (const auto& [answer, error_class, says] : rows) {
    const Nothing refused = Connect({answer});
    ASSERT_FALSE(refused) << says;
    EXPECT_EQ(refused.error().cause, Cause::kProxy);
    EXPECT_EQ(refused.error().error_class, error_class) << says;
    EXPECT_THAT(refused.error().detail, HasSubstr(says));
  }
}

TEST_F(ProxyTest, ProxyThatClosesIsALostConnection) {
  for (const Kind kind : {Kind::kSocks5, Kind::kHttpConnect}) {
    proxy_.kind = kind;
    EXPECT_EQ(Connect({""}).error().cause, Cause::kConnectionLost);
  }
}

}  // namespace
}  // namespace sendstep::net
