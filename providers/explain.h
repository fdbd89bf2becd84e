// Failure -> whose it is, whether to retry, and what to do. The whole policy is in this one place:
// the profile's explanation table first, then what holds for every server.
#ifndef SENDSTEP_PROVIDERS_EXPLAIN_H_
#define SENDSTEP_PROVIDERS_EXPLAIN_H_

#include <string>
#include <string_view>
#include <vector>

#include "providers/finding.h"
#include "providers/resolve.h"
#include "transport/base/error.h"

namespace sendstep::providers {

// Never empty in any field but doc_url. AUTH refused with 5xx is never retryable; with 4xx it is,
// after at least 60 s, unless the profile knows the reply as a wrong password.
Explained Explain(const base::Error& error, const Resolved& resolved);

// The text a profile's pattern is searched in: "535 5.7.8 Username and Password not accepted".
std::string PatternText(const base::Reply& reply);

// The provider's own id of an accepted message, out of its last reply; empty where none is
// recognised.
std::string ProviderMessageId(const Profile& profile, const base::Reply& final_reply);

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_EXPLAIN_H_
