#include "transport/smtp/session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "transport/smtp/command.h"
#include "transport/smtp/sasl.h"
#include "transport/smtp/transaction.h"

namespace sendstep::smtp {

using base::Cause;
using base::ErrorClass;
using base::Reply;
using base::Result;
using base::Stage;

namespace {

// A TLS server says nothing until it is spoken to; no use waiting minutes for its greeting.
constexpr std::chrono::seconds kGreetingOnTlsPort{20};
constexpr int kMaxChallenges = 4;

bool IsTlsPort(uint16_t port) { return port == 465 || port == 2465 || port == 8465; }

// RFC 5321 3.2: HELO where the command EHLO is not recognized, which is 500 or 502 (4.2.4). 501,
// 504 and 550 (4.1.1.1, 4.3.2) refuse the name given, and HELO would give the same one.
bool EhloUnknown(const Reply& reply) { return reply.code == 500 || reply.code == 502; }

// The mechanism was refused, not the credentials (RFC 4954 6). After any other refusal a second
// mechanism would count as a second wrong password.
bool MechanismRefused(const base::Error& error) {
  return error.reply && (error.reply->code == 504 || error.reply->code == 534);
}

base::Error NotUsable() {
  return base::Failed(Stage::kMailFrom, Cause::kConnectionLost, ErrorClass::kTransient,
                      "the session is over");
}

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

}  // namespace

Session::Session(Stream& stream, const SmtpSettings& settings, Observer& observer)
    : stream_(stream), settings_(settings), dialog_(stream, observer, settings.credentials) {}

asio::awaitable<Result<void>> Session::Open(base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (settings_.credentials && settings_.tls.policy == TlsPolicy::kNone &&
      !settings_.allow_plaintext_auth) {
    dialog_.Enter(Stage::kAuth);
    co_return PlaintextCredentials();
  }
  Result<void> done;
  if (settings_.tls.policy == TlsPolicy::kImplicit) {
    dialog_.Enter(Stage::kTls);
    done = co_await Handshake(deadline);
    if (!done) co_return done;
  }
  done = co_await Greet(deadline);
  if (!done) co_return done;
  done = co_await Hello(deadline);
  if (!done) co_return done;
  if (settings_.tls.policy == TlsPolicy::kStartTls) {
    done = co_await StartTls(deadline);
    if (!done) co_return done;
    dialog_.Enter(Stage::kEhlo);
    done = co_await Hello(deadline);
    if (!done) co_return done;
  }
  if (settings_.credentials) {
    done = co_await Authenticate(deadline);
    if (!done) co_return done;
  }
  opened_ = true;
  co_return done;
}

asio::awaitable<Result<void>> Session::Greet(base::Deadline deadline) {
  dialog_.Enter(Stage::kEhlo);
  // Session tickets come before it, and Nagle's algorithm holds it back until they are
  // acknowledged.
  if (tls_) stream_.AcknowledgeNow();
  const bool maybe_tls = !tls_ && IsTlsPort(settings_.port);
  const auto limit = settings_.timeouts.greeting;
  dialog_.Expire(deadline.Within(maybe_tls ? std::min(limit, kGreetingOnTlsPort) : limit));
  auto reply = co_await dialog_.Read();
  if (!reply) {
    base::Error error = reply.error();
    const bool gave_up = error.cause == Cause::kTimeout || error.cause == Cause::kConnectionLost;
    if (maybe_tls && gave_up && !dialog_.heard()) {
      co_return dialog_.Failure(
          Cause::kPlaintextOnTlsPort, ErrorClass::kPermanent,
          "no greeting on port " + std::to_string(settings_.port) + ", where servers wait for TLS");
    }
    if (gave_up && !dialog_.heard()) {
      error.detail = error.cause == Cause::kTimeout ? "no greeting in time"
                                                    : "the server closed without a greeting";
    }
    co_return error;
  }
  if (Refusing(*reply)) {
    base::Error refused = base::Refused(Stage::kEhlo, std::move(*reply));
    refused.cause = Cause::kGreetingRefused;
    co_return refused;
  }
  if (reply->code != 220) co_return dialog_.Unexpected(*reply);
  traits_ = TraitsOf(settings_, *reply);
  co_return Result<void>();
}

asio::awaitable<Result<void>> Session::Hello(base::Deadline deadline) {
  capabilities_ = {};
  dialog_.Expire(deadline.Within(settings_.timeouts.ehlo));
  auto reply = co_await dialog_.Ask(EhloCommand(settings_.ehlo_name));
  if (!reply) co_return reply.error();
  const bool unknown = EhloUnknown(*reply);
  if (unknown) {
    dialog_.Expire(deadline.Within(settings_.timeouts.ehlo));
    reply = co_await dialog_.Ask(HeloCommand(settings_.ehlo_name));
    if (!reply) co_return reply.error();
  }
  if (Refusing(*reply)) co_return base::Refused(Stage::kEhlo, std::move(*reply));
  if (!Completed(*reply)) co_return dialog_.Unexpected(*reply);
  if (unknown) {
    dialog_.Detail("HELO, no extensions");
    co_return Result<void>();
  }
  capabilities_ = ParseCapabilities(dialog_.raw_reply());
  dialog_.Detail(DescribeCapabilities(*reply));
  co_return Result<void>();
}

asio::awaitable<Result<void>> Session::StartTls(base::Deadline deadline) {
  dialog_.Enter(Stage::kTls);
  if (!capabilities_.starttls) {
    co_return dialog_.Failure(Cause::kStartTlsNotOffered, ErrorClass::kPermanent,
                              "the server does not offer STARTTLS");
  }
  dialog_.Expire(deadline.Within(settings_.timeouts.tls));
  auto reply = co_await dialog_.Ask(std::string(kStartTlsCommand));
  if (!reply) co_return reply.error();
  if (Refusing(*reply)) co_return base::Refused(Stage::kTls, std::move(*reply));
  if (reply->code != 220) co_return dialog_.Unexpected(*reply);
  if (dialog_.HasLeftover()) {
    co_return dialog_.Failure(Cause::kStartTlsInjection, ErrorClass::kPermanent,
                              "bytes came between the reply to STARTTLS and the handshake");
  }
  capabilities_ = {};
  Result<void> protected_now = co_await Handshake(deadline);
  if (!protected_now && protected_now.error().cause == Cause::kTlsOnPlaintextPort) {
    // It does know STARTTLS: what came is what someone put in between (RFC 3207 5).
    base::Error error = protected_now.error();
    error.cause = Cause::kStartTlsInjection;
    co_return error;
  }
  co_return protected_now;
}

asio::awaitable<Result<void>> Session::Handshake(base::Deadline deadline) {
  dialog_.Expire(deadline.Within(settings_.timeouts.tls));
  const std::string& named = settings_.tls.server_name;
  auto info = co_await dialog_.StartTls(settings_.tls, named.empty() ? settings_.host : named);
  if (!info) co_return info.error();
  tls_ = std::move(*info);
  co_return Result<void>();
}

base::Error Session::PlaintextCredentials() const {
  return dialog_.Failure(Cause::kPlaintextCredentials, ErrorClass::kPermanent,
                         "credentials would cross the network readable");
}

asio::awaitable<Result<void>> Session::Authenticate(base::Deadline deadline) {
  dialog_.Enter(Stage::kAuth);
  if (!tls_ && !settings_.allow_plaintext_auth) co_return PlaintextCredentials();
  const Result<void> sound = CheckCredentials(*settings_.credentials);
  if (!sound) co_return sound;

  std::vector<SaslMechanism> mechanisms =
      FittingMechanisms(*settings_.credentials, settings_.mechanisms);
  std::vector<std::string> fitting;
  for (const SaslMechanism mechanism : mechanisms) fitting.emplace_back(MechanismName(mechanism));
  const bool bindable = tls_ && !tls_->binding.type.empty();
  std::erase_if(mechanisms, [&](SaslMechanism mechanism) {
    return !capabilities_.Offers(mechanism) ||
           (mechanism == SaslMechanism::kScramSha256Plus && !bindable);
  });
  if (mechanisms.empty()) {
    const std::string offered = Join(capabilities_.auth);
    co_return dialog_.Failure(Cause::kAuthNotOffered, ErrorClass::kPermanent,
                              offered.empty()
                                  ? "the server does not offer AUTH"
                                  : "the server offers AUTH " + offered + ", not " + Join(fitting));
  }
  Result<void> done;
  for (const SaslMechanism mechanism : mechanisms) {
    dialog_.Detail(MechanismName(mechanism));
    done = co_await AuthenticateWith(mechanism, deadline);
    if (done || !MechanismRefused(done.error())) break;
    // Who stands in between may refuse what he cannot pass on (RFC 5802 6).
    if (mechanism == SaslMechanism::kScramSha256Plus) break;
  }
  co_return done;
}

asio::awaitable<Result<void>> Session::AuthenticateWith(SaslMechanism mechanism,
                                                        base::Deadline deadline) {
  const ChannelBinding channel = tls_ ? tls_->binding : ChannelBinding();
  SaslExchange exchange(mechanism, *settings_.credentials, channel,
                        capabilities_.Offers(SaslMechanism::kScramSha256Plus));
  base::Secret line = exchange.Command();
  std::string shown = "AUTH " + std::string(MechanismName(mechanism));
  if (line.Reveal().size() > shown.size() + 2) shown += " " + std::string(kRedacted);
  for (int challenges = 0;; ++challenges) {
    dialog_.Expire(deadline.Within(settings_.timeouts.auth));
    auto written = co_await dialog_.WriteSecret(line, shown);
    if (!written) co_return written.error();
    auto reply = co_await dialog_.Read();
    if (!reply) co_return reply.error();
    if (Completed(*reply)) {
      if (exchange.ServerProved()) co_return Result<void>();
      co_return dialog_.Broken(
          dialog_.Failure(Cause::kProtocol, ErrorClass::kPermanent,
                          "the server does not prove that it knows the password"));
    }
    if (exchange.ServerFailed()) {
      co_return dialog_.Failure(Cause::kProtocol, ErrorClass::kPermanent, exchange.failure());
    }
    if (Refusing(*reply)) {
      co_return base::Refused(Stage::kAuth, std::move(*reply), exchange.failure());
    }
    if (reply->code != 334 || challenges == kMaxChallenges) co_return dialog_.Unexpected(*reply);
    const std::optional<base::Secret> answer = exchange.Answer(dialog_.raw_reply().lines[0]);
    shown = !answer ? "*" : answer->empty() ? "" : std::string(kRedacted);
    std::string text;
    text.reserve(answer ? answer->Reveal().size() + 2 : 3);
    text += answer ? answer->Reveal() : "*";
    text += "\r\n";
    line = base::Secret(text);
    base::Wipe(text);
  }
}

asio::awaitable<Result<DeliveryReport>> Session::Send(const Envelope& envelope,
                                                      const base::Content& message,
                                                      const SendOptions& options,
                                                      base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!opened_ || !dialog_.IsOpen()) co_return NotUsable();
  Transaction transaction(dialog_, capabilities_, traits_, settings_.timeouts,
                          std::exchange(rset_first_, false), options, deadline);
  auto report = co_await transaction.Send(envelope, message);
  rset_first_ = transaction.refused();
  distrust_ = transaction.distrust();
  co_return report;
}

