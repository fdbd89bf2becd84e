// DKIM key records.
#include "transport/mailauth/dkim_record.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void Require(bool fact) {
  if (!fact) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sendstep::mailauth;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const DkimRecord record = ParseDkimRecord(input, "s1._domainkey.ex.test");
  const bool error = [&] {
    for (const Problem& problem : record.problems) {
      Require(!problem.id.empty() && problem.message.size() < 1000);
      if (problem.severity == Severity::kError && problem.id != "dkim.syntax") return true;
    }
    return false;
  }();
  // What cannot be used says why, and what can be used has no fault.
  Require(record.usable != error);
  Require(!record.revoked || !record.usable);
  Require(!record.usable || record.kind != DkimKeyKind::kRsa || record.bits >= 1024);
  return 0;
}
