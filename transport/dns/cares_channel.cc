#include "transport/dns/cares_channel.h"

#include <netinet/in.h>
#include <sys/time.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <utility>

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using boost::system::error_code;

// What a message over UDP may have without being cut to pieces on any path.
constexpr int kUdpSize = 1232;

std::optional<address> ToAddress(const sockaddr* from) {
  if (from->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, from, sizeof v4);
    return asio::ip::address_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (from->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, from, sizeof v6);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), v6.sin6_addr.s6_addr, bytes.size());
    return asio::ip::address_v6(bytes, v6.sin6_scope_id);
  }
  return std::nullopt;
}

std::vector<address> ToAddresses(const ares_addrinfo* info) {
  std::vector<address> addresses;
  for (const ares_addrinfo_node* node = info ? info->nodes : nullptr; node; node = node->ai_next) {
    if (std::optional<address> found = ToAddress(node->ai_addr)) addresses.push_back(*found);
  }
  return addresses;
}

int InitLibrary() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  return status;
}

}  // namespace

CaresChannel::CaresChannel(const asio::any_io_executor& executor, const CaresOptions& options,
                           int flags)
    : strand_(asio::make_strand(executor)), timer_(strand_) {
  status_ = InitLibrary();
  if (status_ == ARES_SUCCESS) status_ = Init(options, flags);
  if (status_ != ARES_SUCCESS && problem_.empty()) {
    problem_ = std::string("DNS cannot be set up: ") + ares_strerror(status_);
  }
}

CaresChannel::~CaresChannel() {
  if (channel_) ares_destroy(channel_);
}

int CaresChannel::Init(const CaresOptions& options, int flags) {
  ares_options raw{};
  raw.flags = flags;
  raw.timeout = static_cast<int>(options.timeout.count());
  raw.tries = options.tries;
  raw.ednspsz = kUdpSize;
  raw.sock_state_cb = OnSocketState;
  raw.sock_state_cb_data = this;
  int status = ares_init_options(&channel_, &raw,
                                 ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                     ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS && !options.servers.empty()) status = SetServers(options.servers);
  if (status != ARES_SUCCESS) return status;
  ares_addr_node* servers = nullptr;
  if (ares_get_servers(channel_, &servers) != ARES_SUCCESS) return ARES_ENOMEM;
  for (const ares_addr_node* one = servers; one; one = one->next) ++servers_;
  ares_free_data(servers);
  return ARES_SUCCESS;
}

int CaresChannel::SetServers(const std::string& text) {
  const DnsServers parsed = ParseServers(text);
  problem_ = parsed.problem;
  if (!problem_.empty()) return ARES_EBADSTR;
  std::vector<ares_addr_port_node> nodes(parsed.servers.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const DnsServer& server = parsed.servers[i];
    ares_addr_port_node& node = nodes[i];
    node.next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
    node.udp_port = node.tcp_port = server.port;
    node.family = server.address.is_v4() ? AF_INET : AF_INET6;
    if (server.address.is_v4()) {
      const auto bytes = server.address.to_v4().to_bytes();
      std::memcpy(&node.addr.addr4, bytes.data(), bytes.size());
    } else {
      const auto bytes = server.address.to_v6().to_bytes();
      std::memcpy(&node.addr.addr6, bytes.data(), bytes.size());
    }
  }
  return ares_set_servers_ports(channel_, nodes.data());
}

void CaresChannel::Stop() {
  asio::post(strand_, [self = shared_from_this()] { self->Close(); });
}

void CaresChannel::Close() {
  if (!channel_) return;
  ares_cancel(channel_);
  ares_destroy(std::exchange(channel_, nullptr));
  timer_.cancel();
  status_ = ARES_EDESTRUCTION;
}

asio::awaitable<CaresChannel::Reply> CaresChannel::Addresses(std::string host,
                                                             base::Deadline deadline) {
  Start start = [host = std::move(host)](ares_channel channel, void* waiter) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel, host.c_str(), nullptr, &hints, OnAddresses, waiter);
  };
  return Call(shared_from_this(), std::move(start), deadline);
}

asio::awaitable<CaresChannel::Reply> CaresChannel::Ask(std::string name, RecordType type,
                                                       base::Deadline deadline) {
  Start start = [name = std::move(name), type](ares_channel channel, void* waiter) {
    constexpr int kClassIn = 1;
    ares_query(channel, name.c_str(), kClassIn, static_cast<int>(type), OnMessage, waiter);
  };
  return Call(shared_from_this(), std::move(start), deadline);
}

