// The rules of execution.h against a world in which everything that can happen does: owners that
// crash, start again under another name, lose track, pause and wake at any step, servers that take,
// refuse or fall silent, callers that repeat and change the email, a clock that runs. Every state
// that can be reached within the bounds is visited, and what the ledger says is compared with what
// was delivered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "plugin/ledger/execution.h"

namespace sendstep::ledger {
namespace {

using std::chrono::milliseconds;

constexpr size_t kRecipients = 2;
constexpr int kMaxOwners = 2;
constexpr int kMaxRun = 1;
constexpr uint64_t kMaxEpoch = 3;
constexpr int kMaxTicks = 3;
constexpr Timing kTiming{.lease = milliseconds(10), .reply_wait = milliseconds(10)};

// Who uses the store, and what they claim.
struct Setting {
  int owners = kMaxOwners;
  bool claim_sole = false;
};
constexpr Setting kShared;
constexpr Setting kSole{.owners = 1, .claim_sole = true};

// A process on its way through one attempt.
struct Owner {
  enum class At { kIdle, kClaimed, kGated, kKnows };
  At at = At::kIdle;
  int run = 0;  // how often it was started anew
  uint64_t epoch = 0;
  std::vector<size_t> offered;
  Verdict verdict;
};

struct World {
  std::optional<Execution> stored;
  std::array<Owner, kMaxOwners> owners;
  std::array<int, kRecipients> delivered{};
  int ticks = 0;
  bool resent = false;  // somebody asked for a second delivery

  Time now() const { return Time(milliseconds(1000 + 10 * ticks)); }

  std::string Name(int i) const {
    return static_cast<char>('A' + i) + std::to_string(owners[i].run);
  }

  bool Held() const {
    return stored && (stored->state == State::kReserved || stored->state == State::kCommitting);
  }

  // Whoever holds the execution is alive and knows of it.
  bool HolderLives() const {
    if (!Held()) return false;
    for (const Owner& owner : owners) {
      if (owner.at != Owner::At::kIdle && owner.epoch == stored->epoch) return true;
    }
    return false;
  }

  // Two worlds of the same key go on alike.
  std::string Key() const {
    std::ostringstream key;
    key << ticks << resent;
    for (const int count : delivered) key << ' ' << count;
    if (stored) {
      key << '|' << static_cast<int>(stored->state) << stored->epoch << stored->fingerprint
          << (Held() ? stored->owner : "") << stored->lease_until.time_since_epoch().count();
      for (const Recipient& r : stored->recipients) {
        key << ',' << static_cast<int>(r.state) << r.maybe << r.code;
      }
    }
    for (const Owner& owner : owners) {
      key << '|' << static_cast<int>(owner.at) << owner.run << owner.epoch;
      for (const size_t index : owner.offered) key << index;
      if (owner.at != Owner::At::kKnows) continue;
      key << static_cast<int>(owner.verdict.kind);
      for (const auto& refused : owner.verdict.refused) key << '-' << refused.index << refused.code;
    }
    return key.str();
  }
};

class Model {
 public:
  explicit Model(const Setting& setting) : setting_(setting) {}

  void Run() {
    Visit(World());
    while (!queue_.empty()) {
      const World world = std::move(queue_.front());
      queue_.pop_front();
      Tick(world);
      Settle(world);
      for (int i = 0; i < setting_.owners; ++i) Act(world, i);
    }
  }

  // The first rule that was broken, and where; empty: none.
  const std::string& broken() const { return broken_; }
  size_t visited() const { return seen_.size(); }
  const std::set<State>& states() const { return states_; }

 private:
  using At = Owner::At;

  void Visit(World world) {
    if (!seen_.insert(world.Key()).second) return;
    Check(world);
    if (broken_.empty()) {
      queue_.push_back(std::move(world));
    } else {
      queue_.clear();
    }
  }

  void Rule(bool kept, const char* rule, const World& world) {
    if (!kept && broken_.empty()) broken_ = std::string(rule) + " in " + world.Key();
  }

