#include "transport/base/error.h"

#include <stdexcept>
#include <utility>

#include "transport/base/result.h"

namespace sendstep::base {

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kConfig:
      return "config";
    case Stage::kDns:
      return "dns";
    case Stage::kTcp:
      return "tcp";
    case Stage::kTls:
      return "tls";
    case Stage::kEhlo:
      return "ehlo";
    case Stage::kAuth:
      return "auth";
    case Stage::kMailFrom:
      return "mail_from";
    case Stage::kRcptTo:
      return "rcpt_to";
    case Stage::kData:
      return "data";
  }
  return "unknown";
}

ErrorClass ClassOf(const Reply& reply) {
  return reply.Permanent() ? ErrorClass::kPermanent : ErrorClass::kTransient;
}

Error Refused(Stage stage, Reply reply, std::string detail) {
  const ErrorClass error_class = ClassOf(reply);
  return {stage, Cause::kRefused, error_class, std::move(reply), std::move(detail), {}, {}};
}

Error Failed(Stage stage, Cause cause, ErrorClass error_class, std::string detail) {
  return {stage, cause, error_class, std::nullopt, std::move(detail), {}, {}};
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  throw std::logic_error("value() of a Result that failed at " +
                         std::string(StageName(error.stage)) + " (" + error.detail + ") in " +
                         where.to_string());
}

}  // namespace sendstep::base
