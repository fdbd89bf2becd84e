// An execution as bytes, for a store.
#ifndef SENDSTEP_PLUGIN_LEDGER_RECORD_H_
#define SENDSTEP_PLUGIN_LEDGER_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "plugin/ledger/execution.h"

namespace sendstep::ledger {

std::string ToRecord(const Execution& execution);
// DataLoss: not what ToRecord of this or an earlier version wrote.
absl::StatusOr<Execution> FromRecord(std::string_view bytes);

// The number that stands for `state` in a store. Never changes.
int StateNumber(State state);

// A failure of FromRecord: one record is of no use, and the store is as well as before.
bool IsDamagedRecord(const absl::Status& status);

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_RECORD_H_
