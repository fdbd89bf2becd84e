// The SPF record of a domain: looked up, selected, parsed (RFC 7208 4.3 to 4.6).
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_SPF_FETCH_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_SPF_FETCH_H_

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "transport/dns/inquiry.h"
#include "transport/mailauth/spf_record.h"

namespace sendstep::mailauth {

struct SpfPublished {
  // One phrase: why no record can be asked for (RFC 7208 4.3). Empty: it was asked for.
  std::string malformed;
  dns::Answer answer;              // of TXT
  std::vector<std::string> texts;  // the SPF records among them
  SpfRecord record;                // of texts.front(), where it is the only one

  bool undetermined() const { return malformed.empty() && !answer.found() && !answer.is_void(); }
};

boost::asio::awaitable<SpfPublished> FetchSpf(dns::Inquiry& inquiry, std::string domain);

// Why `domain` can have no record: an address, one label, an empty or overlong one, not ASCII.
// Empty: it can.
std::string WhyMalformed(std::string_view domain);

// Lower case, without the last dot.
std::string NormalDomain(std::string_view domain);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_SPF_FETCH_H_
