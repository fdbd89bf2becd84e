#include "plugin/ledger/key_check.h"

#include <optional>
#include <utility>

namespace sendstep::ledger {

boost::asio::awaitable<absl::Status> CheckKey(Store& store, std::string check_value) {
  bool same = false;
  Store::Change keep_first = [&](const Execution* known) -> std::optional<Execution> {
    same = known == nullptr || known->fingerprint == check_value;
    if (known != nullptr) return std::nullopt;
    Execution first;
    first.state = State::kReserved;  // held, so never pruned
    first.fingerprint = check_value;
    return first;
  };
  Key key{.space = "key", .tenant = "", .request_id = "message-id.key"};
  const absl::Status status = co_await store.Update(std::move(key), keep_first);
  if (!status.ok() || same) co_return status;
  co_return absl::FailedPreconditionError(
      "the ledger was written with another key file: all replicas need the same message-id.key in "
      "their state folder, and a ledger needs the one it began with");
}

}  // namespace sendstep::ledger
