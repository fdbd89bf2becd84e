// Which DMARC policy holds for a domain, and which domains align with it (RFC 9989; the public
// suffix list of RFC 7489 beside it, for receivers that still go by it).
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_DMARC_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_DMARC_H_

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/dns/inquiry.h"
#include "transport/mailauth/dmarc_record.h"
#include "transport/mailauth/problem.h"

namespace sendstep::mailauth {

// Where the policy that holds comes from.
enum class DmarcSource {
  kNone,        // there is no record
  kAuthor,      // the domain's own p
  kInherited,   // sp (or p) of the domain above
  kNonExistent  // np (or sp, p) of the domain above, for the domain does not exist
};

struct DmarcPolicyFound {
  bool determined = false;  // every question was answered
  std::string domain;       // that was asked about, lower case
  std::string record_name;  // "_dmarc.example.com"; empty: there is none
  std::string record_text;
  std::optional<DmarcRecord> record;
  DmarcSource source = DmarcSource::kNone;
  // What receivers are asked to do with mail that fails, t=y reckoned in.
  DmarcPolicy effective = DmarcPolicy::kNone;
  std::string organizational_domain;  // by the tree walk
  std::string
      psl_organizational_domain;  // by the public suffix list; empty: a public suffix itself
  // Of receivers that go by the public suffix list (RFC 7489), where it differs.
  std::optional<DmarcPolicy> psl_effective;
  std::vector<Problem> problems;
};

boost::asio::awaitable<DmarcPolicyFound> DiscoverDmarc(dns::Inquiry& inquiry, std::string domain);

// The organizational domain by the tree walk alone (at most 8 questions).
boost::asio::awaitable<std::string> OrganizationalDomain(dns::Inquiry& inquiry, std::string domain);

// By the public suffix list: the suffix and one label; empty where `domain` is a suffix.
std::string PslOrganizationalDomain(std::string_view domain);

// Does an identifier authenticated as `authenticated` (SPF's domain, DKIM's d=) align with the From
// domain? Strict: the same name. Relaxed: the same organizational domain, by the tree walk.
boost::asio::awaitable<bool> Aligns(dns::Inquiry& inquiry, std::string from,
                                    std::string authenticated, Alignment mode);

// What is wrong with the places that the record's reports go to (RFC 9990): not authorized, no
// mail.
boost::asio::awaitable<std::vector<Problem>> CheckReportUris(dns::Inquiry& inquiry,
                                                             DmarcPolicyFound found);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_DMARC_H_
