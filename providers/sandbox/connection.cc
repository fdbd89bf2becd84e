#include "providers/sandbox/connection.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace sendstep::providers::sandbox {
namespace {

constexpr size_t kBufferBytes = 32 * 1024;
constexpr std::chrono::seconds kGoodbye{2};
constexpr std::chrono::seconds kCancelAgain{1};
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, std::chrono::milliseconds idle_timeout)
    : idle_timeout_(idle_timeout),
      socket_(std::move(socket)),
      watch_timer_(socket_.get_executor()),
      sleep_timer_(socket_.get_executor()),
      deadline_(Clock::now() + idle_timeout),
      buffer_(kBufferBytes) {
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

asio::awaitable<void> Connection::Watch() {
  while (!closed_) {
    watch_timer_.expires_at(deadline_);
    co_await watch_timer_.async_wait(kAwait);
    if (closed_ || Clock::now() < deadline_) continue;
    expired_ = true;
    // Once more then: this cancel may fall between two steps of one operation.
    deadline_ = Clock::now() + kCancelAgain;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }
}

// A later deadline costs nothing: Watch() sees it when it wakes.
void Connection::Expire(std::chrono::milliseconds after) {
  expired_ = false;
  deadline_ = Clock::now() + after;
  if (deadline_ < watch_timer_.expiry()) watch_timer_.cancel();
}

asio::awaitable<bool> Connection::Fill() {
  if (!co_await Flush()) co_return false;
  if (begin_ > 0) {
    std::copy(buffer_.begin() + begin_, buffer_.begin() + end_, buffer_.begin());
    end_ -= std::exchange(begin_, 0);
  }
  Expire(idle_timeout_);
  const asio::mutable_buffer space = asio::buffer(buffer_) + end_;
  const auto [error, size] = tls_ ? co_await tls_->async_read_some(space, kAwait)
                                  : co_await socket_.async_read_some(space, kAwait);
  end_ += size;
  co_return !error && size > 0;
}

asio::awaitable<bool> Connection::Flush() {
  if (closed_) co_return false;
  if (output_.empty()) co_return true;
  Expire(idle_timeout_);
  co_return co_await Write();
}

asio::awaitable<bool> Connection::Write() {
  const asio::const_buffer bytes = asio::buffer(output_);
  const auto [error, size] = tls_ ? co_await asio::async_write(*tls_, bytes, kAwait)
                                  : co_await asio::async_write(socket_, bytes, kAwait);
  output_.clear();
  // Close() may have come between the end of the write and here, too early for what is begun next.
  co_return !error && !closed_;
}

asio::awaitable<bool> Connection::StartTls(asio::ssl::context& context) {
  if (!co_await Flush()) co_return false;
  Expire(idle_timeout_);
  tls_.emplace(socket_, context);
  const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, kAwait);
  // Without a session there is nobody to talk to, not even about a timeout.
  if (error) Close();
  co_return !error;
}

asio::awaitable<bool> Connection::Sleep(std::chrono::milliseconds duration) {
  if (!co_await Flush()) co_return false;
  Expire(duration + idle_timeout_);
  sleep_timer_.expires_after(duration);
  co_await sleep_timer_.async_wait(kAwait);
  co_return !closed_;
}

asio::awaitable<void> Connection::Finish() {
  if (closed_) co_return;
  Expire(kGoodbye);
  bool written = true;
  if (!output_.empty()) written = co_await Write();
  if (written && tls_ && !closed_) co_await tls_->async_shutdown(kAwait);
  boost::system::error_code error;
  if (!closed_) socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  while (!error && !closed_ && !expired_) {
    std::tie(error, std::ignore) = co_await socket_.async_read_some(asio::buffer(buffer_), kAwait);
  }
  Close();
}

void Connection::Close() {
  closed_ = true;
  watch_timer_.cancel();
  sleep_timer_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace sendstep::providers::sandbox
