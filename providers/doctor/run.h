// A diagnosis without a server: from what a person types, in the calling thread.
#ifndef SENDSTEP_PROVIDERS_DOCTOR_RUN_H_
#define SENDSTEP_PROVIDERS_DOCTOR_RUN_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "providers/doctor/diagnosis.h"
#include "transport/mailauth/spf.h"

namespace sendstep::doctor {

struct DnsSettings {
  std::string servers;  // "ADDR", "ADDR:PORT", "[V6]:PORT", by comma; empty: resolv.conf's
  std::chrono::milliseconds time{20'000};  // for all of it
};

// As typed.
struct DomainRequest {
  std::string domain;
  std::string provider;         // id or alias; empty: a server nobody knows
  std::string envelope_domain;  // empty: the domain
  std::vector<std::string> selectors;
  std::string ip;    // empty: not known
  std::string helo;  // empty: the envelope's domain
};

// InvalidArgument names what was typed wrong ("--ip: ..."); DNS that fails is no error but leaves
// things unknown.
absl::StatusOr<Diagnosis> RunDiagnosis(const DomainRequest& request, const DnsSettings& settings);

struct SpfRequest {
  std::string ip;
  std::string sender;
  std::string helo;
};

// check_host() within the limits of RFC 7208 4.6.4. InvalidArgument: the IP address is none.
absl::StatusOr<mailauth::SpfVerdict> RunSpf(const SpfRequest& request, const DnsSettings& settings);

}  // namespace sendstep::doctor

#endif  // SENDSTEP_PROVIDERS_DOCTOR_RUN_H_