asio::awaitable<CaresChannel::Reply> CaresChannel::Call(std::shared_ptr<CaresChannel> self,
                                                        Start start, base::Deadline deadline) {
  Reply cancelled;
  cancelled.status = ARES_ECANCELLED;
  co_await asio::this_coro::throw_if_cancelled(false);
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return cancelled;
  const Strand strand = self->strand_;
  asio::awaitable<Reply> wait = Wait(std::move(self), std::move(start), deadline);
  // Asio 1.26 (Boost 1.81) hands a cancel to the other executor by a pointer into the caller's
  // slot, which the call's end frees. So the cancel goes through a signal that whoever delivers it
  // owns.
  const auto cancel = std::make_shared<asio::cancellation_signal>();
  if (asio::cancellation_slot slot = state.slot(); slot.is_connected()) {
    slot.assign([cancel, strand](asio::cancellation_type type) {
      asio::post(strand, [cancel, type] { cancel->emit(type); });
    });
  }
  auto token = asio::bind_cancellation_slot(cancel->slot(), asio::use_awaitable);
  try {
    co_return co_await asio::co_spawn(strand, std::move(wait), token);
  } catch (const boost::system::system_error&) {
    co_return cancelled;  // before the call could begin
  }
}

asio::awaitable<CaresChannel::Reply> CaresChannel::Wait(std::shared_ptr<CaresChannel> self,
                                                        Start start, base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  auto waiter = std::make_shared<Waiter>(self->strand_);
  Reply& reply = waiter->reply;
  reply.status = self->status_;
  if (reply.status != ARES_SUCCESS) co_return std::move(reply);

  start(self->channel_, new std::shared_ptr<Waiter>(waiter));
  self->ArmTimer();
  if (!waiter->has_reply) {
    waiter->done.expires_at(deadline.at);
    co_await waiter->done.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (!waiter->has_reply) {
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    const bool cancelled = state.cancelled() != asio::cancellation_type::none;
    reply.status = cancelled ? ARES_ECANCELLED : ARES_ETIMEOUT;
  }
  co_return std::move(reply);
}

void CaresChannel::OnAddresses(void* waiter, int status, int /*timeouts*/, ares_addrinfo* info) {
  std::unique_ptr<std::shared_ptr<Waiter>> owned(static_cast<std::shared_ptr<Waiter>*>(waiter));
  (*owned)->reply.addresses = ToAddresses(info);
  ares_freeaddrinfo(info);
  Finish(**owned, status);
}

void CaresChannel::OnMessage(void* waiter, int status, int /*timeouts*/, unsigned char* message,
                             int size) {
  std::unique_ptr<std::shared_ptr<Waiter>> owned(static_cast<std::shared_ptr<Waiter>*>(waiter));
  if (message) (*owned)->reply.message.assign(reinterpret_cast<char*>(message), size);
  Finish(**owned, status);
}

void CaresChannel::Finish(Waiter& waiter, int status) {
  waiter.has_reply = true;
  waiter.reply.status = status;
  if (status != ARES_EDESTRUCTION) waiter.done.cancel();
}

void CaresChannel::OnSocketState(void* self, ares_socket_t fd, int readable, int writable) {
  auto& channel = *static_cast<CaresChannel*>(self);
  if (!readable && !writable) {
    auto found = channel.sockets_.find(fd);
    if (found == channel.sockets_.end()) return;
    found->second->want_read = found->second->want_write = false;
    if (found->second->descriptor.is_open()) found->second->descriptor.release();
    channel.sockets_.erase(found);
    return;
  }
  std::shared_ptr<Socket>& socket = channel.sockets_[fd];
  if (!socket) socket = std::make_shared<Socket>(channel.strand_);
  if (!socket->descriptor.is_open()) {
    // Nothing may be thrown through c-ares. A socket that cannot be watched ends in its timeout.
    error_code failed;
    socket->descriptor.assign(fd, failed);
    if (failed) return;
  }
  socket->want_read = readable;
  socket->want_write = writable;
  channel.Watch(fd, socket);
}

void CaresChannel::Watch(ares_socket_t fd, const std::shared_ptr<Socket>& socket) {
  using Descriptor = asio::posix::stream_descriptor;
  if (socket->want_read && !socket->reading) {
    socket->reading = true;
    socket->descriptor.async_wait(Descriptor::wait_read,
                                  [self = shared_from_this(), socket, fd](error_code ec) {
                                    socket->reading = false;
                                    if (ec || !socket->want_read) return;
                                    self->Process(fd, ARES_SOCKET_BAD);
                                    self->Watch(fd, socket);
                                  });
  }
  if (socket->want_write && !socket->writing) {
    socket->writing = true;
    socket->descriptor.async_wait(Descriptor::wait_write,
                                  [self = shared_from_this(), socket, fd](error_code ec) {
                                    socket->writing = false;
                                    if (ec || !socket->want_write) return;
                                    self->Process(ARES_SOCKET_BAD, fd);
                                    self->Watch(fd, socket);
                                  });
  }
}

void CaresChannel::Process(ares_socket_t read_fd, ares_socket_t write_fd) {
  if (!channel_) return;
  ares_process_fd(channel_, read_fd, write_fd);
  ArmTimer();
}

// Wakes c-ares when its next query times out.
void CaresChannel::ArmTimer() {
  timeval wait;
  if (!channel_ || !ares_timeout(channel_, nullptr, &wait)) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec) +
                       std::chrono::milliseconds(1));
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec) self->Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

}  // namespace sendstep::dns
