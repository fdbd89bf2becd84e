#include "transport/net/throttle.h"

#include <string_view>

namespace sendstep::net {

using base::Cause;
using base::Stage;

bool AsksToSlowDown(const base::Error& error) {
  if (!error.reply) return false;
  const base::Reply& reply = *error.reply;
  const std::string_view enhanced = reply.enhanced_code;
  const bool one_only = enhanced.starts_with("4.1.") || enhanced.starts_with("4.2.") ||
                        enhanced.starts_with("4.6.") || enhanced == "4.5.3";
  switch (reply.code) {
    case 421:
    case 432:
    case 454:
      return true;
    case 450:
    case 451:
    case 452:
      return !one_only && (error.stage != Stage::kRcptTo || !enhanced.empty());
    default:
      return false;
  }
}

bool TurnsAway(const base::Error& error) {
  if (error.reply) return error.reply->code == 421 || error.reply->code == 454;
  if (error.cause == Cause::kConnectionRefused) return true;
  const bool unanswered = error.cause == Cause::kConnectionLost || error.cause == Cause::kTimeout;
  return unanswered && error.stage != Stage::kDns && error.stage != Stage::kAuth;
}

}  // namespace sendstep::net