  void Check(const World& world) {
    for (const int count : world.delivered) {
      Rule(count <= 1 || world.resent, "nobody gets it twice", world);
    }
    if (!world.stored) return;
    const Execution& known = *world.stored;
    for (size_t i = 0; i < kRecipients; ++i) {
      const Recipient& recipient = known.recipients[i];
      const bool accepted = recipient.state == Recipient::State::kAccepted;
      const bool may_have_it =
          accepted || recipient.maybe || recipient.state == Recipient::State::kOffered;
      const bool delivered = world.delivered[i] > 0;
      Rule(delivered || !accepted, "what is said to be delivered is", world);
      Rule(!delivered || may_have_it, "what is said not to be delivered is not", world);
    }
    Rule(known.state != State::kFailed || world.delivered == (std::array<int, kRecipients>{}),
         "what failed was delivered to nobody", world);
  }

  void Tick(World world) {
    if (world.ticks == kMaxTicks) return;
    ++world.ticks;
    Visit(std::move(world));
  }

  // A person who has looked.
  void Settle(World world) {
    if (!world.stored || world.stored->state != State::kUncertain) return;
    bool all = true, none = true;
    for (size_t i = 0; i < kRecipients; ++i) {
      const Recipient& recipient = world.stored->recipients[i];
      if (recipient.state == Recipient::State::kAccepted) continue;
      if (!recipient.maybe && recipient.state != Recipient::State::kOffered) continue;
      (world.delivered[i] > 0 ? none : all) = false;
    }
    // Who still has a message under way could make it untrue.
    for (const Owner& owner : world.owners) {
      if (owner.at == At::kGated) return;
    }
    if (all == none) return;
    world.stored = Resolve(*world.stored, all, world.now());
    Visit(std::move(world));
  }

  void Act(const World& world, int i) {
    const Owner& owner = world.owners[i];
    // It loses track of what it does, or ends and is started again.
    for (const int run : {owner.run, owner.run + 1}) {
      if (owner.at == At::kIdle || run > kMaxRun) continue;
      World next = world;
      next.owners[i] = {.run = run};
      Visit(std::move(next));
    }
    switch (owner.at) {
      case At::kIdle:
        return Claims(world, i);
      case At::kClaimed:
        return Envelope(world, i);
      case At::kGated:
        return EndOfMessage(world, i);
      case At::kKnows:
        return Records(world, i);
    }
  }

  void Claims(const World& world, int i) {
    if (world.stored && world.stored->epoch >= kMaxEpoch) return;
    for (const char* fingerprint : {"a", "b"}) {
      for (const bool resend : {false, true}) {
        World next = world;
        Claim claim;
        claim.owner = world.Name(i);
        claim.sole = setting_.claim_sole;
        claim.fingerprint = fingerprint;
        claim.recipients = kRecipients;
        claim.resend_on_uncertain = resend;
        claim.timing = kTiming;
        const Decision decision =
            Begin(world.stored ? &*world.stored : nullptr, claim, world.now());
        const bool busy = std::holds_alternative<Busy>(decision);
        if (world.HolderLives() && world.now() < world.stored->lease_until) {
          Rule(busy, "a live owner is left alone while its lease lasts", world);
        } else if (setting_.owners == 1 || (world.stored && world.stored->owner == claim.owner)) {
          Rule(!busy, "nobody waits for an owner that is gone", world);
        }
        if (const auto* replay = std::get_if<Replay>(&decision)) {
          states_.insert(replay->execution.state);
          next.stored = replay->execution;
        } else if (const auto* proceed = std::get_if<Proceed>(&decision)) {
          next.resent = next.resent || MaybeAmong(*proceed);
          Rule(resend || !MaybeAmong(*proceed), "nothing is sent again unasked", world);
          Rule(!proceed->send_to.empty(), "who goes on has somebody to send to", world);
          next.stored = proceed->execution;
          next.owners[i] = {
              At::kClaimed, world.owners[i].run, proceed->execution.epoch, proceed->send_to, {}};
        } else {
          continue;
        }
        Visit(std::move(next));
      }
    }
  }

