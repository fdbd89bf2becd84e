// Authentication-Results (RFC 8601), and delivery status notifications (RFC 3464).
#include "transport/mailauth/authentication_results.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "transport/mailauth/delivery_status.h"

namespace {

void Require(bool fact) {
  if (!fact) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sendstep::mailauth;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const AuthenticationResults results = ParseAuthenticationResults(input);
  Require(results.results.size() <= 50);
  for (const AuthResult& result : results.results) {
    Require(!result.method.empty());
    Require(results.Find(result.method) != nullptr);
    for (const AuthProperty& property : result.properties) {
      Require(result.Property(property.name).size() <= size);
    }
  }
  const DeliveryStatus status = ParseDeliveryStatus(input);
  Require(status.recipients.size() <= 1000);
  for (const RecipientStatus& recipient : status.recipients) {
    Require(!StatusMeaning(recipient.status).empty());
  }
  return 0;
}
