// DKIM key records (RFC 6376 3.6.1, 8301, 8463) and what is wrong with them.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_DKIM_RECORD_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_DKIM_RECORD_H_

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "transport/dns/inquiry.h"
#include "transport/mailauth/problem.h"

namespace sendstep::mailauth {

enum class DkimKeyKind { kUnknown, kRsa, kEd25519 };

struct DkimRecord {
  DkimKeyKind kind = DkimKeyKind::kUnknown;
  int bits = 0;          // of an RSA key
  bool usable = false;   // receivers can verify signatures with it (RSA of 1,024 bits and more)
  bool revoked = false;  // p= is empty
  bool testing = false;  // t=y
  bool strict = false;   // t=s: i= must name the same domain as d=
  std::vector<Problem> problems;
};

// `name`: "<selector>._domainkey.<domain>", for the problems.
DkimRecord ParseDkimRecord(std::string_view text, std::string_view name);

// What stands at one selector.
struct DkimSelector {
  std::string name;                 // "s1._domainkey.example.com"
  dns::Answer answer;               // of TXT, CNAMEs followed
  std::vector<DkimRecord> records;  // one per TXT record; more than one: results are undefined
  bool usable() const { return records.size() == 1 && records.front().usable; }
  std::vector<Problem> problems;  // of the records, and: none there, dangling CNAME, more than one
};

boost::asio::awaitable<DkimSelector> LookUpDkim(dns::Inquiry& inquiry, std::string selector,
                                                std::string domain);

// What `_domainkey.<domain>` tells of selectors that cannot be guessed: NXDOMAIN means that there
// is none at all (RFC 8020), anything else that there very likely is one.
enum class DkimPresence { kNone, kLikely, kUnknown };

boost::asio::awaitable<DkimPresence> ProbeDkim(dns::Inquiry& inquiry, std::string domain);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_DKIM_RECORD_H_
