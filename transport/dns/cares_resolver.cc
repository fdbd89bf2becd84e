#include "transport/dns/cares_resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/time.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using base::Cause;
using base::ErrorClass;
using Addresses = std::vector<address>;
using boost::system::error_code;

base::Error DnsError(Cause cause, ErrorClass error_class, std::string detail) {
  return base::Failed(base::Stage::kDns, cause, error_class, std::move(detail));
}

base::Error Cancelled() {
  return DnsError(Cause::kCancelled, ErrorClass::kTransient, "the lookup was cancelled");
}

base::Error TimedOut(const std::string& host) {
  return DnsError(Cause::kTimeout, ErrorClass::kTransient,
                  "no DNS answer for " + host + " in time");
}

base::Error FromStatus(int status, const std::string& host) {
  switch (status) {
    case ARES_ENOTFOUND:
      return DnsError(Cause::kHostNotFound, ErrorClass::kPermanent, "no such host: " + host);
    case ARES_ENODATA:
      return DnsError(Cause::kHostNotFound, ErrorClass::kPermanent,
                      host + " exists but has no address");
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
      return DnsError(Cause::kHostNotFound, ErrorClass::kPermanent, "not a host name: " + host);
    case ARES_ETIMEOUT:
      return TimedOut(host);
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return Cancelled();
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
      return DnsError(Cause::kDnsFailed, ErrorClass::kTransient,
                      "the DNS servers gave no usable answer for " + host);
    default:
      return DnsError(Cause::kDnsFailed, ErrorClass::kTransient,
                      std::string("DNS lookup of ") + host + " failed: " + ares_strerror(status));
  }
}

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

Addresses ToAddresses(const ares_addrinfo* info) {
  Addresses addresses;
  for (const ares_addrinfo_node* node = info ? info->nodes : nullptr; node; node = node->ai_next) {
    if (std::optional<address> found = ToAddress(node->ai_addr)) addresses.push_back(*found);
  }
  return addresses;
}

// An IP address, with or without brackets.
std::optional<address> ParseLiteral(std::string text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  error_code ec;
  address parsed = asio::ip::make_address(text, ec);
  if (ec) return std::nullopt;
  return parsed;
}

int InitLibrary() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  return status;
}

}  // namespace

// The c-ares channel with its sockets and its timer. Everything but the constructor and the
// destructor runs on `strand_`.
class CaresResolver::Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(const asio::any_io_executor& executor, const CaresOptions& options)
      : strand_(asio::make_strand(executor)), timer_(strand_) {
    status_ = InitLibrary();
    if (status_ == ARES_SUCCESS) status_ = Init(options);
  }

  // Without Stop() only when the context itself is being destroyed: nobody waits any more.
  ~Channel() {
    if (channel_) ares_destroy(channel_);
  }

  const asio::strand<asio::any_io_executor>& strand() const { return strand_; }

  // A coroutine of `strand_`; keeps the channel alive.
  static asio::awaitable<base::Result<Addresses>> Lookup(std::shared_ptr<Channel> self,
                                                         std::string host, base::Deadline deadline);

  // Fails what is pending and closes everything.
  void Stop() {
    if (!channel_) return;
    ares_cancel(channel_);
    ares_destroy(std::exchange(channel_, nullptr));
    timer_.cancel();
    status_ = ARES_EDESTRUCTION;
  }

 private:
  // One Lookup() that waits. `done` is its deadline and its wake-up call in one.
  struct Waiter {
    explicit Waiter(const asio::strand<asio::any_io_executor>& strand) : done(strand) {}
    asio::steady_timer done;
    std::optional<int> status;
    Addresses addresses;
  };

  // A socket of c-ares, which opens and closes it; Asio only watches.
  struct Socket {
    explicit Socket(const asio::strand<asio::any_io_executor>& strand) : descriptor(strand) {}
    ~Socket() {
      if (descriptor.is_open()) descriptor.release();
    }
    asio::posix::stream_descriptor descriptor;
    bool want_read = false, want_write = false;
    bool reading = false, writing = false;
  };

  int Init(const CaresOptions& options);
  static void OnSocketState(void* self, ares_socket_t fd, int readable, int writable);
  static void OnAddresses(void* waiter, int status, int timeouts, ares_addrinfo* info);
  void Watch(ares_socket_t fd, const std::shared_ptr<Socket>& socket);
  void Process(ares_socket_t read_fd, ares_socket_t write_fd);
  void ArmTimer();

  asio::strand<asio::any_io_executor> strand_;
  asio::steady_timer timer_;
  std::map<ares_socket_t, std::shared_ptr<Socket>> sockets_;
  ares_channel channel_ = nullptr;
  int status_ = ARES_SUCCESS;
};

