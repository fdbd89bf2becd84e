// A channel of c-ares on Asio's event loop, without a thread: what CaresResolver and CaresLookup
// share.
//
// Threads: thread-safe. The channel lives on a strand of its own; every call resumes on its
// caller's executor.
// Lifetime: held by shared_ptr, which a call under way shares. The executor's context must outlive
// it. Whoever made it ends it with Stop(). A call that is cancelled, or whose deadline passes,
// disturbs no other; its query ends unheard.
#ifndef SENDSTEP_TRANSPORT_DNS_CARES_CHANNEL_H_
#define SENDSTEP_TRANSPORT_DNS_CARES_CHANNEL_H_

#include <ares.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/base/deadline.h"
#include "transport/dns/cares_options.h"
#include "transport/dns/lookup.h"

namespace sendstep::dns {

class CaresChannel : public std::enable_shared_from_this<CaresChannel> {
 public:
  // What a call ended with.
  struct Reply {
    // ARES_*; ARES_ETIMEOUT also where the deadline passed, ARES_ECANCELLED where the caller was
    // cancelled or the channel stopped, ARES_EBADSTR where its servers cannot be read.
    int status = ARES_SUCCESS;
    std::vector<boost::asio::ip::address> addresses;  // of Addresses()
    std::string message;                              // of Ask(): the message, if one came
  };

  // `flags`: ARES_FLAG_*. With ARES_FLAG_EDNS messages over UDP may have 1,232 bytes, which no path
  // cuts to pieces.
  CaresChannel(const boost::asio::any_io_executor& executor, const CaresOptions& options,
               int flags);
  // Without Stop() only when the context itself is being destroyed: nobody waits any more.
  ~CaresChannel();

  // Fails what is pending and closes everything, soon.
  void Stop();

  // As getaddrinfo(): /etc/hosts, resolv.conf with its search domains, localhost; the order of RFC
  // 6724.
  boost::asio::awaitable<Reply> Addresses(std::string host, base::Deadline deadline);

  // One question, about `name` and nothing but it. A message with another id, from another server
  // or to another question is not taken.
  boost::asio::awaitable<Reply> Ask(std::string name, RecordType type, base::Deadline deadline);

  // How many servers it has; why it has none.
  size_t servers() const { return servers_; }
  const std::string& problem() const { return problem_; }

 private:
  using Strand = boost::asio::strand<boost::asio::any_io_executor>;

  // One call that waits. `done` is its deadline and its wake-up call in one.
  struct Waiter {
    explicit Waiter(const Strand& strand) : done(strand) {}
    boost::asio::steady_timer done;
    bool has_reply = false;
    Reply reply;
  };

  // A socket of c-ares, which opens and closes it; Asio only watches.
  struct Socket {
    explicit Socket(const Strand& strand) : descriptor(strand) {}
    ~Socket() {
      if (descriptor.is_open()) descriptor.release();
    }
    boost::asio::posix::stream_descriptor descriptor;
    bool want_read = false, want_write = false;
    bool reading = false, writing = false;
  };

  // Hands a query to c-ares, whose callback gets `waiter`: a new std::shared_ptr<Waiter>.
  using Start = std::function<void(ares_channel channel, void* waiter)>;

  int Init(const CaresOptions& options, int flags);
  int SetServers(const std::string& text);
  // From any executor.
  static boost::asio::awaitable<Reply> Call(std::shared_ptr<CaresChannel> self, Start start,
                                            base::Deadline deadline);
  // Everything below runs on `strand_`.
  static boost::asio::awaitable<Reply> Wait(std::shared_ptr<CaresChannel> self, Start start,
                                            base::Deadline deadline);
  static void OnSocketState(void* self, ares_socket_t fd, int readable, int writable);
  static void OnAddresses(void* waiter, int status, int timeouts, ares_addrinfo* info);
  static void OnMessage(void* waiter, int status, int timeouts, unsigned char* message, int size);
  static void Finish(Waiter& waiter, int status);
  void Watch(ares_socket_t fd, const std::shared_ptr<Socket>& socket);
  void Process(ares_socket_t read_fd, ares_socket_t write_fd);
  void ArmTimer();
  void Close();

  Strand strand_;
  boost::asio::steady_timer timer_;
  std::map<ares_socket_t, std::shared_ptr<Socket>> sockets_;
  ares_channel channel_ = nullptr;
  int status_ = ARES_SUCCESS;
  size_t servers_ = 0;
  std::string problem_;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_CARES_CHANNEL_H_
