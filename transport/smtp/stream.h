// The one seam between SMTP and the network: a byte stream that can be protected by TLS. Sessions
// see nothing else, so a scripted stream can replay a dialog, fail it at any step or split it at
// any byte.
//
// Threads: not thread-safe; all calls come from one strand, one operation at a time.
// Cancellation: every awaitable honours the coroutine's cancellation slot and then fails with
// Cause::kCancelled. Timeouts: the moment given to Expire() fails the pending and every later
// operation with Cause::kTimeout until Expire() is called again.
// Errors: `stage` is left at kTcp (kTls for StartTls); the session puts its own stage in.
#ifndef SENDSTEP_TRANSPORT_SMTP_STREAM_H_
#define SENDSTEP_TRANSPORT_SMTP_STREAM_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <chrono>
#include <span>
#include <string>

#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/smtp/settings.h"

namespace sendstep::smtp {

namespace asio = boost::asio;

// What tells one TLS connection from all others at both of its ends (RFC 5056): whoever stands in
// between has two, which differ.
struct ChannelBinding {
  std::string type;  // "tls-exporter" (RFC 9266), "tls-unique" (RFC 5929 3); empty: none
  std::string data;
};

// What a handshake agreed on.
struct TlsInfo {
  std::string version;                              // "TLSv1.3"
  std::string cipher;                               // "TLS_AES_256_GCM_SHA384"
  std::string subject;                              // of the leaf certificate, RFC 2253
  std::chrono::system_clock::time_point not_after;  // end of its validity
  bool resumed = false;  // an earlier session's; the certificate was verified then
  ChannelBinding binding;
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Reads at least one byte into `buffer`, returns how many. The peer's close is kConnectionLost.
  virtual asio::awaitable<base::Result<size_t>> ReadSome(asio::mutable_buffer buffer) = 0;

  // Reads what has already arrived, without waiting; 0: nothing has. Otherwise as ReadSome.
  virtual base::Result<size_t> ReadAvailable(asio::mutable_buffer buffer) = 0;

  // Writes all of `buffers` in order. They must stay alive until it returns.
  virtual asio::awaitable<base::Result<void>> Write(
      std::span<const asio::const_buffer> buffers) = 0;

  // What has been read is acknowledged at once. A server under Nagle's algorithm (RFC 896) holds
  // the next reply back until then, and acknowledgements are otherwise delayed (RFC 1122 4.2.3.2).
  virtual void AcknowledgeNow() {}

  // Handshake as a client; name and chain are checked as `settings` says, for `server_name` (also
  // sent as SNI where it is a name). Afterwards the stream carries the protected bytes.
  virtual asio::awaitable<base::Result<TlsInfo>> StartTls(const TlsSettings& settings,
                                                          const std::string& server_name) = 0;

  // Sets the one timer of this stream.
  virtual void Expire(base::Deadline deadline) = 0;

  // Closes at once, without a TLS close alert. Idempotent.
  virtual void Close() = 0;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_STREAM_H_