int CaresResolver::Channel::Init(const CaresOptions& options) {
  ares_options raw{};
  raw.timeout = static_cast<int>(options.timeout.count());
  raw.tries = options.tries;
  raw.sock_state_cb = OnSocketState;
  raw.sock_state_cb_data = this;
  int status = ares_init_options(&channel_, &raw,
                                 ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS && !options.servers.empty()) {
    status = ares_set_servers_ports_csv(channel_, options.servers.c_str());
  }
  return status;
}

asio::awaitable<base::Result<Addresses>> CaresResolver::Channel::Lookup(
    std::shared_ptr<Channel> self, std::string host, base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (self->status_ != ARES_SUCCESS) co_return FromStatus(self->status_, host);

  auto waiter = std::make_shared<Waiter>(self->strand_);
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  ares_getaddrinfo(self->channel_, host.c_str(), nullptr, &hints, OnAddresses,
                   new std::shared_ptr<Waiter>(waiter));
  self->ArmTimer();
  if (!waiter->status) {
    waiter->done.expires_at(deadline.at);
    co_await waiter->done.async_wait(asio::as_tuple(asio::use_awaitable));
  }

  if (!waiter->status) {
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return Cancelled();
    co_return TimedOut(host);
  }
  if (*waiter->status != ARES_SUCCESS) co_return FromStatus(*waiter->status, host);
  if (waiter->addresses.empty()) co_return FromStatus(ARES_ENODATA, host);
  co_return std::move(waiter->addresses);
}

void CaresResolver::Channel::OnAddresses(void* waiter, int status, int /*timeouts*/,
                                         ares_addrinfo* info) {
  std::unique_ptr<std::shared_ptr<Waiter>> owned(static_cast<std::shared_ptr<Waiter>*>(waiter));
  (*owned)->status = status;
  (*owned)->addresses = ToAddresses(info);
  ares_freeaddrinfo(info);
  if (status != ARES_EDESTRUCTION) (*owned)->done.cancel();
}

void CaresResolver::Channel::OnSocketState(void* self, ares_socket_t fd, int readable,
                                           int writable) {
  auto& channel = *static_cast<Channel*>(self);
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

void CaresResolver::Channel::Watch(ares_socket_t fd, const std::shared_ptr<Socket>& socket) {
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

void CaresResolver::Channel::Process(ares_socket_t read_fd, ares_socket_t write_fd) {
  if (!channel_) return;
  ares_process_fd(channel_, read_fd, write_fd);
  ArmTimer();
}

// Wakes c-ares when its next query times out.
void CaresResolver::Channel::ArmTimer() {
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

CaresResolver::CaresResolver(const asio::any_io_executor& executor, const CaresOptions& options)
    : channel_(std::make_shared<Channel>(executor, options)) {}

CaresResolver::~CaresResolver() {
  asio::post(channel_->strand(), [channel = channel_] { channel->Stop(); });
}

asio::awaitable<base::Result<Addresses>> CaresResolver::Resolve(const std::string& host,
                                                                base::Deadline deadline) {
  if (std::optional<address> literal = ParseLiteral(host)) co_return Addresses{*literal};
  co_await asio::this_coro::throw_if_cancelled(false);
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) co_return Cancelled();
  // From here on `this` may go away.
  const asio::strand<asio::any_io_executor> strand = channel_->strand();
  asio::awaitable<base::Result<Addresses>> lookup = Channel::Lookup(channel_, host, deadline);
  // Asio 1.26 (Boost 1.81) hands a cancel to the other executor by a pointer into the caller's
  // slot, which the lookup's end frees. So the cancel goes through a signal that whoever delivers
  // it owns.
  const auto cancel = std::make_shared<asio::cancellation_signal>();
  if (asio::cancellation_slot slot = state.slot(); slot.is_connected()) {
    slot.assign([cancel, strand](asio::cancellation_type type) {
      asio::post(strand, [cancel, type] { cancel->emit(type); });
    });
  }
  auto token = asio::bind_cancellation_slot(cancel->slot(), asio::use_awaitable);
  try {
    co_return co_await asio::co_spawn(strand, std::move(lookup), token);
  } catch (const boost::system::system_error&) {
    co_return Cancelled();  // before the lookup could begin
  }
}

}  // namespace sendstep::dns
