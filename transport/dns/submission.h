// Where a mail domain takes mail from its users, as its SRV records say (RFC 6186, RFC 8314 5.1).
// What is found is no more to be trusted than DNS is.
#ifndef SENDSTEP_TRANSPORT_DNS_SUBMISSION_H_
#define SENDSTEP_TRANSPORT_DNS_SUBMISSION_H_

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/dns/lookup.h"

namespace sendstep::dns {

struct SubmissionServer {
  std::string host;  // A-labels
  uint16_t port = 0;
  bool implicit_tls = false;  // else STARTTLS
};

struct SubmissionQuestion {
  std::string domain;  // A-labels
  // Which of _submissions._tcp and _submission._tcp to ask for.
  bool implicit_tls = true, starttls = true;
};

// A number from 0 to `max`, both included.
using Pick = std::function<uint32_t(uint32_t max)>;
Pick RandomPick();

// SRV records in the order in which to try them (RFC 2782): by priority, those of one priority
// shuffled by weight.
std::vector<Record> SrvOrder(std::vector<Record> records, const Pick& pick);

// The servers, those for implicit TLS first; never empty. On the caller's executor, which must be a
// strand; `lookup` outlives it and what it has begun. Errors, all in Stage::kDns, with what was
// asked in `detail`: kHostNotFound (no SRV record, or the service is not offered), kDnsFailed,
// kTimeout, kCancelled.
boost::asio::awaitable<base::Result<std::vector<SubmissionServer>>> FindSubmission(
    Lookup& lookup, SubmissionQuestion question, base::Deadline deadline, Pick pick = RandomPick());

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_SUBMISSION_H_
