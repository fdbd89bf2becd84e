#include "plugin/ledger/record.h"

#include <array>
#include <utility>

#include "absl/strings/cord.h"
#include "protos/sendstep/ledger/v1/record.pb.h"

namespace sendstep::ledger {
namespace {

constexpr std::array kStates = {
    std::pair(State::kReserved, v1::STATE_RESERVED),
    std::pair(State::kCommitting, v1::STATE_COMMITTING),
    std::pair(State::kSent, v1::STATE_SENT),
    std::pair(State::kPending, v1::STATE_PENDING),
    std::pair(State::kFailed, v1::STATE_FAILED),
    std::pair(State::kUncertain, v1::STATE_UNCERTAIN),
};
constexpr std::array kRecipientStates = {
    std::pair(Recipient::State::kOpen, v1::RECIPIENT_STATE_OPEN),
    std::pair(Recipient::State::kOffered, v1::RECIPIENT_STATE_OFFERED),
    std::pair(Recipient::State::kAccepted, v1::RECIPIENT_STATE_ACCEPTED),
    std::pair(Recipient::State::kDeferred, v1::RECIPIENT_STATE_DEFERRED),
    std::pair(Recipient::State::kRejected, v1::RECIPIENT_STATE_REJECTED),
};

template <class Table, class From>
auto Stored(const Table& table, From from) {
  for (const auto& [value, stored] : table) {
    if (value == from) return stored;
  }
  return table[0].second;
}

// False: a number of a later version.
template <class Table, class From, class To>
bool Known(const Table& table, From from, To& to) {
  for (const auto& [value, stored] : table) {
    if (stored != from) continue;
    to = value;
    return true;
  }
  return false;
}

constexpr char kDamaged[] = "sendstep.ledger/damaged-record";

absl::Status Damaged(std::string_view what) {
  absl::Status status = absl::DataLossError(absl::string_view(what.data(), what.size()));
  status.SetPayload(kDamaged, absl::Cord());
  return status;
}

int64_t Milliseconds(Time time) { return time.time_since_epoch().count(); }
Time FromMilliseconds(int64_t ms) { return Time(std::chrono::milliseconds(ms)); }

}  // namespace

bool IsDamagedRecord(const absl::Status& status) { return status.GetPayload(kDamaged).has_value(); }

int StateNumber(State state) { return Stored(kStates, state); }

std::string ToRecord(const Execution& execution) {
  v1::Record record;
  record.set_state(Stored(kStates, execution.state));
  record.set_epoch(execution.epoch);
  record.set_owner(execution.owner);
  record.set_lease_until_ms(Milliseconds(execution.lease_until));
  record.set_fingerprint(execution.fingerprint);
  record.set_attempts(execution.attempts);
  record.set_created_at_ms(Milliseconds(execution.created_at));
  record.set_updated_at_ms(Milliseconds(execution.updated_at));
  record.set_message_id(execution.message_id);
  for (const Recipient& recipient : execution.recipients) {
    v1::Recipient& out = *record.add_recipients();
    out.set_state(Stored(kRecipientStates, recipient.state));
    out.set_maybe(recipient.maybe);
    out.set_code(recipient.code);
    out.set_enhanced_code(recipient.enhanced_code);
  }
  if (execution.receipt) {
    v1::Receipt& out = *record.mutable_receipt();
    out.set_code(execution.receipt->code);
    out.set_enhanced_code(execution.receipt->enhanced_code);
    out.set_provider_message_id(execution.receipt->provider_message_id);
    out.set_message_bytes(execution.receipt->message_bytes);
    out.set_accepted_at_ms(Milliseconds(execution.receipt->accepted_at));
  }
  record.set_reason(execution.reason);
  record.mutable_last_reply()->set_code(execution.last_reply.code);
  record.mutable_last_reply()->set_enhanced_code(execution.last_reply.enhanced_code);
  return record.SerializeAsString();
}

absl::StatusOr<Execution> FromRecord(std::string_view bytes) {
  v1::Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Damaged("a record of the ledger is damaged");
  }
  Execution execution;
  if (!Known(kStates, record.state(), execution.state)) {
    return Damaged("a record of the ledger has an unknown state");
  }
  execution.epoch = record.epoch();
  execution.owner = record.owner();
  execution.lease_until = FromMilliseconds(record.lease_until_ms());
  execution.fingerprint = record.fingerprint();
  execution.attempts = record.attempts();
  execution.created_at = FromMilliseconds(record.created_at_ms());
  execution.updated_at = FromMilliseconds(record.updated_at_ms());
  execution.message_id = record.message_id();
  for (const v1::Recipient& in : record.recipients()) {
    Recipient recipient;
    if (!Known(kRecipientStates, in.state(), recipient.state)) {
      return Damaged("a record of the ledger has an unknown recipient state");
    }
    recipient.maybe = in.maybe();
    recipient.code = in.code();
    recipient.enhanced_code = in.enhanced_code();
    execution.recipients.push_back(std::move(recipient));
  }
  if (record.has_receipt()) {
    Receipt& receipt = execution.receipt.emplace();
    receipt.code = record.receipt().code();
    receipt.enhanced_code = record.receipt().enhanced_code();
    receipt.provider_message_id = record.receipt().provider_message_id();
    receipt.message_bytes = record.receipt().message_bytes();
    receipt.accepted_at = FromMilliseconds(record.receipt().accepted_at_ms());
  }
  execution.reason = record.reason();
  execution.last_reply = {record.last_reply().code(), record.last_reply().enhanced_code()};
  return execution;
}

}  // namespace sendstep::ledger
