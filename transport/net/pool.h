// The connections to mail servers, each used by one send after another. Sends that share them have
// all their settings in common but limits and timeouts: tenant, server, TLS, credentials,
// mechanisms, EHLO name; together they are an account (pool_key.h). Of their limits the tightest
// hold; a session keeps the timeouts of the send that opened it. Who uses a connection when is
// decided in send_queue.h.
//
// Threads: thread-safe; a coroutine runs on its caller's strand. Lifetime: `executor`'s context
// outlives the pool, and the pool its leases.
#ifndef SENDSTEP_TRANSPORT_NET_POOL_H_
#define SENDSTEP_TRANSPORT_NET_POOL_H_

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "transport/base/deadline.h"
#include "transport/base/error.h"
#include "transport/base/result.h"
#include "transport/net/connection.h"
#include "transport/net/tls_sessions.h"
#include "transport/smtp/flights.h"
#include "transport/smtp/settings.h"

namespace sendstep::net {

// Why a connection ended: idle, age, mails for a limit of its account; dead by the server, while
// idle; broken by a send; stop with the pool; evicted to make room.
enum class ConnectionEnd { kIdle, kAge, kMails, kDead, kBroken, kStop, kEvicted };
inline constexpr std::array<std::string_view, 7> kConnectionEnds = {
    "idle", "age", "mails", "dead", "broken", "stop", "evicted"};

// Of all accounts together. What is counted counts from the start on.
struct PoolStats {
  int connecting = 0;
  int busy = 0;
  int idle = 0;
  int waiting = 0;  // sends
  int accounts = 0;
  uint64_t opened = 0;
  uint64_t reused = 0;
  std::array<uint64_t, kConnectionEnds.size()> ended = {};
  uint64_t tls_resumed = 0;
  uint64_t held_back = 0;  // sends refused with Cause::kHeldBack
  uint64_t slowed_down = 0;
};

class Pool {
 private:
  struct State;
  struct Account;

 public:
  static constexpr size_t kMaxIdle = 1024;  // connections, of all accounts
  // Beyond this many, of those not used for long some are forgotten (SendQueue::Forgettable).
  static constexpr size_t kMaxAccounts = 4096;

  // The right to use one connection: given back by one of the pool's calls that take it. Where an
  // exception keeps it from that, its connection is closed.
  struct Lease {
    Lease() = default;
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    // To be used again, on the strand of the caller; null: the caller has to open one.
    std::unique_ptr<Connection> connection;
    // Whether sends used it before.
    bool reused = false;
    // Others were open when the turn to open one came, so that a server may leave this one
    // unanswered: how long it may take to greet. Several times what the last one took.
    std::optional<std::chrono::seconds> patience;
    // For opening one.
    std::shared_ptr<TlsSessions> tls_sessions;
    // What the account's server offers in vain, as far as is known.
    smtp::Distrust distrust;

   private:
    friend class Pool;
    SendQueue::Time began;  // the turn
    std::shared_ptr<State> state;
    std::shared_ptr<Account> account;
  };

  explicit Pool(boost::asio::any_io_executor executor);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  struct Want {
    // A connection that nobody used before.
    bool fresh = false;
    // Before all who wait.
    bool first = false;
  };

  // Waits for the account's turn until `deadline` at most. Errors, Stage::kTcp: kHeldBack, at once
  // where rate or pause leave no hope; kCancelled; and that of the connection for which it waited,
  // when that can never be opened as it is (a wrong password) and there is no other.
  boost::asio::awaitable<base::Result<Lease>> Enter(const smtp::SmtpSettings& settings, Want want,
                                                    base::Deadline deadline);

  // `connection` is open, and the lease's from now on.
  void Opened(Lease& lease, std::unique_ptr<Connection> connection);
  // It could not be opened. `given_up`: by the caller, so that it says nothing of the server. True:
  // the account has other connections, to be waited for instead.
  bool OpenFailed(Lease lease, const base::Error& error, bool given_up);
  // The connection is not used any more; one that is no longer usable is closed. On the strand of
  // the lease's caller. `error`: how the send ended, unset where the server took the message.
  void Release(Lease lease, const std::optional<base::Error>& error);
  // The connection was closed by the server while it was idle.
  void FoundDead(Lease lease);
  // What the account's server offers in vain.
  void Remember(const Lease& lease, const smtp::Distrust& distrust);

  // Closes what is idle, with QUIT, and from now on what is given back.
  void Close();

  PoolStats stats() const;

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_POOL_H_
