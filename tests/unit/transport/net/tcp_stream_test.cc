#include "transport/net/tcp_stream.h"

#include <gmock/gmock.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "tests/unit/transport/net/stream_test.h"

namespace sendstep::net {
namespace {

using base::Cause;
using base::Deadline;
using base::Result;
using std::chrono::hours;
using std::chrono::milliseconds;
using testing::Peer;
using testing::ReadLine;
using testing::WriteText;
namespace asio = boost::asio;
using Text = Result<std::string>;
using Nothing = Result<void>;

class TcpStreamTest : public testing::StreamTest {
 protected:
  // A server that keeps what it reads and says nothing.
  void ServeSilence() {
    auto serve = [this](Peer& peer) -> asio::awaitable<void> {
      received_ = co_await peer.ReadAll();
    };
    Serve(serve);
  }
  std::string received_;
};

TEST_F(TcpStreamTest, ReadsWhatTheServerSays) {
  auto serve = [](Peer& peer) -> asio::awaitable<void> { co_await peer.Write("220 hello\n"); };
  Serve(serve);
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    co_return co_await ReadLine(stream);
  };
  Text line = WithStream<Text>(body);
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "220 hello");
}

TEST_F(TcpStreamTest, WhatHasArrivedIsReadWithoutWaiting) {
  auto serve = [](Peer& peer) -> asio::awaitable<void> {
    co_await peer.ReadLine();
    co_await peer.Write("421 idle\n");
  };
  Serve(serve);
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    char c;
    base::Result<size_t> size = stream.ReadAvailable(asio::buffer(&c, 1));
    EXPECT_EQ(*size, 0u);
    co_await WriteText(stream, "NOOP\n");
    std::string line;
    for (; size; size = stream.ReadAvailable(asio::buffer(&c, 1))) {
      line.append(&c, *size);
      co_await asio::post(context_, asio::use_awaitable);
    }
    EXPECT_EQ(size.error().cause, Cause::kConnectionLost) << "the server has closed";
    co_return line;
  };
  Text line = WithStream<Text>(body);
  ASSERT_TRUE(line);
  EXPECT_EQ(*line, "421 idle\n");
}

TEST_F(TcpStreamTest, WritesManyBuffersInOrder) {
  ServeSilence();
  std::vector<std::string> pieces;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    pieces.push_back(i % 7 == 0 ? "" : std::string(i * 137, static_cast<char>('a' + i % 26)));
    expected += pieces.back();
  }
  auto body = [&](TcpStream& stream) -> asio::awaitable<Nothing> {
    std::vector<asio::const_buffer> buffers;
    for (const std::string& piece : pieces) buffers.push_back(asio::buffer(piece));
    co_return co_await stream.Write(buffers);
  };
  ASSERT_TRUE(WithStream<Nothing>(body));
  RunUntil([&] { return received_.size() == expected.size(); });
  EXPECT_EQ(received_, expected);
}

TEST_F(TcpStreamTest, WritingNothingSucceeds) {
  ServeSilence();
  auto body = [](TcpStream& stream) -> asio::awaitable<Nothing> {
    co_return co_await stream.Write({});
  };
  EXPECT_TRUE(WithStream<Nothing>(body));
}

TEST_F(TcpStreamTest, CloseOfTheServerIsConnectionLost) {
  Serve([](Peer&) -> asio::awaitable<void> { co_return; });
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    co_return co_await ReadLine(stream);
  };
  Text line = WithStream<Text>(body);
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().stage, base::Stage::kTcp);
  EXPECT_EQ(line.error().cause, Cause::kConnectionLost);
  EXPECT_EQ(line.error().detail, "the server closed the connection");
}

TEST_F(TcpStreamTest, ResetOfTheServerIsConnectionLostWithoutSignal) {
  auto serve = [](Peer& peer) -> asio::awaitable<void> {
    peer.socket().set_option(asio::socket_base::linger(true, 0));
    peer.socket().close();
    co_return;
  };
  Serve(serve);
  auto body = [](TcpStream& stream) -> asio::awaitable<Nothing> {
    co_await ReadLine(stream);
    Nothing written;
    while (written) written = co_await WriteText(stream, "NOOP\r\n");  // SIGPIPE would kill here
    co_return written;
  };
  Nothing written = WithStream<Nothing>(body);
  EXPECT_EQ(written.error().cause, Cause::kConnectionLost);
}

TEST_F(TcpStreamTest, ExpiryFailsThePendingReadAndEveryLaterOperation) {
  ServeSilence();
  const auto begin = base::Clock::now();
  auto body = [](TcpStream& stream) -> asio::awaitable<std::vector<Cause>> {
    stream.Expire(Deadline::After(milliseconds(40)));
    std::vector<Cause> causes;
    Text first = co_await ReadLine(stream);
    causes.push_back(first.error().cause);
    Text second = co_await ReadLine(stream);
    causes.push_back(second.error().cause);
    Nothing third = co_await WriteText(stream, "QUIT\r\n");
    causes.push_back(third.error().cause);
    co_return causes;
  };
  EXPECT_THAT(WithStream<std::vector<Cause>>(body),
              ::testing::ElementsAre(Cause::kTimeout, Cause::kTimeout, Cause::kTimeout));
  EXPECT_GE(base::Clock::now() - begin, milliseconds(40));
  EXPECT_EQ(received_, "");
}

