#include "tests/support/loopback_server.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace sendstep::testing {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<void> Peer::StartTls(const Identity& identity) {
  context_.emplace(asio::ssl::context::tls_server);
  context_->use_certificate_chain(asio::buffer(identity.certificate_pem));
  context_->use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
  if (demand_certificate_) {
    context_->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  }
  SSL_CTX_set_max_proto_version(context_->native_handle(), newest_version_);
  co_await StartTls(*context_);
}

asio::awaitable<void> Peer::StartTls(asio::ssl::context& context) {
  tls_.emplace(socket_, context);
  boost::system::error_code ec;
  auto token = asio::redirect_error(asio::use_awaitable, ec);
  co_await tls_->async_handshake(asio::ssl::stream_base::server, token);
  if (!ec) co_return;
  tls_.reset();
  throw boost::system::system_error(ec, "handshake");
}

asio::awaitable<std::string> Peer::ReadSome() {
  if (input_.empty()) co_await Receive();
  co_return std::exchange(input_, {});
}

asio::awaitable<void> Peer::Receive() {
  std::array<char, 16384> buffer;
  size_t size = 0;
  if (tls_) {
    size = co_await tls_->async_read_some(asio::buffer(buffer), asio::use_awaitable);
  } else {
    size = co_await socket_.async_read_some(asio::buffer(buffer), asio::use_awaitable);
  }
  input_.append(buffer.data(), size);
}

asio::awaitable<std::string> Peer::ReadLine() {
  size_t end;
  while ((end = input_.find('\n')) == std::string::npos) co_await Receive();
  std::string line = input_.substr(0, end);
  input_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  co_return line;
}

asio::awaitable<std::string> Peer::ReadAll() {
  try {
    for (;;) co_await Receive();
  } catch (const boost::system::system_error&) {
  }
  co_return std::exchange(input_, {});
}

asio::awaitable<void> Peer::Write(std::string_view text) {
  if (tls_) {
    co_await asio::async_write(*tls_, asio::buffer(text), asio::use_awaitable);
  } else {
    co_await asio::async_write(socket_, asio::buffer(text), asio::use_awaitable);
  }
}

void Peer::AddTickets(int count) {
  for (int i = 0; i < count; ++i) SSL_new_session_ticket(tls_->native_handle());
}

std::string Peer::server_name() {
  if (!tls_) return {};
  const char* name = SSL_get_servername(tls_->native_handle(), TLSEXT_NAMETYPE_host_name);
  return name ? name : "";
}

std::string Peer::channel_binding() {
  SSL* const ssl = tls_->native_handle();
  std::string bytes(EVP_MAX_MD_SIZE, '\0');
  if (SSL_version(ssl) == TLS1_3_VERSION) {
    constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
    bytes.resize(32);
    SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                               kLabel.data(), kLabel.size(), nullptr, 0, 0);
  } else if (resumed()) {
    bytes.resize(SSL_get_finished(ssl, bytes.data(), bytes.size()));
  } else {
    bytes.resize(SSL_get_peer_finished(ssl, bytes.data(), bytes.size()));
  }
  return bytes;
}
bool Peer::resumed() { return tls_ && SSL_session_reused(tls_->native_handle()) == 1; }

struct LoopbackServer::State {
  State(const asio::any_io_executor& executor, Serve what, const tcp::endpoint& endpoint)
      : acceptor(executor, endpoint), serve(std::move(what)) {}
  tcp::acceptor acceptor;
  Serve serve;
  int connections = 0;
};

LoopbackServer::LoopbackServer(const asio::any_io_executor& executor, Serve serve,
                               const std::string& address, uint16_t port) {
  const tcp::endpoint endpoint(asio::ip::make_address(address), port);
  state_ = std::make_shared<State>(executor, std::move(serve), endpoint);
  asio::co_spawn(executor, Accept(state_), asio::detached);
}

LoopbackServer::~LoopbackServer() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
}

tcp::endpoint LoopbackServer::endpoint() const { return state_->acceptor.local_endpoint(); }

int LoopbackServer::connections() const { return state_->connections; }

asio::awaitable<void> LoopbackServer::Accept(std::shared_ptr<State> state) {
  for (;;) {
    boost::system::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    tcp::socket socket = co_await state->acceptor.async_accept(token);
    if (ec) co_return;
    ++state->connections;
    const asio::any_io_executor executor = socket.get_executor();
    asio::co_spawn(executor, Handle(state, std::move(socket)), asio::detached);
  }
}

asio::awaitable<void> LoopbackServer::Handle(std::shared_ptr<State> state, tcp::socket socket) {
  Peer peer(std::move(socket));
  try {
    co_await state->serve(peer);
  } catch (const boost::system::system_error&) {
  }
}

}  // namespace sendstep::testing
