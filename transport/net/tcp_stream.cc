#include "transport/net/tcp_stream.h"

#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::Cause;
using base::ErrorClass;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// The most that one TLS record carries (RFC 8446 5.1).
constexpr size_t kMaxRecord = 16384;
constexpr size_t kMaxScatter = 16;
constexpr int kMaxOwnRecords = 8;

base::Error TcpError(Cause cause, std::string detail) {
  return base::Failed(base::Stage::kTcp, cause, ErrorClass::kTransient, std::move(detail));
}

}  // namespace

// What of a list of buffers is still to be written.
class TcpStream::Cursor {
 public:
  using Window = std::array<asio::const_buffer, kMaxScatter>;

  explicit Cursor(std::span<const asio::const_buffer> buffers) : rest_(buffers) { SkipEmpty(); }

  bool empty() const { return rest_.empty(); }
  bool begun() const { return begun_; }
  bool last() const { return rest_.size() == 1; }
  asio::const_buffer front() const { return rest_.front() + offset_; }

  // As many buffers as one system call takes.
  Window window() const {
    Window window;
    const size_t count = std::min(kMaxScatter, rest_.size());
    for (size_t i = 0; i < count; ++i) window[i] = rest_[i];
    window[0] += offset_;
    return window;
  }

  void Advance(size_t bytes) {
    begun_ = begun_ || bytes > 0;
    while (bytes > 0) {
      const size_t step = std::min(bytes, front().size());
      offset_ += step;
      bytes -= step;
      SkipEmpty();
    }
  }

 private:
  void SkipEmpty() {
    while (!rest_.empty() && rest_.front().size() == offset_) {
      rest_ = rest_.subspan(1);
      offset_ = 0;
    }
  }

  std::span<const asio::const_buffer> rest_;
  size_t offset_ = 0;  // into the first
  bool begun_ = false;
};

TcpStream::TcpStream(tcp::socket socket, std::shared_ptr<TlsSessions> tls_sessions)
    : socket_(std::move(socket)),
      tls_sessions_(std::move(tls_sessions)),
      executor_(socket_.get_executor()),
      timer_(executor_) {}

TcpStream::~TcpStream() { Close(); }

asio::awaitable<base::Result<size_t>> TcpStream::ReadSome(asio::mutable_buffer buffer) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (tls_) {
    auto read = [this, buffer] { return tls_->Read(buffer); };
    co_return co_await Drive(read);
  }
  asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (auto stopped = Stopped(state)) co_return *stopped;
  auto [ec, bytes] = co_await socket_.async_read_some(buffer, kAwait);
  if (!ec) co_return bytes;
  state = co_await asio::this_coro::cancellation_state;
  if (auto stopped = Stopped(state)) co_return *stopped;
  co_return Broken(ec);
}

base::Result<size_t> TcpStream::ReadAvailable(asio::mutable_buffer buffer) {
  if (!socket_.is_open()) return TcpError(Cause::kConnectionLost, "the connection is closed");
  if (tls_) {
    TlsStep step = tls_->Read(buffer);
    // A record of TLS's own may stand before the server's words.
    for (int own = 0; step.want == TlsStep::kAgain && own < kMaxOwnRecords; ++own) {
      step = tls_->Read(buffer);
    }
    if (step.want == TlsStep::kFailed) return TransferError();
    return step.want == TlsStep::kDone ? step.bytes : 0;
  }
  const ssize_t received =
      ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received > 0) return static_cast<size_t>(received);
  if (received == 0) return Broken(asio::error::eof);
  if (errno == EAGAIN || errno == EINTR) return size_t{0};
  return Broken(error_code(errno, boost::system::system_category()));
}

asio::awaitable<base::Result<void>> TcpStream::Write(std::span<const asio::const_buffer> buffers) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (write_failed_) co_return TcpError(Cause::kConnectionLost, "an earlier write failed");
  Cursor cursor(buffers);
  if (tls_) co_return co_await WriteTls(cursor);
  co_return co_await WritePlain(cursor);
}

asio::awaitable<base::Result<void>> TcpStream::WritePlain(Cursor& cursor) {
  error_code failed;
  while (!cursor.empty()) {
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    std::optional<base::Error> stopped = Stopped(state);
    if (!stopped && failed) stopped = Broken(failed);
    if (stopped) {
      write_failed_ = failed || cursor.begun();
      co_return *stopped;
    }
    const Cursor::Window window = cursor.window();
    auto [ec, bytes] = co_await socket_.async_write_some(window, kAwait);
    cursor.Advance(bytes);
    failed = ec;
  }
  co_return base::Result<void>();
}

