// A name and a type -> DNS records, with what kept them from being found told apart. An interface,
// so that tests answer what they like.
#ifndef SENDSTEP_TRANSPORT_DNS_LOOKUP_H_
#define SENDSTEP_TRANSPORT_DNS_LOOKUP_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "transport/base/deadline.h"

namespace sendstep::dns {

// The numbers of RFC 1035 3.2.2, RFC 3596, RFC 2782.
enum class RecordType : uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
};

// One record; which members are set depends on the type that was asked for.
struct Record {
  boost::asio::ip::address address;  // A, AAAA
  // MX, NS, CNAME, PTR, SRV: where it leads, lower case, without the last dot; "" is the root (the
  // target of a null MX, RFC 7505). A dot or backslash within a label, and what does not print, is
  // \DDD (RFC 1035 5.1), so that no two names look the same; such a name cannot be asked for.
  std::string name;
  uint16_t preference = 0;  // MX; SRV: priority
  uint16_t weight = 0;      // SRV
  uint16_t port = 0;        // SRV
  // TXT: its strings joined without a blank (RFC 7208 3.3, RFC 6376 3.6.2.2); any byte may occur.
  std::string text;
};

enum class Outcome {
  kFound,     // at least one record
  kNoData,    // the name exists, a record of this type does not
  kNoDomain,  // NXDOMAIN: neither the name nor anything below it exists (RFC 8020)
  kFailed,    // SERVFAIL, REFUSED, no server, an answer that is not one; `detail` says which
  kTimeout,   // no answer in time
  // Not asked, or the answer was too large to keep: the diagnosis has used up its queries, bytes or
  // time.
  kBudgetSpent,
};

struct Answer {
  Outcome outcome = Outcome::kFailed;
  std::vector<Record> records;       // in the server's order
  std::vector<std::string> aliases;  // the CNAMEs that were followed, in order: targets, lower case
  std::chrono::seconds ttl{0};  // the smallest of what was used; of a negative answer RFC 2308's
  std::string detail;           // one phrase; for kFailed, kTimeout and kBudgetSpent

  bool found() const { return outcome == Outcome::kFound; }
  // There is no such record, and that is certain: a void lookup of RFC 7208 4.6.4.
  bool is_void() const { return outcome == Outcome::kNoData || outcome == Outcome::kNoDomain; }
};

class Lookup {
 public:
  virtual ~Lookup() = default;

  // `name`: A-labels, any case, with or without the last dot. A name that cannot be asked for (the
  // root, an empty label, a label over 63 or a name over 253 bytes, a backslash, a zero byte) is
  // kNoDomain without a query. A cancelled lookup is kFailed. Threads: may be called from any
  // executor; resumes on the caller's.
  virtual boost::asio::awaitable<Answer> Query(std::string name, RecordType type,
                                               base::Deadline deadline) = 0;
};

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_LOOKUP_H_
