#include "transport/net/tls_client.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "transport/net/certificate.h"
#include "transport/net/tls_context.h"

namespace sendstep::net {
namespace {

using base::Cause;
using base::ErrorClass;

base::Error TlsError(Cause cause, ErrorClass error_class, std::string detail) {
  return base::Failed(base::Stage::kTls, cause, error_class, std::move(detail));
}

// The first line of what a server said in clear, printable.
std::string FirstLine(const std::string& bytes) {
  std::string line = bytes.substr(0, bytes.find_first_of("\r\n"));
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) c = '?';
  }
  return line;
}

}  // namespace

base::Result<std::unique_ptr<TlsClient>> TlsClient::Create(int descriptor,
                                                           const smtp::TlsSettings& settings,
                                                           const std::string& server_name,
                                                           std::shared_ptr<TlsSessions> sessions) {
  base::Result<std::shared_ptr<SSL_CTX>> context = GetTlsContext(settings);
  if (!context) return context.error();
  std::unique_ptr<TlsClient> client(new TlsClient(descriptor));
  client->ssl_ = SSL_new(context->get());
  BIO* bio = BIO_new(Method());
  if (!client->ssl_ || !bio) {
    BIO_free(bio);
    return TlsError(Cause::kTlsFailed, ErrorClass::kTransient, "OpenSSL is out of memory");
  }
  BIO_set_data(bio, &client->wire_);
  BIO_set_init(bio, 1);
  SSL_set_bio(client->ssl_, bio, bio);
  SSL_set_app_data(client->ssl_, client.get());
  SSL_set_connect_state(client->ssl_);
  SSL_set_verify(client->ssl_, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                 settings.verify ? OnVerify : nullptr);
  if (!client->ExpectName(server_name, settings.verify)) {
    ERR_clear_error();
    return TlsError(Cause::kInvalid, ErrorClass::kPermanent,
                    "not a server name that a certificate can have: " + server_name);
  }
  if (settings.tls13_only) SSL_set_min_proto_version(client->ssl_, TLS1_3_VERSION);
  if (!settings.pinned_key_sha256.empty() && !client->ExpectKey(settings.pinned_key_sha256)) {
    ERR_clear_error();
    return TlsError(Cause::kInvalid, ErrorClass::kPermanent, "the pinned key is no SHA-256");
  }
  client->sessions_ = std::move(sessions);
  if (client->sessions_) client->sessions_->Attach(client->ssl_);
  return client;
}

TlsClient::~TlsClient() { SSL_free(ssl_); }

// SNI for names only (RFC 6066 3), the check for names and addresses.
bool TlsClient::ExpectName(const std::string& server_name, bool verify) {
  server_name_ = server_name;
  if (server_name_.size() > 2 && server_name_.front() == '[' && server_name_.back() == ']') {
    server_name_ = server_name_.substr(1, server_name_.size() - 2);
  }
  if (!server_name_.empty() && server_name_.back() == '.') server_name_.pop_back();
  if (server_name_.empty()) return false;
  boost::system::error_code ec;
  const boost::asio::ip::address ip = boost::asio::ip::make_address(server_name_, ec);
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl_);
  if (!ec) return !verify || X509_VERIFY_PARAM_set1_ip_asc(param, ip.to_string().c_str()) == 1;
  if (!SSL_set_tlsext_host_name(ssl_, server_name_.c_str())) return false;
  if (!verify) return true;
  SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl_, server_name_.c_str()) == 1;
}

// As a TLSA record "3 1 1" would have it (RFC 7671 5.1): the key alone counts.
bool TlsClient::ExpectKey(const std::string& sha256) {
  constexpr uint8_t kEndEntity = 3;
  constexpr uint8_t kPublicKey = 1;
  constexpr uint8_t kSha256 = 1;
  if (SSL_dane_enable(ssl_, nullptr) <= 0) return false;
  SSL_dane_set_flags(ssl_, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
  return SSL_dane_tlsa_add(ssl_, kEndEntity, kPublicKey, kSha256,
                           reinterpret_cast<const unsigned char*>(sha256.data()),
                           sha256.size()) > 0;
}

TlsStep TlsClient::Handshake() {
  ERR_clear_error();
  wire_.drained = false;
  return Finish(SSL_do_handshake(ssl_), 0);
}

TlsStep TlsClient::Read(boost::asio::mutable_buffer buffer) {
  ERR_clear_error();
  wire_.drained = false;
  size_t bytes = 0;
  const int result = SSL_read_ex(ssl_, buffer.data(), buffer.size(), &bytes);
  return Finish(result, bytes);
}

TlsStep TlsClient::Write(boost::asio::const_buffer buffer) {
  ERR_clear_error();
  wire_.drained = false;
  size_t bytes = 0;
  const int result = SSL_write_ex(ssl_, buffer.data(), buffer.size(), &bytes);
  return Finish(result, bytes);
}

TlsStep TlsClient::Finish(int result, size_t bytes) {
  if (result > 0) return {TlsStep::kDone, bytes};
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return {wire_.drained ? TlsStep::kRead : TlsStep::kAgain};
    case SSL_ERROR_WANT_WRITE:
      return {TlsStep::kWrite};
    case SSL_ERROR_ZERO_RETURN:
      wire_.closed = true;
      break;
    default:
      break;
  }
  const unsigned long code = ERR_peek_error();
  failure_code_ = ERR_GET_REASON(code);
  const char* reason = ERR_reason_error_string(code);
  failure_ = reason ? reason : "no reason given";
  ERR_clear_error();
  return {TlsStep::kFailed};
}

