#include "transport/net/send_queue.h"

#include <algorithm>
#include <cmath>

namespace sendstep::net {
namespace {

// Tickets of those who go first are by this much lower.
constexpr SendQueue::Ticket kAhead = SendQueue::Ticket{1} << 62;

using std::chrono::duration;
using std::chrono::duration_cast;

SendQueue::Time::duration Interval(double mails_per_second) {
  return duration_cast<SendQueue::Time::duration>(duration<double>(1 / mails_per_second));
}

}  // namespace

// A second's worth may go at once.
SendQueue::Time SendQueue::RateAllows(Time now) const {
  if (limits_.max_mails_per_second <= 0) return now;
  const double burst = std::max(1.0, std::floor(limits_.max_mails_per_second));
  return rate_next_ -
         duration_cast<Time::duration>(Interval(limits_.max_mails_per_second) * (burst - 1));
}

void SendQueue::CountSend(Time now) {
  if (limits_.max_mails_per_second <= 0) return;
  rate_next_ = std::max(rate_next_, now) + Interval(limits_.max_mails_per_second);
}

// Nothing came of it.
void SendQueue::UncountSend() {
  if (limits_.max_mails_per_second <= 0) return;
  rate_next_ -= Interval(limits_.max_mails_per_second);
}

SendQueue::Time SendQueue::Expected(Time now, bool first) const {
  const Time begin = std::max(now, paused_until_);
  if (limits_.max_mails_per_second <= 0) return begin;
  const int64_t count = first ? std::distance(waiting_.begin(), waiting_.lower_bound(0))
                              : static_cast<int64_t>(waiting_.size());
  // As if the others went at `begin`: the burst they leave is the same.
  const Time::duration later = count == 0 ? Time::duration(0)
                                          : std::max(rate_next_, begin) - rate_next_ +
                                                Interval(limits_.max_mails_per_second) * count;
  return std::max(begin, RateAllows(now) + later);
}

SendQueue::Ticket SendQueue::Enter(bool fresh, bool first) {
  const Ticket ticket = ++last_ticket_ - (first ? kAhead : 0);
  waiting_.emplace(ticket, fresh);
  return ticket;
}

int SendQueue::MaxConnections(Time now) const {
  const bool learned = now < learned_until_;
  return std::max(1, learned ? std::min(learned_connections_, limits_.max_connections)
                             : limits_.max_connections);
}

int SendQueue::MaxInUse(Time now) const {
  const int most = MaxConnections(now);
  return window_ ? std::min(most, std::max(1, static_cast<int>(*window_))) : most;
}

bool SendQueue::MayUse(Time now) const {
  return now >= paused_until_ && now >= RateAllows(now) && busy_ + connecting_ < MaxInUse(now);
}

bool SendQueue::MayConnect(Time now) const {
  return connecting_ < may_connect_ || now >= last_connect_ + kPatience;
}

std::optional<SendQueue::Turn> SendQueue::Next(Time now) {
  if (waiting_.empty() || !MayUse(now)) return std::nullopt;
  auto first = waiting_.begin();
  // Nobody passes one for whom MakeRoom closes another: those behind would take each idle
  // connection before it does.
  const bool full = Open() - closing_ >= MaxConnections(now);
  if (first->second && full && MayConnect(now)) return std::nullopt;
  if (!MayConnect(now) || Open() >= MaxConnections(now)) {
    // One that needs no new connection, where there is an idle one.
    first = idle_.empty() ? waiting_.end()
                          : std::find_if(waiting_.begin(), waiting_.end(),
                                         [](const auto& entry) { return !entry.second; });
    if (first == waiting_.end()) return std::nullopt;
  }
  Turn turn;
  turn.ticket = first->first;
  if (!first->second && !idle_.empty()) {
    turn.reuse = idle_.back();
    idle_.pop_back();
    ++busy_;
  } else {
    turn.beside_others = Open() > connecting_;
    ++connecting_;
    last_connect_ = now;
  }
  waiting_.erase(first);
  CountSend(now);
  return turn;
}

std::optional<uint64_t> SendQueue::MakeRoom(Time now) {
  // Who waits now with an idle connection there waits for a new one.
  if (waiting_.empty() || idle_.empty() || !MayUse(now)) return std::nullopt;
  if (!MayConnect(now) || Open() - closing_ < MaxConnections(now)) return std::nullopt;
  const uint64_t id = idle_.front().id;
  idle_.erase(idle_.begin());
  ++closing_;
  return id;
}

std::optional<SendQueue::Time> SendQueue::Wake(Time now) const {
  if (waiting_.empty()) return std::nullopt;
  const Time at = std::max(paused_until_, RateAllows(now));
  if (at > now) return at;
  std::optional<Time> wake;
  if (!MayConnect(now)) wake = last_connect_ + kPatience;
  // Nobody else would say that the lesson is forgotten.
  if (now < learned_until_) wake = wake ? std::min(*wake, learned_until_) : learned_until_;
  return wake;
}

std::vector<SendQueue::Ticket> SendQueue::GiveUp() {
  std::vector<Ticket> tickets;
  if (Open() > 0) return tickets;
  for (const auto& [ticket, fresh] : waiting_) tickets.push_back(ticket);
  waiting_.clear();
  return tickets;
}

void SendQueue::Opened() {
  --connecting_;
  ++busy_;
  may_connect_ = std::min(may_connect_ * 2, 1 << 20);
}

bool SendQueue::OpenFailed(Time now, OpenFailure failure, bool beside_others) {
  --connecting_;
  if (failure == OpenFailure::kGivenUp) {
    UncountSend();
    return false;
  }
  may_connect_ = 1;
  const int others = busy_ + idle() + closing_;
  if (failure != OpenFailure::kTurnedAway || (others == 0 && !beside_others)) return false;
  UncountSend();
  learned_connections_ = others;  // or one, always
  learned_until_ = now + kLearnedFor;
  return true;
}

bool SendQueue::TooOld(const Connection& connection, Time now) const {
  return now - connection.used >= limits_.max_idle || now - connection.opened >= limits_.max_age;
}

SendQueue::Fate SendQueue::Release(Time now, const Connection& connection, bool usable) {
  --busy_;
  int most = std::max(1, limits_.max_mails_per_connection);
  if (connection.max_mails > 0) most = std::min(most, connection.max_mails);
  // One that is opening may be turned away, for the sake of this one.
  const bool room = busy_ + idle() < MaxConnections(now);
  const Fate fate = !usable                    ? Fate::kUnusable
                    : connection.mails >= most ? Fate::kMails
                    : TooOld(connection, now)  ? Fate::kAge
                    : !room                    ? Fate::kNoRoom
                                               : Fate::kIdle;
  if (fate == Fate::kIdle) {
    idle_.push_back(connection);
  } else {
    ++closing_;
  }
  return fate;
}

void SendQueue::FoundDead() {
  --busy_;
  ++closing_;
  UncountSend();
}

std::vector<uint64_t> SendQueue::Expire(Time now) {
  std::vector<uint64_t> expired;
  std::erase_if(idle_, [&](const Connection& connection) {
    if (!TooOld(connection, now)) return false;
    expired.push_back(connection.id);
    return true;
  });
  closing_ += static_cast<int>(expired.size());
  return expired;
}

std::optional<SendQueue::Time> SendQueue::Expiry() const {
  std::optional<Time> first;
  for (const Connection& connection : idle_) {
    const Time at =
        std::min(connection.used + limits_.max_idle, connection.opened + limits_.max_age);
    if (!first || at < *first) first = at;
  }
  return first;
}

std::vector<uint64_t> SendQueue::CloseIdle() {
  std::vector<uint64_t> ids;
  for (const Connection& connection : idle_) ids.push_back(connection.id);
  closing_ += idle();
  idle_.clear();
  return ids;
}

void SendQueue::Tighten(const smtp::SendingLimits& limits) {
  const auto tighten = [](auto& one, const auto& other) { one = std::min(one, other); };
  tighten(limits_.max_connections, limits.max_connections);
  tighten(limits_.max_mails_per_connection, limits.max_mails_per_connection);
  tighten(limits_.max_idle, limits.max_idle);
  tighten(limits_.max_age, limits.max_age);
  double& rate = limits_.max_mails_per_second;
  if (limits.max_mails_per_second > 0) {
    rate = rate > 0 ? std::min(rate, limits.max_mails_per_second) : limits.max_mails_per_second;
  }
}

bool SendQueue::Forgettable(Time now) const {
  const Time slow_until = window_ ? paused_until_ + kLongestPause : paused_until_;
  return waiting_.empty() && Open() == 0 &&
         now >= std::max({slow_until, learned_until_, rate_next_});
}

void SendQueue::SlowDown(Time now) {
  if (now < paused_until_) return;  // one of several that were on their way
  const double in_use = std::max(1, busy_ + connecting_);
  window_ = std::max(1.0, std::min(window_.value_or(in_use), in_use) / 2);
  paused_until_ = now + next_pause_;
  next_pause_ = std::min<std::chrono::nanoseconds>(next_pause_ * 2, kLongestPause);
}

void SendQueue::SpeedUp() {
  if (!window_) return;
  *window_ += 1 / *window_;
  next_pause_ = std::max<std::chrono::nanoseconds>(next_pause_ / 2, kFirstPause);
  if (*window_ >= limits_.max_connections) {
    window_.reset();
    next_pause_ = kFirstPause;
  }
}

}  // namespace sendstep::net
