// Who may send next over one account's connections: a queue in order of arrival, the connections'
// count, and how fast the account may be used. Pure: it is told the time and what happened, and
// says what to do; nothing is done here.
//
// Limits: connections and rate as the settings say. A server that refuses a further connection
// while others are open has shown its own limit, which then holds for kLearnedFor. A server that
// asks to slow down (SlowDown) halves the connections in use and pauses the account, from 1 s on,
// twice as long each time up to a minute; each message it takes then allows a part of a connection
// more. New connections begin one at a time and twice as many after each that succeeds, so that
// neither a wrong password nor a server coming back meets a crowd; one that takes longer than
// kPatience keeps nobody else from trying. A connection counts until the
// server has been told goodbye (Closed): a new one in its place may else be one too many.
//
// Threads: not thread-safe.
#ifndef SENDSTEP_TRANSPORT_NET_SEND_QUEUE_H_
#define SENDSTEP_TRANSPORT_NET_SEND_QUEUE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "transport/base/deadline.h"
#include "transport/smtp/settings.h"

namespace sendstep::net {

class SendQueue {
 public:
  using Time = base::Clock::time_point;
  using Ticket = int64_t;

  static constexpr std::chrono::seconds kLearnedFor{30};
  static constexpr std::chrono::seconds kPatience{2};
  static constexpr std::chrono::seconds kFirstPause{1};
  static constexpr std::chrono::seconds kLongestPause{60};

  // A connection that can be used again.
  struct Connection {
    uint64_t id = 0;
    Time opened;
    Time used;
    int mails = 0;      // sent over it
    int max_mails = 0;  // the server's own limit (RFC 9422 MAILMAX); 0: none
  };

  enum class OpenFailure {
    kTurnedAway,  // as a server does with what is too much: 421, a refused or dropped connection
    kOther,
    kGivenUp,  // by the send; it says nothing of the server
  };

  // What becomes of a connection after a message.
  enum class Fate {
    kIdle,      // kept
    kUnusable,  // the rest: to be closed
    kMails,
    kAge,
    kNoRoom,
  };

  // What a send may do.
  struct Turn {
    Ticket ticket = 0;
    std::optional<Connection> reuse;  // unset: open a connection
    bool beside_others = false;       // that are open while this one opens
  };

  explicit SendQueue(const smtp::SendingLimits& limits) : limits_(limits) {}
  // Others use the account too: the tighter of each two limits holds from now on.
  void Tighten(const smtp::SendingLimits& limits);
  const smtp::SendingLimits& limits() const { return limits_; }

  // The earliest moment at which one more send could go, as far as rate and pause tell. `first`: as
  // in Enter.
  Time Expected(Time now, bool first = false) const;

  // A send waits from now on. `fresh`: for a connection that nobody used before; `first`: before
  // all that are not.
  Ticket Enter(bool fresh, bool first = false);
  // It waits no longer. Nothing where it had its turn.
  void Leave(Ticket ticket) { waiting_.erase(ticket); }
  // The next that has its turn, which it must use: by Opened, OpenFailed or Release. To be asked
  // again until there is none, after each call that changes anything and at Wake(), and after
  // Expire().
  std::optional<Turn> Next(Time now);
  // An idle connection, to be closed for who waits for a new one. To be asked after Next(), until
  // there is none.
  std::optional<uint64_t> MakeRoom(Time now);
  // When time alone gives somebody his turn; unset where it does not.
  std::optional<Time> Wake(Time now) const;
  // Everybody leaves, where opening failed and no other connection is left to wait for: none is in
  // use, idle, opening or being closed.
  std::vector<Ticket> GiveUp();

  // The connection that a turn was to open is open, and in use.
  void Opened();
  // It is not. True: others are open, or were when it began (`beside_others`), so the send should
  // wait for another turn.
  bool OpenFailed(Time now, OpenFailure failure, bool beside_others);
  // It is not used any more. `usable`: another message could go over it.
  Fate Release(Time now, const Connection& connection, bool usable);
  // The connection of a turn was closed by the server before; nothing was sent.
  void FoundDead();
  // Idle connections that have become too old, to be closed.
  std::vector<uint64_t> Expire(Time now);
  // When the next does.
  std::optional<Time> Expiry() const;
  // All idle connections, to be closed.
  std::vector<uint64_t> CloseIdle();
  // One that was to be closed is: once for each of Release, FoundDead, Expire, CloseIdle and
  // MakeRoom.
  void Closed() { --closing_; }

  // The server asked for it.
  void SlowDown(Time now);
  // It took a message.
  void SpeedUp();

  int waiting() const { return static_cast<int>(waiting_.size()); }
  int connecting() const { return connecting_; }
  int busy() const { return busy_; }
  int idle() const { return static_cast<int>(idle_.size()); }
  // Little would be lost with it: nobody waits, nothing is open, rate and lesson are past, and so
  // is the pause, for a minute where the account is slowed down.
  bool Forgettable(Time now) const;

 private:
  int Open() const { return busy_ + connecting_ + idle() + closing_; }
  int MaxConnections(Time now) const;
  int MaxInUse(Time now) const;
  Time RateAllows(Time now) const;
  void CountSend(Time now);
  void UncountSend();
  // One more may be in use, as far as rate, pause and limits tell.
  bool MayUse(Time now) const;
  bool MayConnect(Time now) const;
  bool TooOld(const Connection& connection, Time now) const;

  smtp::SendingLimits limits_;
  std::map<Ticket, bool> waiting_;  // fresh?
  Ticket last_ticket_ = 0;          // but for kAhead
  std::vector<Connection> idle_;    // the last used at the end
  int connecting_ = 0;
  int busy_ = 0;
  int closing_ = 0;
  int may_connect_ = 1;  // at once
  Time last_connect_{};

  int learned_connections_ = 0;
  Time learned_until_{};
  std::optional<double> window_;  // connections in use, while slowed down
  Time paused_until_{};
  std::chrono::nanoseconds next_pause_ = kFirstPause;
  Time rate_next_{};  // when the next may be sent, were there no burst
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_SEND_QUEUE_H_
