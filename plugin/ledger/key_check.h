// That all who use a ledger, at once or one after the other, use the same key for fingerprints and
// Message-IDs: with another one every retry would look like another email.
#ifndef SENDSTEP_PLUGIN_LEDGER_KEY_CHECK_H_
#define SENDSTEP_PLUGIN_LEDGER_KEY_CHECK_H_

#include <boost/asio/awaitable.hpp>
#include <string>

#include "absl/status/status.h"
#include "plugin/ledger/store.h"

namespace sendstep::ledger {

// The first one's `check_value` is kept in `store` for good; that of all later ones has to be the
// same. It is what the key makes of something fixed (an HMAC): it does not tell the key. `store`
// outlives the call. FailedPrecondition, with one sentence: it is another one. Else as
// Store::Update.
boost::asio::awaitable<absl::Status> CheckKey(Store& store, std::string check_value);

}  // namespace sendstep::ledger

#endif  // SENDSTEP_PLUGIN_LEDGER_KEY_CHECK_H_
