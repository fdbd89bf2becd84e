// What programs that call the server as an engine does have in common.
//
// Threads: reentrant.
#ifndef SENDSTEP_TESTS_SUPPORT_ENGINE_H_
#define SENDSTEP_TESTS_SUPPORT_ENGINE_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string>

#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::testing {

// How soon a channel tries again where nobody listens.
inline constexpr std::chrono::milliseconds kReconnect{20};

// "DEADLINE_EXCEEDED"; "UNKNOWN" for numbers that gRPC does not know.
std::string CodeName(grpc::StatusCode code);

// A connection of its own, in plaintext, which repeats no call by itself and connects again soon.
// Messages of any size.
std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address);

// An account at an SMTP server of a test, without a login.
v1::SmtpConfig SmtpAt(const std::string& host, int port, v1::TlsMode tls = v1::TLS_MODE_OFF);

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_ENGINE_H_
