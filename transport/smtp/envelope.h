// Whom a message is from and for, as the SMTP commands say it (RFC 5321 2.3.1), and how that went.
#ifndef SENDSTEP_TRANSPORT_SMTP_ENVELOPE_H_
#define SENDSTEP_TRANSPORT_SMTP_ENVELOPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transport/base/address.h"
#include "transport/base/error.h"

namespace sendstep::smtp {

class Gate;

// Delivery status notifications to ask for (RFC 3461). What is unset is the server's choice.
struct Dsn {
  // None of them, or kNever alone, or some of the others.
  enum Notify : uint8_t { kNever = 1, kSuccess = 2, kFailure = 4, kDelay = 8 };
  uint8_t notify = 0;
  enum class Return { kUnset, kFull, kHeaders } content = Return::kUnset;
  std::string envelope_id;  // printable ASCII, as xtext at most 100 characters
};

struct Envelope {
  // Unset: the null reverse-path "<>".
  std::optional<base::Address> sender;
  // At least one; no address twice.
  std::vector<base::Address> recipients;
  std::optional<Dsn> dsn;
  // Every server on the way uses verified TLS or gives the message back (RFC 8689). The settings
  // have to ask for no less.
  bool require_tls = false;
};

// How a message is sent.
struct SendOptions {
  // A single refused recipient ends the transaction before DATA.
  bool all_or_nothing = false;
  // Asked before the end of the message is sent (see gate.h); null: nobody is.
  Gate* gate = nullptr;
  // Over a connection that nobody used before and that nobody uses after.
  bool own_connection = false;
};

// A delivery that the server took for one recipient at least.
struct DeliveryReport {
  // One entry per recipient of the envelope, in its order.
  std::vector<base::RecipientOutcome> recipients;
  // The reply to the end of data: the one that decides.
  base::Reply final_reply;
  // Bytes of the message, before dot-stuffing.
  size_t message_bytes = 0;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_ENVELOPE_H_
