#include "transport/net/send_queue.h"

#include <algorithm>
#include <cmath>

namespace sendstep::net {
namespace {

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

SendQueue::Time SendQueue::Expected(Time now) const {
  Time at = std::max({now, paused_until_, RateAllows(now)});
  if (limits_.max_mails_per_second > 0) {
    at += Interval(limits_.max_mails_per_second) * static_cast<int64_t>(waiting_.size());
  }
  return at;
}

SendQueue::Ticket SendQueue::Enter(bool fresh, bool first) {
  Ticket ticket = ++last_ticket_;
  if (first) ticket = waiting_.empty() ? -ticket : std::min(waiting_.begin()->first - 1, -ticket);
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

std::optional<SendQueue::Turn> SendQueue::Next(Time now) {
  if (waiting_.empty() || now < paused_until_ || now < RateAllows(now)) return std::nullopt;
  if (busy_ + connecting_ >= MaxInUse(now)) return std::nullopt;
  const bool may_connect = connecting_ < may_connect_;
  auto first = waiting_.begin();
  if (!may_connect) {
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
    if (busy_ + connecting_ + idle() >= MaxConnections(now) && !idle_.empty()) {
      turn.close = idle_.front().id;
      idle_.erase(idle_.begin());
    }
    ++connecting_;
  }
  waiting_.erase(first);
  CountSend(now);
  return turn;
}

std::optional<SendQueue::Time> SendQueue::Wake(Time now) const {
  if (waiting_.empty()) return std::nullopt;
  const Time at = std::max(paused_until_, RateAllows(now));
  if (at > now) return at;
  // Nobody else would say that the lesson is forgotten.
  if (now < learned_until_) return learned_until_;
  return std::nullopt;
}

std::vector<SendQueue::Ticket> SendQueue::GiveUp() {
  std::vector<Ticket> tickets;
  if (busy_ + connecting_ + idle() > 0) return tickets;
  for (const auto& [ticket, fresh] : waiting_) tickets.push_back(ticket);
  waiting_.clear();
  return tickets;
}

void SendQueue::Opened() {
  --connecting_;
  ++busy_;
  may_connect_ = std::min(may_connect_ * 2, 1 << 20);
}

bool SendQueue::OpenFailed(Time now, OpenFailure failure) {
  --connecting_;
  if (failure == OpenFailure::kGivenUp) return false;
  may_connect_ = 1;
  const int others = busy_ + idle();
  if (failure != OpenFailure::kTurnedAway || others == 0) return false;
  learned_connections_ = others;
  learned_until_ = now + kLearnedFor;
  return true;
}

bool SendQueue::TooOld(const Connection& connection, Time now) const {
  return now - connection.used >= limits_.max_idle || now - connection.opened >= limits_.max_age;
}

bool SendQueue::Release(Time now, const Connection& connection, bool usable) {
  --busy_;
  int most = std::max(1, limits_.max_mails_per_connection);
  if (connection.max_mails > 0) most = std::min(most, connection.max_mails);
  const bool room = busy_ + connecting_ + idle() < MaxConnections(now);
  if (!usable || !room || connection.mails >= most || TooOld(connection, now)) return false;
  idle_.push_back(connection);
  return true;
}

std::vector<uint64_t> SendQueue::Expire(Time now) {
  std::vector<uint64_t> expired;
  std::erase_if(idle_, [&](const Connection& connection) {
    if (!TooOld(connection, now)) return false;
    expired.push_back(connection.id);
    return true;
  });
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
  idle_.clear();
  return ids;
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
