// The details of a failed call (google.rpc: ErrorInfo, BadRequest, RetryInfo, Help), packed into a
// grpc::Status by the server and taken out again by clients.
//
// Threads: reentrant.
#ifndef SENDSTEP_PLUGIN_STATUS_DETAILS_H_
#define SENDSTEP_PLUGIN_STATUS_DETAILS_H_

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sendstep::plugin {

// Details travel as an HTTP/2 header, and gRPC caps all headers of an answer at 8 kB.
inline constexpr size_t kMaxDetailsBytes = 4096;
inline constexpr size_t kMaxMessageBytes = 768;

// One wrong field.
struct FieldViolation {
  std::string field;        // path into the request
  std::string description;  // what is wrong
  std::string reason;       // UPPER_SNAKE_CASE
  friend bool operator==(const FieldViolation&, const FieldViolation&) = default;
};

// A page worth reading.
struct Link {
  std::string description;
  std::string url;
  friend bool operator==(const Link&, const Link&) = default;
};

struct Details {
  std::string reason;  // a Reason without its prefix; domain is always "sendstep"
  std::map<std::string, std::string> metadata;
  std::vector<FieldViolation> violations;
  std::optional<std::chrono::milliseconds> retry_after;
  std::vector<Link> links;
  friend bool operator==(const Details&, const Details&) = default;
};

// Always fits: details take at most kMaxDetailsBytes, the message kMaxMessageBytes. What is too
// much goes in this order: links, the ends of the longest metadata values, the ends of long
// descriptions, the last violations (one then says how many more there are). Bytes that are not
// UTF-8 become "?".
grpc::Status MakeStatus(grpc::StatusCode code, std::string_view message, const Details& details);

// Nothing: the status did not come from sendstep (no ErrorInfo of its domain), e.g. it was made by
// gRPC or by a proxy. Details of unknown types are ignored.
std::optional<Details> ParseDetails(const grpc::Status& status);

// `text` with bytes that are not UTF-8 as "?", cut at a character to at most `max_bytes`.
std::string CleanUtf8(std::string_view text, size_t max_bytes = std::string_view::npos);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_STATUS_DETAILS_H_