asio::awaitable<base::Result<void>> TcpStream::WriteTls(Cursor& cursor) {
  std::vector<char> gathered;  // small buffers become one record
  base::Result<void> result;
  while (!cursor.empty() && result) {
    asio::const_buffer next = cursor.front();
    if (next.size() < kMaxRecord && !cursor.last()) {
      gathered.clear();
      while (!cursor.empty() && gathered.size() < kMaxRecord) {
        const size_t size = std::min(cursor.front().size(), kMaxRecord - gathered.size());
        const auto* bytes = static_cast<const char*>(cursor.front().data());
        gathered.insert(gathered.end(), bytes, bytes + size);
        cursor.Advance(size);
      }
      next = asio::buffer(gathered);
    } else {
      cursor.Advance(next.size());
    }
    while (next.size() > 0) {
      auto write = [this, next] { return tls_->Write(next); };
      base::Result<size_t> written = co_await Drive(write);
      if (!written) {
        write_failed_ = true;
        result = written.error();
        break;
      }
      next += *written;
    }
  }
  OPENSSL_cleanse(gathered.data(), gathered.size());
  co_return result;
}

template <class Step>
asio::awaitable<base::Result<size_t>> TcpStream::Drive(Step step) {
  for (;;) {
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (auto stopped = Stopped(state)) co_return *stopped;
    const TlsStep done = step();
    if (done.want == TlsStep::kDone) co_return done.bytes;
    if (done.want == TlsStep::kFailed) {
      if (!handshaken_) co_return tls_->HandshakeError();
      co_return TransferError();
    }
    if (done.want == TlsStep::kAgain) {
      // Others' turn, the timer's too: a server may send such records without end.
      co_await asio::post(socket_.get_executor(), kAwait);
      continue;
    }
    // An error of the wait shows in Stopped() or in the next step.
    co_await socket_.async_wait(
        done.want == TlsStep::kRead ? tcp::socket::wait_read : tcp::socket::wait_write, kAwait);
  }
}

asio::awaitable<base::Result<smtp::TlsInfo>> TcpStream::StartTls(const smtp::TlsSettings& settings,
                                                                 const std::string& server_name) {
  co_await asio::this_coro::throw_if_cancelled(false);
  base::Result<size_t> done = base::Error();
  base::Result<std::unique_ptr<TlsClient>> client =
      TlsClient::Create(socket_.native_handle(), settings, server_name, tls_sessions_);
  if (client) {
    tls_ = std::move(*client);
    auto handshake = [this] { return tls_->Handshake(); };
    done = co_await Drive(handshake);
  } else {
    done = client.error();
  }
  if (done) {
    handshaken_ = true;
    co_return tls_->info();
  }
  Close();
  base::Error error = done.error();
  error.stage = base::Stage::kTls;
  co_return error;
}

void TcpStream::AcknowledgeNow() {
  const int on = 1;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

void TcpStream::Detach() {
  alive_.reset();
  armed_for_.reset();
  timer_.cancel();
  deadline_ = base::Deadline::Never();
}

void TcpStream::Attach(const asio::any_io_executor& executor) {
  executor_ = executor;
  alive_ = std::make_shared<const bool>(true);
}

void TcpStream::Expire(base::Deadline deadline) {
  deadline_ = deadline;
  if (!socket_.is_open() || deadline.at == base::Deadline::Never().at) return;
  if (!armed_for_ || *armed_for_ > deadline.at) ArmTimer();
}

void TcpStream::ArmTimer() {
  armed_for_ = deadline_.at;
  timer_.expires_at(deadline_.at);
  auto fired = [this, alive = std::weak_ptr<const bool>(alive_)](error_code ec) {
    if (ec || alive.expired()) return;
    armed_for_.reset();
    if (deadline_.Passed()) {
      error_code ignored;
      socket_.cancel(ignored);
    } else if (deadline_.at != base::Deadline::Never().at) {
      ArmTimer();
    }
  };
  timer_.async_wait(asio::bind_executor(executor_, fired));
}

void TcpStream::Close() {
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
}

std::optional<base::Error> TcpStream::Stopped(const asio::cancellation_state& state) const {
  if (state.cancelled() != asio::cancellation_type::none) {
    return TcpError(Cause::kCancelled, "cancelled");
  }
  if (deadline_.Passed()) return TcpError(Cause::kTimeout, "timed out");
  if (!socket_.is_open()) return TcpError(Cause::kConnectionLost, "the connection is closed");
  return std::nullopt;
}

base::Error TcpStream::TransferError() const {
  base::Error lost = tls_->TransferError();
  lost.stage = base::Stage::kTcp;
  return lost;
}

base::Error TcpStream::Broken(const error_code& ec) const {
  if (ec == asio::error::eof) {
    return TcpError(Cause::kConnectionLost, "the server closed the connection");
  }
  return TcpError(Cause::kConnectionLost, "connection lost: " + ec.message());
}

}  // namespace sendstep::net
