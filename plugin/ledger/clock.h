// The clock of the ledger: the system's, which replicas share.
#ifndef SENDSTEP_PLUGIN_LEDGER_CLOCK_H_
#define SENDSTEP_PLUGIN_LEDGER_CLOCK_H_

#include "plugin/ledger/execution.h"

namespace sendstep::ledger {

inline Time Now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_CLOCK_H_
