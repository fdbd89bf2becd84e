// smtp::Stream over a connected TCP socket, in clear or, after StartTls(), under TLS.
//
// A write that fails leaves the peer with half a line or half a TLS record: every later write then
// fails with kConnectionLost. Reads go on, because the server may have said why.
// A StartTls() that fails closes the stream: nothing can follow in clear.
// Lifetime: must not be destroyed while an operation is pending.
#ifndef SENDSTEP_TRANSPORT_NET_TCP_STREAM_H_
#define SENDSTEP_TRANSPORT_NET_TCP_STREAM_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>

#include "transport/net/tls_client.h"
#include "transport/net/tls_sessions.h"
#include "transport/smtp/stream.h"

namespace sendstep::net {

class TcpStream : public smtp::Stream {
 public:
  // `tls_sessions`, where given, are resumed and added to.
  explicit TcpStream(boost::asio::ip::tcp::socket socket,
                     std::shared_ptr<TlsSessions> tls_sessions = nullptr);
  ~TcpStream() override;
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  boost::asio::awaitable<base::Result<size_t>> ReadSome(
      boost::asio::mutable_buffer buffer) override;
  base::Result<size_t> ReadAvailable(boost::asio::mutable_buffer buffer) override;
  boost::asio::awaitable<base::Result<void>> Write(
      std::span<const boost::asio::const_buffer> buffers) override;
  boost::asio::awaitable<base::Result<smtp::TlsInfo>> StartTls(
      const smtp::TlsSettings& settings, const std::string& server_name) override;
  void AcknowledgeNow() override;
  void Expire(base::Deadline deadline) override;
  void Close() override;

  // From one coroutine to another on another strand: Detach() on the one, when no operation is
  // pending, then Attach() on the other, before anything else.
  void Detach();
  void Attach(const boost::asio::any_io_executor& executor);

 private:
  class Cursor;

  boost::asio::awaitable<base::Result<void>> WritePlain(Cursor& cursor);
  boost::asio::awaitable<base::Result<void>> WriteTls(Cursor& cursor);
  // Repeats `step` until it is done, waiting for the socket in between.
  template <class Step>
  boost::asio::awaitable<base::Result<size_t>> Drive(Step step);
  // Why no operation may go on, where there is such a reason.
  std::optional<base::Error> Stopped(const boost::asio::cancellation_state& state) const;
  base::Error Broken(const boost::system::error_code& ec) const;
  base::Error TransferError() const;
  void ArmTimer();

  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<TlsSessions> tls_sessions_;
  std::unique_ptr<TlsClient> tls_;
  bool handshaken_ = false;
  bool write_failed_ = false;

  // Expire() only moves `deadline_`, unless the timer would come too late: a new stage every
  // millisecond costs no timer operation.
  base::Deadline deadline_;
  boost::asio::any_io_executor executor_;  // of the coroutine that uses it
  boost::asio::steady_timer timer_;
  std::optional<base::Clock::time_point> armed_for_;
  // The timer's handler may be queued when this is destroyed or has gone to another strand.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_TCP_STREAM_H_
