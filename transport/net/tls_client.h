// The client side of one TLS connection on a descriptor: OpenSSL, its verdicts put into words, and
// no waiting. Whoever drives it waits for what the result wants and calls again.
//
// Threads: not thread-safe. Lifetime: the descriptor, which must be a connected socket, stays its
// owner's and must outlive this. Never blocks, never raises SIGPIPE.
#ifndef SENDSTEP_TRANSPORT_NET_TLS_CLIENT_H_
#define SENDSTEP_TRANSPORT_NET_TLS_CLIENT_H_

#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>
#include <memory>
#include <string>

#include "transport/base/result.h"
#include "transport/net/tls_sessions.h"
#include "transport/smtp/settings.h"
#include "transport/smtp/stream.h"

namespace sendstep::net {

struct TlsStep {
  // kAgain: a record of TLS's own was taken in, there may be more; call again, with a break before.
  enum Want { kDone, kRead, kWrite, kAgain, kFailed };
  Want want = kDone;
  size_t bytes = 0;  // with kDone, of Read and Write
};

class TlsClient {
 public:
  // `server_name` is an A-label name or an IP address, with or without brackets. The certificate
  // must name it (RFC 6125; wildcards for one whole label only) unless settings.verify is false.
  // `sessions`, which may be null, are those of this server and these settings.
  static base::Result<std::unique_ptr<TlsClient>> Create(int descriptor,
                                                         const smtp::TlsSettings& settings,
                                                         const std::string& server_name,
                                                         std::shared_ptr<TlsSessions> sessions);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  TlsStep Handshake();
  TlsStep Read(boost::asio::mutable_buffer buffer);
  // May write a part. After kRead or kWrite it must be called again with the same bytes.
  TlsStep Write(boost::asio::const_buffer buffer);

  // After Handshake() failed: kCertificate, kTlsOnPlaintextPort and most kTlsFailed are permanent.
  base::Error HandshakeError() const;
  // After Read() or Write() failed: kConnectionLost, or kClientCertificate.
  base::Error TransferError() const;
  // After the handshake.
  smtp::TlsInfo info() const;

 private:
  // What the socket said, besides bytes.
  struct Wire {
    int descriptor = -1;
    bool closed = false;      // end of file
    bool drained = false;     // there was nothing to read
    int error = 0;            // errno
    std::string first_bytes;  // received, at most kFirstBytes
  };
  static constexpr size_t kFirstBytes = 128;

  explicit TlsClient(int descriptor) { wire_.descriptor = descriptor; }
  bool ExpectKey(const std::string& sha256);
  bool ExpectName(const std::string& server_name, bool verify);
  TlsStep Finish(int result, size_t bytes);
  bool MetPlaintext() const;
  smtp::ChannelBinding Binding() const;

  static BIO_METHOD* Method();
  static int WireWrite(BIO* bio, const char* data, int size);
  static int WireRead(BIO* bio, char* data, int size);
  static long WireControl(BIO* bio, int command, long number, void* pointer);
  static int OnVerify(int ok, X509_STORE_CTX* chain);

  std::shared_ptr<TlsSessions> sessions_;
  Wire wire_;
  std::string server_name_;
  std::string certificate_fault_;  // the first one, in words
  std::string failure_;            // OpenSSL's reason
  int failure_code_ = 0;
  SSL* ssl_ = nullptr;
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_TLS_CLIENT_H_
