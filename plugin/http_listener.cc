#include "plugin/http_listener.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <deque>
#include <mutex>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "plugin/logging.h"

namespace sendstep::plugin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using Response = http::response<http::string_body>;

constexpr size_t kMaxHeader = 8 * 1024;
constexpr size_t kMaxConnections = 64;
constexpr std::chrono::seconds kConnectionTime{10};
constexpr size_t kMaxDrained = 64 * 1024;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr auto kUse = asio::as_tuple(asio::use_awaitable);

constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kPrometheusText[] = "text/plain; version=0.0.4; charset=utf-8";

Response Answer(http::status status, std::string body, std::string_view type = kText) {
  Response response(status, 11);
  response.set(http::field::content_type, beast::string_view(type.data(), type.size()));
  response.set(http::field::cache_control, "no-store");
  response.keep_alive(false);
  response.body() = std::move(body);
  return response;
}

Response Refusal(const beast::error_code& error) {
  return error == http::error::header_limit || error == http::error::buffer_overflow
             ? Answer(http::status::request_header_fields_too_large, "The header is too large.\n")
             : Answer(http::status::bad_request, "This is not HTTP/1.1.\n");
}

// Reads what the client still sends: closing before would reset the connection under our answer.
asio::awaitable<void> Drain(beast::tcp_stream& stream) {
  beast::error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  std::array<char, 4096> trash;
  for (size_t drained = 0; drained < kMaxDrained;) {
    const auto [error, n] = co_await stream.async_read_some(asio::buffer(trash), kUse);
    if (error) co_return;
    drained += n;
  }
}

}  // namespace

// Everything but Stop() runs on the strand. Coroutines own the state, so it outlives the listener.
class HttpListener::State : public std::enable_shared_from_this<State> {
 public:
  State(const asio::any_io_executor& executor, HttpCallbacks callbacks)
      : strand_(asio::make_strand(executor)),
        acceptor_(strand_),
        pause_(strand_),
        callbacks_(std::move(callbacks)) {}

  tcp::endpoint Listen(const tcp::endpoint& endpoint) {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    return acceptor_.local_endpoint();
  }

  void Run() { asio::co_spawn(strand_, Accept(shared_from_this()), asio::detached); }

  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      callbacks_ = {};
      stopped_ = true;
    }
    asio::dispatch(strand_, [self = shared_from_this()] {
      beast::error_code ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
      for (beast::tcp_stream* stream : self->streams_) stream->close();
    });
  }

 private:
  static asio::awaitable<void> Accept(std::shared_ptr<State> self) {
    while (self->acceptor_.is_open()) {
      auto [error, socket] = co_await self->acceptor_.async_accept(kUse);
      if (!self->acceptor_.is_open()) co_return;
      if (error) {  // out of descriptors, or the client has gone
        Log(Level::kWarning, "http_accept_failed", {{"detail", error.message()}});
        self->pause_.expires_after(kAcceptPause);
        co_await self->pause_.async_wait(kUse);
        continue;
      }
      self->MakeRoom();
      asio::co_spawn(self->strand_, Serve(self, std::move(socket)), asio::detached);
    }
  }

  // The oldest: whoever asks in earnest has been answered long since.
  void MakeRoom() {
    if (streams_.size() < kMaxConnections) return;
    streams_.front()->close();
    streams_.pop_front();
  }

  static asio::awaitable<void> Serve(std::shared_ptr<State> self, tcp::socket socket) {
    beast::tcp_stream stream(std::move(socket));
    self->streams_.push_back(&stream);
    try {
      co_await ServeOne(*self, stream);
    } catch (const std::exception& e) {
      Log(Level::kError, "http_failed", {{"what", e.what()}});
    }
    std::erase(self->streams_, &stream);
    self->pause_.cancel();
  }

  static asio::awaitable<void> ServeOne(State& self, beast::tcp_stream& stream) {
    stream.expires_after(kConnectionTime);
    beast::flat_buffer buffer(kMaxHeader);
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMaxHeader);
    const auto [error, read] = co_await http::async_read_header(stream, buffer, parser, kUse);
    if (error && error.category() != http::make_error_code(http::error::bad_method).category()) {
      co_return;
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) co_return;

    Response response = error ? Refusal(error) : self.Route(parser.get());
    response.prepare_payload();
    if (!error && parser.get().method() == http::verb::head) response.body().clear();
    const auto [write_error, written] = co_await http::async_write(stream, response, kUse);
    if (!write_error) co_await Drain(stream);
  }

  Response Route(const http::request<http::empty_body>& request) {
    const auto target = request.target();
    const std::string_view path =
        std::string_view(target.data(), target.size()).substr(0, target.find('?'));
    if (path != "/healthz" && path != "/readyz" && path != "/metrics") {
      return Answer(http::status::not_found, "Not found. Try /healthz, /readyz or /metrics.\n");
    }
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      Response response = Answer(http::status::method_not_allowed, "GET or HEAD.\n");
      response.set(http::field::allow, "GET, HEAD");
      return response;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (path == "/healthz") return Answer(http::status::ok, "ok\n");
    if (stopped_) return Answer(http::status::service_unavailable, "stopped\n");
    if (path == "/metrics") return Answer(http::status::ok, callbacks_.metrics(), kPrometheusText);
    const std::string not_ready = callbacks_.not_ready();
    if (not_ready.empty()) return Answer(http::status::ok, "ready\n");
    return Answer(http::status::service_unavailable, not_ready + "\n");
  }

  asio::strand<asio::any_io_executor> strand_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;                // cancelled when a connection ends
  std::deque<beast::tcp_stream*> streams_;  // the oldest first

  std::mutex mutex_;  // guards what follows, and is held while a callback runs
  HttpCallbacks callbacks_;
  bool stopped_ = false;
};

absl::StatusOr<std::unique_ptr<HttpListener>> HttpListener::Start(asio::any_io_executor executor,
                                                                  const ListenAddress& address,
                                                                  HttpCallbacks callbacks) {
  auto state = std::make_shared<State>(executor, std::move(callbacks));
  try {
    const tcp::endpoint bound =
        state->Listen(tcp::endpoint(asio::ip::make_address(address.host), address.port));
    state->Run();
    const ListenAddress actual{address.host, bound.port(), ""};
    return std::unique_ptr<HttpListener>(new HttpListener(actual, std::move(state)));
  } catch (const boost::system::system_error& error) {
    return absl::UnavailableError("cannot serve HTTP on " + address.ToString() + ": " +
                                  error.code().message());
  }
}

HttpListener::HttpListener(ListenAddress address, std::shared_ptr<State> state)
    : address_(std::move(address)), state_(std::move(state)) {}

HttpListener::~HttpListener() { Stop(); }

void HttpListener::Stop() { state_->Stop(); }

}  // namespace sendstep::plugin
