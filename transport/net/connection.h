// One connection to an account's server with the session on it, for one send after another.
#ifndef SENDSTEP_TRANSPORT_NET_CONNECTION_H_
#define SENDSTEP_TRANSPORT_NET_CONNECTION_H_

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <utility>

#include "transport/net/send_queue.h"
#include "transport/net/tcp_stream.h"
#include "transport/net/tls_sessions.h"
#include "transport/smtp/observer.h"
#include "transport/smtp/session.h"
#include "transport/smtp/settings.h"

namespace sendstep::net {

// Threads: as TcpStream and Session.
struct Connection {
  Connection(boost::asio::ip::tcp::socket socket, smtp::SmtpSettings the_settings,
             std::shared_ptr<TlsSessions> tls_sessions, smtp::Observer& observer)
      : settings(std::move(the_settings)),
        stream(std::move(socket), std::move(tls_sessions)),
        session(stream, settings, observer) {}

  const smtp::SmtpSettings settings;  // those of the send that opened it
  TcpStream stream;
  smtp::Session session;
  SendQueue::Connection record;  // the pool's
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_CONNECTION_H_
