// TLS sessions of one account, kept so that its next connections need no full handshake (RFC 8446
// 2.2, RFC 5077). A resumed connection's certificate was verified in the full handshake that its
// session comes from, over however many resumptions, at most kMaxAge ago; so sessions must be kept
// apart wherever name, trust or credentials differ.
//
// Threads: thread-safe. Lifetime: outlives the connections that use it.
#ifndef SENDSTEP_TRANSPORT_NET_TLS_SESSIONS_H_
#define SENDSTEP_TRANSPORT_NET_TLS_SESSIONS_H_

#include <openssl/ssl.h>

#include <chrono>
#include <ctime>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace sendstep::net {

class TlsSessions {
 public:
  static constexpr size_t kMost = 8;  // a server sends two with each handshake
  static constexpr std::chrono::seconds kMaxAge = std::chrono::hours(1);
  // Seconds since 1970.
  using Now = std::function<std::time_t()>;

  explicit TlsSessions(Now now = [] { return std::time(nullptr); }) : now_(std::move(now)) {}

  // Has clients of `context` offer what is given by Attach, and keep what servers send.
  static void Enable(SSL_CTX* context);
  // For `ssl`, a client before its handshake: it resumes the newest session, if there is one.
  void Attach(SSL* ssl);
  // All there are, where a handshake failed and one of them may be why. False: there were none
  // since the last time.
  bool Forget();

 private:
  struct Free {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  };
  using Session = std::unique_ptr<SSL_SESSION, Free>;

  static int Index();
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);
  bool TooOld(const SSL_SESSION* session) const;
  Session Take();

  const Now now_;
  std::mutex mutex_;
  std::deque<Session> sessions_;  // the newest last
  bool had_any_ = false;          // since Forget()
};

}  // namespace sendstep::net

#endif  // SENDSTEP_TRANSPORT_NET_TLS_SESSIONS_H_