asio::awaitable<Result<DeliveryReport>> Session::Probe(const Envelope& envelope,
                                                       base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (!opened_ || !dialog_.IsOpen()) co_return NotUsable();
  Transaction transaction(dialog_, capabilities_, traits_, settings_.timeouts,
                          std::exchange(rset_first_, false), SendOptions(), deadline);
  auto report = co_await transaction.Probe(envelope);
  rset_first_ = transaction.refused();
  co_return report;
}

void Session::Observe(Observer& observer) {
  dialog_.Observe(observer);
  if (tls_) observer.TlsEstablished(*tls_);
}

void Session::Avoid(const Distrust& distrust) {
  if (distrust.pipelining) capabilities_.pipelining = false;
  if (distrust.chunking) capabilities_.chunking = false;
  if (distrust.at_once) traits_.max_flight_bytes = 0;
}

asio::awaitable<void> Session::Quit(base::Deadline deadline) {
  co_await asio::this_coro::throw_if_cancelled(false);
  if (dialog_.InStep() && !deadline.Passed()) {
    dialog_.Expire(deadline.Within(settings_.timeouts.quit));
    co_await dialog_.Ask(std::string(kQuitCommand));
  }
  opened_ = false;
  stream_.Close();
}

}  // namespace sendstep::smtp
