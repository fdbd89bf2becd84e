#include "transport/net/tls_sessions.h"

#include <cstdint>

namespace sendstep::net {
namespace {

// When the certificate of a session was verified. A ticket that comes over a resumed connection
// makes a copy of the session resumed, and this is copied along.
int VerifiedIndex() {
  static const int index = SSL_SESSION_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

std::time_t VerifiedAt(const SSL_SESSION* session) {
  return reinterpret_cast<intptr_t>(SSL_SESSION_get_ex_data(session, VerifiedIndex()));
}

}  // namespace

int TlsSessions::Index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

void TlsSessions::Enable(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, OnNewSession);
}

void TlsSessions::Attach(SSL* ssl) {
  SSL_set_ex_data(ssl, Index(), this);
  if (const Session session = Take()) SSL_set_session(ssl, session.get());
}

int TlsSessions::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  auto* sessions = static_cast<TlsSessions*>(SSL_get_ex_data(ssl, Index()));
  if (sessions == nullptr || SSL_SESSION_is_resumable(session) == 0) return 0;
  if (VerifiedAt(session) == 0) {
    SSL_SESSION_set_ex_data(session, VerifiedIndex(),
                            reinterpret_cast<void*>(static_cast<intptr_t>(sessions->now_())));
  }
  // A copy: OpenSSL spoils the session of a connection that breaks off.
  Session copy(SSL_SESSION_dup(session));
  if (!copy) return 0;
  const std::lock_guard lock(sessions->mutex_);
  if (sessions->sessions_.size() == kMost) sessions->sessions_.pop_front();
  sessions->sessions_.push_back(std::move(copy));
  sessions->had_any_ = true;
  return 0;  // no reference is kept
}

bool TlsSessions::Forget() {
  const std::lock_guard lock(mutex_);
  sessions_.clear();
  return std::exchange(had_any_, false);
}

bool TlsSessions::TooOld(const SSL_SESSION* session) const {
  return now_() - VerifiedAt(session) >= kMaxAge.count();
}

TlsSessions::Session TlsSessions::Take() {
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [this](const Session& session) { return TooOld(session.get()); });
  if (sessions_.empty()) return nullptr;
  SSL_SESSION* newest = sessions_.back().get();
  // Up to TLS 1.2 a session serves many connections; a ticket of 1.3 one (RFC 8446 C.4).
  if (SSL_SESSION_get_protocol_version(newest) < TLS1_3_VERSION) {
    return Session(SSL_SESSION_dup(newest));
  }
  Session taken = std::move(sessions_.back());
  sessions_.pop_back();
  return taken;
}

}  // namespace sendstep::net
