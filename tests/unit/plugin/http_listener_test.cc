#include "plugin/http_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class HttpListenerTest : public testing::Test {
 protected:
  HttpListenerTest() {
    HttpCallbacks callbacks;
    callbacks.not_ready = [this] { return std::string(ready_ ? "" : "warming up"); };
    callbacks.metrics = [this] {
      ++scrapes_;
      return std::string("a_total 1\n");
    };
    auto listener = HttpListener::Start(context_.get_executor(), {"127.0.0.1", 0, ""}, callbacks);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  ~HttpListenerTest() override {
    listener_->Stop();
    context_.stop();
  }

  tcp::endpoint Endpoint() const {
    return {asio::ip::make_address("127.0.0.1"), listener_->address().port};
  }

  // Everything the listener says to `request` until it closes.
  std::string Exchange(const std::string& request) {
    asio::io_context context;
    tcp::socket socket(context);
    socket.connect(Endpoint());
    asio::write(socket, asio::buffer(request));
    std::string answer;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    EXPECT_EQ(error, asio::error::eof);
    return answer;
  }
  std::string Get(const std::string& path) {
    return Exchange("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::atomic<bool> ready_ = true;
  std::atomic<int> scrapes_ = 0;
  std::unique_ptr<HttpListener> listener_;
  std::jthread one_{[this] { context_.run(); }};
  std::jthread two_{[this] { context_.run(); }};
};

TEST_F(HttpListenerTest, HealthzIsOk) {
  EXPECT_THAT(Get("/healthz"), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\nok\n")));
}

TEST_F(HttpListenerTest, ReadyzSaysWhyItIsNot) {
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200 "));
  ready_ = false;
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("\r\n\r\nwarming up\n")));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpListenerTest, MetricsArePrometheusText) {
  EXPECT_THAT(Get("/metrics?x=1"),
              AllOf(HasSubstr("Content-Type: text/plain; version=0.0.4"), EndsWith("a_total 1\n")));
}

TEST_F(HttpListenerTest, HeadHasTheLengthAndNoBody) {
  EXPECT_THAT(
      Exchange("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
      AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 3\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(HttpListenerTest, OldClientsAreAnswered) {
  EXPECT_THAT(Exchange("GET /healthz HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpListenerTest, OtherPathsAreNotFound) {
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get("/healthz/../metrics"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpListenerTest, OtherMethodsAreNotAllowedWhateverTheirBody) {
  const std::string body(50'000, 'b');
  EXPECT_THAT(Exchange("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + body),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")));
}

TEST_F(HttpListenerTest, HeaderBeyondTheLimitIsRefused) {
  EXPECT_THAT(Exchange("GET /healthz HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpListenerTest, WhatIsNotHttpIsRefused) {
  EXPECT_THAT(Exchange("EHLO me\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpListenerTest, ProbeIsAnsweredWhileManySendHalfARequest) {
  const auto before = std::chrono::steady_clock::now();
  asio::io_context context;
  std::vector<tcp::socket> idle;
  for (int i = 0; i < 300; ++i) {
    idle.emplace_back(context).connect(Endpoint());
    asio::write(idle.back(), asio::buffer(std::string("GET /healthz HT")));
  }
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  // A connection without a whole request lives 10 s.
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(8));
}

TEST_F(HttpListenerTest, ProbeIsAnsweredWhileManyKeepWhatWasAnswered) {
  const auto before = std::chrono::steady_clock::now();
  asio::io_context context;
  std::vector<tcp::socket> answered;
  for (int i = 0; i < 80; ++i) {
    answered.emplace_back(context).connect(Endpoint());
    asio::write(answered.back(), asio::buffer(std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
  }
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(8));
}

TEST_F(HttpListenerTest, ConnectionBeyondTheLimitClosesTheOldest) {
  asio::io_context context;
  std::vector<tcp::socket> idle;
  for (int i = 0; i < 65; ++i) idle.emplace_back(context).connect(Endpoint());
  char byte = 0;
  boost::system::error_code error;
  asio::read(idle.front(), asio::buffer(&byte, 1), error);
  EXPECT_TRUE(error == asio::error::eof || error == asio::error::connection_reset) << error;
  idle[1].non_blocking(true);
  asio::read(idle[1], asio::buffer(&byte, 1), error);
  EXPECT_EQ(error, asio::error::would_block);
}

TEST_F(HttpListenerTest, StopClosesConnectionsAndThePort) {
  asio::io_context context;
  tcp::socket idle(context);
  idle.connect(Endpoint());
  listener_->Stop();
  listener_->Stop();
  char byte = 0;
  boost::system::error_code error;
  asio::read(idle, asio::buffer(&byte, 1), error);
  EXPECT_TRUE(error == asio::error::eof || error == asio::error::connection_reset) << error;
  tcp::socket late(context);
  late.connect(Endpoint(), error);
  EXPECT_EQ(error, asio::error::connection_refused);
}

TEST_F(HttpListenerTest, PortInUseIsSaid) {
  const auto second = HttpListener::Start(context_.get_executor(), listener_->address(), {});
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr(listener_->address().ToString()), HasSubstr("in use")));
}

TEST_F(HttpListenerTest, ListensOnIpv6) {
  const auto second = HttpListener::Start(context_.get_executor(), {"::1", 0, ""}, {});
  if (!second.ok()) GTEST_SKIP() << "no IPv6 loopback here: " << second.status();
  EXPECT_THAT((*second)->address().ToString(), StartsWith("[::1]:"));
}

}  // namespace
}  // namespace sendstep::plugin
