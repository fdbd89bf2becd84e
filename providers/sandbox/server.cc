#include "providers/sandbox/server.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "providers/sandbox/certificate.h"

namespace sendstep::providers::sandbox {
namespace {

using asio::ip::tcp;

// Out of file descriptors, most likely: waiting helps, spinning does not.
constexpr std::chrono::milliseconds kAcceptRetry{100};

absl::Status Failure(absl::string_view what, const boost::system::error_code& error) {
  return absl::InternalError(absl::StrCat("sandbox: ", what, ": ", error.message()));
}

absl::Status UseIdentity(asio::ssl::context& tls, const ServerIdentity& identity) {
  const std::string_view key = identity.private_key_pem.Reveal();
  boost::system::error_code error;
  tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1,
                  error);
  if (!error) tls.use_certificate(asio::buffer(identity.certificate_pem), tls.pem, error);
  if (!error) tls.use_private_key(asio::buffer(key.data(), key.size()), tls.pem, error);
  return error ? Failure("TLS", error) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<Server>> Server::Start(asio::any_io_executor executor,
                                                      const std::filesystem::path& maildir_path,
                                                      const Options& options) {
  absl::StatusOr<Maildir> maildir = Maildir::Open(maildir_path);
  if (!maildir.ok()) return maildir.status();
  const absl::StatusOr<ServerIdentity> identity = MakeServerIdentity();
  if (!identity.ok()) return identity.status();
  auto shared = std::make_shared<Shared>(options, *std::move(maildir));
  if (absl::Status used = UseIdentity(shared->tls, *identity); !used.ok()) return used;

  auto server = std::make_shared<Server>(std::move(executor), std::move(shared));
  server->endpoint_.ca_pem = identity->ca_pem;
  if (absl::Status listens = server->Listen(); !listens.ok()) return listens;
  return server;
}

Server::Server(asio::any_io_executor executor, std::shared_ptr<Shared> shared)
    : executor_(std::move(executor)),
      shared_(std::move(shared)),
      acceptor_(executor_),
      retry_timer_(executor_) {}

absl::Status Server::Listen() {
  const std::lock_guard lock(mutex_);
  const tcp::endpoint loopback(asio::ip::address_v4::loopback(), 0);
  boost::system::error_code error;
  acceptor_.open(loopback.protocol(), error);
  if (!error) acceptor_.bind(loopback, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Failure("cannot listen", error);
  const tcp::endpoint bound = acceptor_.local_endpoint(error);
  if (error) return Failure("cannot listen", error);
  endpoint_.host = bound.address().to_string();
  endpoint_.port = bound.port();
  Accept();
  return absl::OkStatus();
}

void Server::Accept() {
  acceptor_.async_accept(asio::make_strand(executor_),
                         [self = shared_from_this()](boost::system::error_code error, auto socket) {
                           self->OnAccepted(error, std::move(socket));
                         });
}

void Server::OnAccepted(boost::system::error_code error, tcp::socket socket) {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    if (error) return AcceptLater();
    session = Admit(std::move(socket));
    Accept();
  }
  if (session) Run(std::move(session));
}

void Server::AcceptLater() {
  retry_timer_.expires_after(kAcceptRetry);
  retry_timer_.async_wait([self = shared_from_this()](boost::system::error_code) {
    const std::lock_guard lock(self->mutex_);
    if (!self->stopped_) self->Accept();
  });
}

std::shared_ptr<Session> Server::Admit(tcp::socket socket) {
  if (sessions_.size() >= shared_->options.max_sessions) {
    // A new socket has room for one line, and its client has not sent any that a close could reset.
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(Dialog::BusyReply()), ignored);
    return nullptr;
  }
  auto session = std::make_shared<Session>(std::move(socket), shared_);
  sessions_.emplace(session.get(), session);
  return session;
}

// Whatever ends the session, an exception too, ends this session only.
void Server::Run(std::shared_ptr<Session> session) {
  const auto run = [session] { return session->Run(); };
  auto forget = [server = weak_from_this(), session](std::exception_ptr) {
    session->Stop();
    const std::shared_ptr<Server> alive = server.lock();
    if (!alive) return;
    const std::lock_guard lock(alive->mutex_);
    alive->sessions_.erase(session.get());
  };
  asio::co_spawn(session->executor(), run, std::move(forget));
}

void Server::Stop() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(stopped_, true)) return;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  retry_timer_.cancel();
  for (const auto& [id, weak] : sessions_) {
    if (auto session = weak.lock()) session->Stop();
  }
}

}  // namespace sendstep::providers::sandbox
