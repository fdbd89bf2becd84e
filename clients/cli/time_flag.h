// A point in time as typed.
#ifndef SENDSTEP_CLIENTS_CLI_TIME_FLAG_H_
#define SENDSTEP_CLIENTS_CLI_TIME_FLAG_H_

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/statusor.h"

namespace sendstep::cli {

// RFC 3339 with "T" and a zone ("2026-05-01T09:00:00Z", "2026-05-01T11:00:00+02:00"), or an age
// before `now`: a whole number of at most 9 digits and s, m, h, d or w ("90s", "2h", "7d").
// InvalidArgument where it is neither, or before the year 1.
absl::StatusOr<google::protobuf::Timestamp> ParseTime(const std::string& text,
                                                      const google::protobuf::Timestamp& now);

}  // namespace sendstep::cli

#endif  // SENDSTEP_CLIENTS_CLI_TIME_FLAG_H_