TEST_F(TcpStreamTest, NewDeadlineRevivesTheStream) {
  auto serve = [](Peer& peer) -> asio::awaitable<void> {
    co_await peer.ReadLine();
    co_await peer.Write("250 late\n");
  };
  Serve(serve);
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(milliseconds(10)));
    Text timed_out = co_await ReadLine(stream);
    if (timed_out) co_return timed_out;
    stream.Expire(Deadline::Never());
    Nothing written = co_await WriteText(stream, "NOOP\n");
    if (!written) co_return written.error();
    co_return co_await ReadLine(stream);
  };
  Text line = WithStream<Text>(body);
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "250 late");
}

TEST_F(TcpStreamTest, LaterDeadlineReplacesAnEarlierOne) {
  asio::steady_timer pause(context_, milliseconds(80));
  auto serve = [&](Peer& peer) -> asio::awaitable<void> {
    co_await pause.async_wait(asio::use_awaitable);
    co_await peer.Write("250 ok\n");
  };
  Serve(serve);
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(milliseconds(20)));
    stream.Expire(Deadline::After(hours(1)));
    co_return co_await ReadLine(stream);
  };
  Text line = WithStream<Text>(body);
  EXPECT_TRUE(line) << line.error().detail;
}

TEST_F(TcpStreamTest, EarlierDeadlineReplacesALaterOne) {
  ServeSilence();
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(hours(1)));
    stream.Expire(Deadline::After(milliseconds(20)));
    co_return co_await ReadLine(stream);
  };
  EXPECT_EQ(WithStream<Text>(body).error().cause, Cause::kTimeout);
}

TEST_F(TcpStreamTest, RefusalCanBeReadAfterAWriteThatFailed) {
  asio::steady_timer never(context_, asio::steady_timer::time_point::max());
  auto serve = [&](Peer& peer) -> asio::awaitable<void> {
    co_await peer.Write("552 too big\n");
    co_await never.async_wait(asio::use_awaitable);  // reads nothing
  };
  Serve(serve);
  const std::string big(64 << 20, 'x');
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(milliseconds(200)));
    Nothing written = co_await WriteText(stream, big);
    EXPECT_EQ(written.error().cause, Cause::kTimeout);
    stream.Expire(Deadline::Never());
    written = co_await WriteText(stream, "QUIT\n");
    EXPECT_EQ(written.error().cause, Cause::kConnectionLost) << "half a line was written before";
    co_return co_await ReadLine(stream);
  };
  Text line = WithStream<Text>(body);
  ASSERT_TRUE(line) << line.error().detail;
  EXPECT_EQ(*line, "552 too big");
}

TEST_F(TcpStreamTest, CancellationEndsAPendingRead) {
  ServeSilence();
  bool reading = false;
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    reading = true;
    co_return co_await ReadLine(stream);
  };
  auto running = StartWithStream<Text>(body);
  RunUntil([&] { return reading; });
  running->Cancel();
  EXPECT_EQ(Finish(running).error().cause, Cause::kCancelled);
}

TEST_F(TcpStreamTest, CancellationEndsAPendingWrite) {
  asio::steady_timer never(context_, asio::steady_timer::time_point::max());
  std::string first;
  auto serve = [&](Peer& peer) -> asio::awaitable<void> {
    first = co_await peer.ReadSome();
    co_await never.async_wait(asio::use_awaitable);
  };
  Serve(serve);
  const std::string big(64 << 20, 'x');
  auto body = [&](TcpStream& stream) -> asio::awaitable<Nothing> {
    co_return co_await WriteText(stream, big);
  };
  auto running = StartWithStream<Nothing>(body);
  RunUntil([&] { return !first.empty(); });
  running->Cancel();
  EXPECT_EQ(Finish(running).error().cause, Cause::kCancelled);
}

TEST_F(TcpStreamTest, CancellationBeforeAnOperationIsNotLost) {
  ServeSilence();
  asio::steady_timer gate(context_, asio::steady_timer::time_point::max());
  bool waiting = false;
  auto body = [&](TcpStream& stream) -> asio::awaitable<Text> {
    co_await asio::this_coro::throw_if_cancelled(false);
    boost::system::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    waiting = true;
    co_await gate.async_wait(token);  // ended by the cancellation
    co_return co_await ReadLine(stream);
  };
  auto running = StartWithStream<Text>(body);
  RunUntil([&] { return waiting; });
  running->Cancel();
  EXPECT_EQ(Finish(running).error().cause, Cause::kCancelled);
}

TEST_F(TcpStreamTest, ClosedStreamIsConnectionLost) {
  ServeSilence();
  auto body = [](TcpStream& stream) -> asio::awaitable<Text> {
    stream.Expire(Deadline::After(hours(1)));
    stream.Close();
    stream.Close();
    Nothing written = co_await WriteText(stream, "QUIT\r\n");
    EXPECT_EQ(written.error().cause, Cause::kConnectionLost);
    co_return co_await ReadLine(stream);
  };
  EXPECT_EQ(WithStream<Text>(body).error().cause, Cause::kConnectionLost);
}

TEST_F(TcpStreamTest, ExpiryMayFireWhenTheStreamIsGone) {
  ServeSilence();
  auto body = [](TcpStream& stream) -> asio::awaitable<bool> {
    stream.Expire(Deadline::After(milliseconds(-1)));  // its handler is ready to be queued
    co_return true;
  };
  EXPECT_TRUE(WithStream<bool>(body));
  context_.restart();
  context_.run_for(milliseconds(20));
}

}  // namespace
}  // namespace sendstep::net
