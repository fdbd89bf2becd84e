// DMARC policy records (RFC 9989, which obsoletes RFC 7489) and what is wrong with them.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_DMARC_RECORD_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_DMARC_RECORD_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/mailauth/problem.h"

namespace sendstep::mailauth {

enum class DmarcPolicy { kNone, kQuarantine, kReject };
enum class Alignment { kRelaxed, kStrict };
enum class PublicSuffixFlag { kUnknown, kYes, kNo };  // psd=u, y, n

// "none", "quarantine", "reject".
std::string_view DmarcPolicyName(DmarcPolicy policy);

struct DmarcRecord {
  DmarcPolicy p = DmarcPolicy::kNone;
  std::optional<DmarcPolicy> sp, np;
  Alignment adkim = Alignment::kRelaxed, aspf = Alignment::kRelaxed;
  PublicSuffixFlag psd = PublicSuffixFlag::kUnknown;
  bool testing = false;               // t=y: receivers apply the policy one step milder
  std::optional<int> pct;             // of RFC 7489; RFC 9989 has removed it
  std::vector<std::string> rua, ruf;  // URIs, decoded
  std::vector<Problem> problems;
};

// Is `text` meant as a DMARC record at all ("v=DMARC1" first, case-sensitive)? Others at the same
// name are passed over.
bool IsDmarc(std::string_view text);

// nullopt: receivers do not take it as a policy; `problems` says why. `name`: "_dmarc.<domain>".
struct ParsedDmarc {
  std::optional<DmarcRecord> record;
  std::vector<Problem> problems;  // record->problems too
};
ParsedDmarc ParseDmarc(std::string_view text, std::string_view name);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_DMARC_RECORD_H_
