// Something wrong, or worth knowing, with a domain's records.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_PROBLEM_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_PROBLEM_H_

#include <string>

namespace sendstep::mailauth {

enum class Severity {
  kError,    // receivers will not honour the record, or mail fails because of it
  kWarning,  // works, but not everywhere or not as meant
  kInfo,
};

struct Problem {
  Severity severity = Severity::kError;
  std::string id;          // stable, lower case with dots: "spf.too_many_lookups"
  std::string name;        // the DNS name whose record it is: "_dmarc.example.com"
  std::string message;     // what is wrong, one sentence; names the offending text
  std::string what_to_do;  // one sentence; may be empty
};

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_PROBLEM_H_
