// The header field Authentication-Results (RFC 8601): what a receiver found of SPF, DKIM and DMARC.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_AUTHENTICATION_RESULTS_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_AUTHENTICATION_RESULTS_H_

#include <string>
#include <string_view>
#include <vector>

namespace sendstep::mailauth {

struct AuthProperty {
  std::string name;  // "smtp.mailfrom", "header.d"; one that has no type: "action"; lower case
  std::string value;
};

struct AuthResult {
  std::string method;  // "spf", lower case, without its version
  std::string result;  // "pass", lower case
  std::string reason;  // reason=, and what stands in comments
  std::vector<AuthProperty> properties;

  // The value of the first property of that name; empty where there is none.
  std::string_view Property(std::string_view name) const;
};

struct AuthenticationResults {
  std::string authserv_id;  // who says so; empty where the field does not begin with it
  std::vector<AuthResult> results;

  // The first result of a method that passed, else the first of it; null: none.
  const AuthResult* Find(std::string_view method) const;
};

// `value`: of the field, folded or not; at most 64 kB of it and 50 results are read. Takes what
// receivers make of the grammar (missing semicolons, properties without a type), and passes over
// what it cannot read.
AuthenticationResults ParseAuthenticationResults(std::string_view value);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_AUTHENTICATION_RESULTS_H_
