// Something to tell the author of a step, in terms of the contract: reason names are the Reason
// values of protos/sendstep/v1 without their prefix.
#ifndef SENDSTEP_PROVIDERS_FINDING_H_
#define SENDSTEP_PROVIDERS_FINDING_H_

#include <chrono>
#include <string>
#include <vector>

#include "transport/base/error.h"

namespace sendstep::providers {

enum class Fault { kConfig, kProvider, kNetwork, kCaller, kPlugin };

enum class Severity { kError, kWarning };

// About one field of the settings.
struct Finding {
  Severity severity = Severity::kError;
  std::string field;    // relative to SmtpConfig: "port", "host", "password"; empty: the whole
  std::string reason;   // "PROVIDER_UNKNOWN"; warnings that have no reason of their own: "WARNING"
  std::string message;  // what is wrong, one sentence
  std::string hint;     // what to do, one sentence; may be empty
  std::string doc_url;  // may be empty
};

enum class Retryable { kTrue, kFalse, kUncertain };

// About a failure on the way to the provider.
struct Explained {
  std::string reason;  // "AUTH_REFUSED"
  Fault fault = Fault::kProvider;
  Retryable retryable = Retryable::kFalse;
  std::chrono::milliseconds retry_after{0};  // 0 unless retryable
  std::string message;                       // what happened
  std::string what_to_do;
  std::string doc_url;  // may be empty
};

}  // namespace sendstep::providers

#endif  // SENDSTEP_PROVIDERS_FINDING_H_