// Content types of TLS records are 20 to 23 (RFC 8446 5.1); SMTP greets with a digit.
bool TlsClient::MetPlaintext() const {
  return !wire_.first_bytes.empty() && (wire_.first_bytes[0] < 20 || wire_.first_bytes[0] > 23);
}

base::Error TlsClient::HandshakeError() const {
  if (!certificate_fault_.empty()) {
    return TlsError(Cause::kCertificate, ErrorClass::kPermanent, certificate_fault_);
  }
  if (MetPlaintext()) {
    return TlsError(
        Cause::kTlsOnPlaintextPort, ErrorClass::kPermanent,
        "the server answered the TLS handshake in plaintext: " + FirstLine(wire_.first_bytes));
  }
  if (wire_.closed || wire_.error != 0) {
    return TlsError(Cause::kConnectionLost, ErrorClass::kTransient,
                    "the server closed the connection during the TLS handshake");
  }
  if (failure_code_ == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION ||
      failure_code_ == SSL_R_UNSUPPORTED_PROTOCOL) {
    return TlsError(
        Cause::kTlsFailed, ErrorClass::kPermanent,
        "TLS handshake failed: the server speaks no version of TLS that is allowed here");
  }
  const bool passing = failure_code_ == SSL_R_TLSV1_ALERT_INTERNAL_ERROR ||
                       failure_code_ == SSL_R_TLSV1_ALERT_USER_CANCELLED;
  return TlsError(Cause::kTlsFailed, passing ? ErrorClass::kTransient : ErrorClass::kPermanent,
                  "TLS handshake failed: " + failure_);
}

base::Error TlsClient::TransferError() const {
  // In TLS 1.3 the client has done with the handshake before the server asks (RFC 8446 4.4.2.4).
  if (failure_code_ == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED) {
    return TlsError(Cause::kClientCertificate, ErrorClass::kPermanent,
                    "the server wants a certificate of the client");
  }
  std::string detail = "TLS connection broken: " + failure_;
  if (wire_.error != 0) {
    detail = std::string("connection lost: ") + std::strerror(wire_.error);
  } else if (wire_.closed) {
    detail = "the server closed the connection";
  }
  return TlsError(Cause::kConnectionLost, ErrorClass::kTransient, std::move(detail));
}

smtp::ChannelBinding TlsClient::Binding() const {
  smtp::ChannelBinding binding;
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes = {};
  size_t size = 0;
  if (SSL_version(ssl_) >= TLS1_3_VERSION) {
    constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";  // RFC 9266 2
    size = 32;
    if (SSL_export_keying_material(ssl_, bytes.data(), size, kLabel.data(), kLabel.size(), nullptr,
                                   0, /*use_context=*/1) != 1) {
      return binding;
    }
    binding.type = "tls-exporter";
  } else {
    // Without RFC 7627 two connections can be made to share it.
    if (SSL_get_extms_support(ssl_) != 1) return binding;
    // The first Finished message: the client's, of a resumed session the server's.
    size = SSL_session_reused(ssl_) == 1 ? SSL_get_peer_finished(ssl_, bytes.data(), bytes.size())
                                         : SSL_get_finished(ssl_, bytes.data(), bytes.size());
    binding.type = "tls-unique";
  }
  binding.data.assign(reinterpret_cast<const char*>(bytes.data()), size);
  return binding;
}

smtp::TlsInfo TlsClient::info() const {
  smtp::TlsInfo info;
  info.version = SSL_get_version(ssl_);
  info.cipher = SSL_get_cipher_name(ssl_);
  info.resumed = SSL_session_reused(ssl_) == 1;
  info.binding = Binding();
  if (const X509* certificate = SSL_get0_peer_certificate(ssl_)) {
    info.subject = SubjectText(certificate);
    info.not_after = ToTimePoint(X509_get0_notAfter(certificate));
  }
  return info;
}

// Called by OpenSSL for every certificate of the chain, on every verdict.
int TlsClient::OnVerify(int ok, X509_STORE_CTX* chain) {
  if (ok) return ok;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* client = static_cast<TlsClient*>(SSL_get_app_data(ssl));
  if (client->certificate_fault_.empty()) {
    client->certificate_fault_ =
        CertificateFault(X509_STORE_CTX_get_error(chain), X509_STORE_CTX_get_error_depth(chain),
                         X509_STORE_CTX_get_current_cert(chain), client->server_name_);
  }
  return ok;
}

// OpenSSL's own socket BIO raises SIGPIPE and tells neither end of file nor first bytes.
BIO_METHOD* TlsClient::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sendstep socket");
    BIO_meth_set_write(made, WireWrite);
    BIO_meth_set_read(made, WireRead);
    BIO_meth_set_ctrl(made, WireControl);
    return made;
  }();
  return method;
}

int TlsClient::WireWrite(BIO* bio, const char* data, int size) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(wire.descriptor, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<int>(sent);
  if (errno == EAGAIN || errno == EINTR) {
    BIO_set_retry_write(bio);
  } else {
    wire.error = errno;
  }
  return -1;
}

int TlsClient::WireRead(BIO* bio, char* data, int size) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t received = ::recv(wire.descriptor, data, size, MSG_DONTWAIT);
  if (received > 0) {
    const size_t room = kFirstBytes - wire.first_bytes.size();
    wire.first_bytes.append(data, std::min<size_t>(received, room));
    return static_cast<int>(received);
  }
  if (received == 0) {
    wire.closed = true;
    return 0;
  }
  if (errno == EAGAIN || errno == EINTR) {
    wire.drained = true;
    BIO_set_retry_read(bio);
  } else {
    wire.error = errno;
  }
  return -1;
}

long TlsClient::WireControl(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return static_cast<Wire*>(BIO_get_data(bio))->closed;
    default:
      return 0;
  }
}

}  // namespace sendstep::net