  static bool MaybeAmong(const Proceed& proceed) {
    for (const size_t index : proceed.send_to) {
      if (proceed.execution.recipients[index].maybe) return true;
    }
    return false;
  }

  // The server takes some recipients and refuses others, and the gate is told of those taken; or
  // all goes in one flight, and the gate is told of everyone before the server has said a word.
  void Envelope(const World& world, int i) {
    const std::vector<size_t>& send_to = world.owners[i].offered;
    const size_t kinds = send_to.size() == 1 ? 3 : 9;  // each: taken, 4xx, 5xx
    for (size_t kind = 0; kind < kinds; ++kind) {
      for (const bool at_once : {false, true}) {
        World next = world;
        Owner& owner = next.owners[i];
        owner.offered.clear();
        for (size_t n = 0, rest = kind; n < send_to.size(); ++n, rest /= 3) {
          if (rest % 3 == 0) {
            owner.offered.push_back(send_to[n]);
          } else {
            owner.verdict.refused.push_back({send_to[n], rest % 3 == 1 ? 450 : 550, ""});
          }
        }
        const bool nobody = owner.offered.empty();
        const std::vector<size_t>& told = at_once ? send_to : owner.offered;
        if (nobody && !at_once) {
          owner.at = At::kKnows;
          owner.verdict.kind = Verdict::Kind::kNotTaken;
        } else if (auto gated = Gate(*next.stored, owner.epoch, told, kTiming, next.now())) {
          next.stored = *gated;
          owner.at = nobody ? At::kKnows : At::kGated;
          owner.verdict.kind = Verdict::Kind::kNotTaken;
        } else {
          owner = {.run = owner.run};  // fenced: it sends no end
        }
        Visit(std::move(next));
      }
    }
  }

  void EndOfMessage(const World& world, int i) {
    for (const bool taken : {true, false}) {
      for (const bool answered : {true, false}) {
        World next = world;
        Owner& owner = next.owners[i];
        if (taken) {
          for (const size_t index : owner.offered) ++next.delivered[index];
        }
        owner.at = At::kKnows;
        owner.verdict.kind = !answered ? Verdict::Kind::kUncertain
                             : taken   ? Verdict::Kind::kTaken
                                       : Verdict::Kind::kNotTaken;
        Visit(std::move(next));
      }
    }
  }

  void Records(const World& world, int i) {
    World next = world;
    const Owner owner = std::exchange(next.owners[i], Owner{.run = world.owners[i].run});
    if (auto settled = ledger::Settle(*next.stored, owner.epoch, owner.verdict, next.now())) {
      next.stored = *settled;
      states_.insert(settled->state);
    }
    Visit(std::move(next));
  }

  const Setting setting_;
  std::string broken_;
  std::deque<World> queue_;
  std::set<std::string> seen_;
  std::set<State> states_;
};

class ExecutionModel : public ::testing::TestWithParam<Setting> {};

TEST_P(ExecutionModel, NobodyGetsTheEmailTwiceUnaskedAndNoAnswerIsUntrue) {
  Model model(GetParam());
  model.Run();
  EXPECT_EQ(model.broken(), "");
  EXPECT_EQ(model.states(),
            (std::set<State>{State::kSent, State::kPending, State::kFailed, State::kUncertain}))
      << "the model does not reach them all";
  EXPECT_GT(model.visited(), 10000u);
  RecordProperty("visited", static_cast<int>(model.visited()));
}

INSTANTIATE_TEST_SUITE_P(Stores, ExecutionModel, ::testing::Values(kShared, kSole),
                         [](const auto& info) {
                           return info.param.claim_sole ? "OfOneProcess" : "Shared";
                         });

TEST(ExecutionModelItself, FindsThatALiveOwnerIsTakenOver) {
  Model model({.owners = kMaxOwners, .claim_sole = true});
  model.Run();
  EXPECT_THAT(model.broken(), ::testing::HasSubstr("a live owner is left alone"));
}

}  // namespace
}  // namespace sendstep::ledger
