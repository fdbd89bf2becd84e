// The requests of a run: all alike but for the request id and the account.
//
// What they have in common is serialised once. A request is its parts put one behind the other,
// which Protobuf reads as one message, so that a call of any size costs the generator little.
#ifndef SENDSTEP_TESTS_BENCH_PAYLOAD_H_
#define SENDSTEP_TESTS_BENCH_PAYLOAD_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <string>
#include <vector>

#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::bench {

struct PayloadOptions {
  size_t body_bytes = 4000;     // of text
  size_t attachment_bytes = 0;  // 0: none
  v1::SmtpConfig smtp;          // ignored where there is a relay
  std::string relay;
  uint64_t accounts = 1;  // that take turns, told apart by their EHLO names; 0: a new one each call
  bool request_ids = true;
};

// Threads: any may call Request.
class Payload {
 public:
  explicit Payload(const PayloadOptions& options);

  // The serialised ExecuteRequest of call `number`.
  grpc::ByteBuffer Request(uint64_t number) const;

 private:
  std::string ConfigOf(uint64_t account) const;

  PayloadOptions options_;
  std::string run_;  // what the request ids of this run begin with
  grpc::Slice email_;
  std::vector<grpc::Slice> configs_;
};

}  // namespace sendstep::bench

#endif  // SENDSTEP_TESTS_BENCH_PAYLOAD_H_
