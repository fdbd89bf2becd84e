#include "plugin/ledger/execution.h"

#include <algorithm>
#include <utility>

namespace sendstep::ledger {
namespace {

bool Delivered(const Recipient& recipient) {
  return recipient.state == Recipient::State::kAccepted;
}

bool Uncertain(const Recipient& recipient) {
  return recipient.state == Recipient::State::kOffered ||
         (recipient.maybe && !Delivered(recipient));
}

// Of an execution that nobody is at.
State StateOf(const std::vector<Recipient>& recipients) {
  if (std::ranges::any_of(recipients, Uncertain)) return State::kUncertain;
  if (std::ranges::none_of(recipients, Delivered)) return State::kFailed;
  const bool complete = std::ranges::all_of(recipients, [](const Recipient& recipient) {
    return Delivered(recipient) || recipient.state == Recipient::State::kRejected;
  });
  return complete ? State::kSent : State::kPending;
}

bool Held(const Execution& execution) {
  return execution.state == State::kReserved || execution.state == State::kCommitting;
}

// Of a held execution.
bool OwnerGone(const Execution& execution, const Claim& claim, Time now) {
  return claim.sole || execution.owner == claim.owner || now >= execution.lease_until;
}

// The execution as it is when its owner is gone.
Execution Abandoned(Execution execution, Time now) {
  if (execution.state == State::kCommitting) execution.reason = "OWNER_GONE";
  execution.state = StateOf(execution.recipients);
  execution.updated_at = now;
  return execution;
}

Proceed Claimed(Execution execution, const Claim& claim, Time now) {
  execution.state = State::kReserved;
  ++execution.epoch;
  ++execution.attempts;
  execution.owner = claim.owner;
  execution.lease_until = now + claim.timing.lease;
  execution.last_reply = {};
  execution.updated_at = now;
  Proceed proceed{std::move(execution), {}};
  for (size_t i = 0; i < proceed.execution.recipients.size(); ++i) {
    Recipient& recipient = proceed.execution.recipients[i];
    if (Delivered(recipient)) continue;
    if (recipient.state == Recipient::State::kRejected && !recipient.maybe) continue;
    if (recipient.state == Recipient::State::kOffered) {
      recipient.state = Recipient::State::kOpen;
      recipient.maybe = true;
    }
    proceed.send_to.push_back(i);
  }
  return proceed;
}

// Nobody has anything of it: the claim brings all.
Proceed Anew(Execution execution, const Claim& claim, Time now) {
  execution.fingerprint = claim.fingerprint;
  execution.message_id = claim.message_id;
  execution.recipients.assign(claim.recipients, Recipient());
  execution.receipt.reset();
  execution.reason.clear();
  return Claimed(std::move(execution), claim, now);
}

// `known` is nobody's.
Decision Decide(const Execution& known, const Claim& claim, Time now) {
  if (known.state == State::kFailed) return Anew(known, claim, now);
  if (known.fingerprint != claim.fingerprint) return Reused();
  if (known.state == State::kSent) return Replay{known};
  if (known.state == State::kUncertain && !claim.resend_on_uncertain) return Replay{known};
  return Claimed(known, claim, now);
}

Recipient* Find(Execution& execution, size_t index) {
  return index < execution.recipients.size() ? &execution.recipients[index] : nullptr;
}

bool EveryOfferedIn(const std::vector<Verdict::Refused>& refused, const Execution& execution) {
  for (size_t i = 0; i < execution.recipients.size(); ++i) {
    if (execution.recipients[i].state != Recipient::State::kOffered) continue;
    const auto is = [i](const Verdict::Refused& one) { return one.index == i; };
    if (std::none_of(refused.begin(), refused.end(), is)) return false;
  }
  return true;
}

}  // namespace

Decision Begin(const Execution* known, const Claim& claim, Time now) {
  if (known == nullptr) {
    Execution first;
    first.created_at = now;
    return Anew(std::move(first), claim, now);
  }
  if (!Held(*known)) return Decide(*known, claim, now);
  if (!OwnerGone(*known, claim, now)) return Busy{known->lease_until};
  Decision decision = Decide(Abandoned(*known, now), claim, now);
  if (auto* replay = std::get_if<Replay>(&decision)) replay->changed = true;
  return decision;
}

std::optional<Execution> Gate(const Execution& known, uint64_t epoch,
                              std::span<const size_t> offered, const Timing& timing, Time now) {
  if (known.state != State::kReserved || known.epoch != epoch || offered.empty()) {
    return std::nullopt;
  }
  Execution next = known;
  for (const size_t index : offered) {
    Recipient* recipient = Find(next, index);
    if (recipient == nullptr || Delivered(*recipient)) return std::nullopt;
    recipient->state = Recipient::State::kOffered;
    recipient->code = 0;
    recipient->enhanced_code.clear();
  }
  next.state = State::kCommitting;
  next.lease_until = now + timing.lease + timing.reply_wait;
  next.updated_at = now;
  return next;
}

std::optional<Execution> Renew(const Execution& known, uint64_t epoch, const Timing& timing,
                               Time now) {
  if (known.state != State::kReserved || known.epoch != epoch) return std::nullopt;
  Execution next = known;
  next.lease_until = std::max(known.lease_until, now + timing.lease);
  next.updated_at = now;
  return next;
}

std::optional<Execution> Settle(const Execution& known, uint64_t epoch, const Verdict& verdict,
                                Time now) {
  using Kind = Verdict::Kind;
  const bool gated = known.state == State::kCommitting || known.state == State::kUncertain;
  if (known.epoch != epoch || (!gated && known.state != State::kReserved)) return std::nullopt;
  if (!gated && verdict.kind != Kind::kNotTaken) return std::nullopt;
  Execution next = known;
  // A server may take a message although it has refused everyone it was offered for.
  const bool keep_offered =
      verdict.kind == Kind::kUncertain && EveryOfferedIn(verdict.refused, known);
  for (const Verdict::Refused& refused : verdict.refused) {
    Recipient* recipient = Find(next, refused.index);
    if (recipient == nullptr || Delivered(*recipient)) continue;
    if (keep_offered && recipient->state == Recipient::State::kOffered) continue;
    recipient->state =
        refused.code / 100 == 5 ? Recipient::State::kRejected : Recipient::State::kDeferred;
    recipient->code = refused.code;
    recipient->enhanced_code = refused.enhanced_code;
  }
  for (Recipient& recipient : next.recipients) {
    if (recipient.state != Recipient::State::kOffered || verdict.kind == Kind::kUncertain) continue;
    recipient.state =
        verdict.kind == Kind::kTaken ? Recipient::State::kAccepted : Recipient::State::kOpen;
  }
  next.state = StateOf(next.recipients);
  next.last_reply = verdict.last_reply;
  // A resend that failed leaves it as uncertain as it was, for the reason it was.
  if (next.state != State::kUncertain || verdict.kind != Kind::kNotTaken) {
    next.reason = verdict.reason;
  }
  if (verdict.kind == Kind::kTaken) next.receipt = verdict.receipt;
  next.updated_at = now;
  return next;
}

std::optional<Execution> Abandon(const Execution& known, const std::string& owner, bool sole,
                                 Time now) {
  const bool ended = sole && known.owner != owner;
  if (!Held(known) || (!ended && now < known.lease_until)) return std::nullopt;
  Execution next = Abandoned(known, now);
  if (next.state != State::kUncertain) next.reason = "OWNER_GONE";
  return next;
}

std::optional<Execution> Resolve(const Execution& known, bool sent, Time now) {
  if (known.state != State::kUncertain) return std::nullopt;
  Execution next = known;
  for (Recipient& recipient : next.recipients) {
    if (!Uncertain(recipient)) continue;
    recipient.state = sent ? Recipient::State::kAccepted : Recipient::State::kOpen;
    recipient.maybe = false;
  }
  next.state = StateOf(next.recipients);
  next.reason.clear();
  next.updated_at = now;
  return next;
}

}  // namespace sendstep::ledger
