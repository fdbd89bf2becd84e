// check_host() of RFC 7208: may this host send mail for this domain?
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_SPF_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_SPF_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "transport/dns/inquiry.h"

namespace sendstep::mailauth {

// RFC 7208 2.6.
enum class SpfResult { kNone, kNeutral, kPass, kFail, kSoftFail, kTempError, kPermError };

// "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror".
std::string_view SpfResultName(SpfResult result);

struct SpfQuestion {
  boost::asio::ip::address ip;  // of the sending host; IPv4-mapped IPv6 counts as IPv4
  // The envelope sender. Empty: postmaster@`helo` (RFC 7208 2.4); without a local part, or without
  // "@": postmaster of that domain. The domain may be in Unicode.
  std::string sender;
  std::string helo;  // the first 255 bytes of it count
};

struct SpfVerdict {
  SpfResult result = SpfResult::kNone;
  // Of kFail: the domain's own words (exp=), or a sentence of ours where it has none. At most 1,000
  // characters, of visible ASCII and blanks. Otherwise empty.
  std::string explanation;
  // Why, one phrase: the term that matched, or what is wrong with which record. Never empty.
  std::string reason;
  size_t lookups = 0;       // terms that cost a lookup (RFC 7208 4.6.4: at most 10)
  size_t void_lookups = 0;  // at most 2 are allowed; the third ends the check
};

// kNone also for a domain that can have no record: a name of one label, an address, a malformed
// one (RFC 7208 4.3). kTempError also where the inquiry's budget is spent.
boost::asio::awaitable<SpfVerdict> CheckHost(dns::Inquiry& inquiry, SpfQuestion question);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_SPF_H_
