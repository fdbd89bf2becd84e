// Refusals that no profile knows: by stage, reply code (RFC 5321 4.2), enhanced code (RFC 3463, RFC
// 5248) and the words servers use.
#include <algorithm>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "providers/explain_policy.h"
#include "providers/pattern.h"

namespace sendstep::providers {
namespace {

using base::Reply;
using base::Stage;
using smtp::TlsPolicy;

constexpr char kHello[] = "\\b(helo|ehlo|hostname|fqdn|fully.qualified)\\b";
constexpr char kAppPassword[] = "app(lication)?[- ](specific[- ])?password";
constexpr char kDisabled[] = "\\b(disabled|not enabled|switched off|deactivated)\\b";
constexpr char kWantsTls[] =
    "starttls|\\b(must|need|require[sd]?).*\\b(tls|ssl|encrypt)|\\b(tls|ssl|encryption) (is "
    ")?(required|needed)";
constexpr char kWantsAuth[] =
    "auth(entication|entication is|entication has been)? (is )?(required|needed)|not authenticated|"
    "unauthenticated|authenticate first|login first|must (log ?in|authenticate)";
constexpr char kRelay[] = "\\brelay(ing|ed)?\\b";
constexpr char kGreylist[] = "gr[ea]y[- ]?list";
constexpr char kRate[] =
    "\\brate\\b|throttl|too (many|fast|quickly|frequent)|slow down|limit exceeded|exceeded.*limit";
constexpr char kQuota[] =
    "(daily|hourly|monthly|sending|account|plan).*(quota|limit)|quota "
    "exceeded|(quota|credits?|limit) "
    "(has been |is |was )?(exceeded|used up|reached)";
constexpr char kTooLarge[] =
    "\\bsize\\b.*(limit|exceed)|exceed.*\\bsize\\b|too (large|big|long)\\b";
constexpr char kDomainRecords[] = "\\b(spf|dkim|dmarc)\\b";
constexpr char kNotYourFrom[] =
    "not (allowed|authori[sz]ed|permitted) to send (as|from|on behalf)|send ?as ?denied|not owned "
    "by|(from|sender).*not "
    "(verified|allowed|authori[sz]ed|permitted)|unverified (sender|from)";
constexpr char kClientRefused[] = "client (host|address).*(rejected|denied|refused)";
constexpr char kSender[] =
    "\\b(sender|from|envelope-from|return.?path|identity|originator)\\b|not owned by|send ?as";

bool Says(const std::string& text, const char* pattern) {
  return re2::RE2::PartialMatch(text, CachedPattern(pattern));
}

struct Refusal {
  const Reply& reply;
  std::string text;  // PatternText
  const Resolved& resolved;
  bool some_accepted = false;  // recipients

  bool Enhanced(std::string_view subject_and_detail) const {
    const std::string& code = reply.enhanced_code;
    return code.size() > 2 && std::string_view(code).substr(2) == subject_and_detail;
  }
  bool HasCredentials() const { return resolved.settings.credentials.has_value(); }
  bool HasToken() const { return providers::HasToken(resolved); }
  std::string Endpoint() const { return providers::Endpoint(resolved); }
};

Explained WantsTls(const Refusal& refusal) {
  return Permanent("AUTH_REQUIRED", Fault::kConfig,
                   absl::StrCat(refusal.Endpoint(), " wants TLS before anything else."),
                   "Switch TLS on.");
}

Explained WantsLogin(const Refusal& refusal) {
  if (refusal.HasCredentials()) {
    return Permanent(
        "AUTH_REQUIRED", Fault::kConfig,
        absl::StrCat(refusal.Endpoint(), " does not take this email from this login."),
        "Check that the account may send to other domains and from this From address.");
  }
  return Permanent("AUTH_REQUIRED", Fault::kConfig,
                   absl::StrCat(refusal.Endpoint(), " takes mail only after a login."),
                   "Set username and password.");
}

// A 552 to RCPT speaks of the recipient's mailbox.
bool TooLarge(const Refusal& refusal, Stage stage) {
  if (refusal.Enhanced("3.4") || refusal.Enhanced("2.3")) return true;
  if (!refusal.reply.Permanent() || refusal.Enhanced("2.2")) return false;
  return (refusal.reply.code == 552 && stage != Stage::kRcptTo) ||
         (stage >= Stage::kMailFrom && Says(refusal.text, kTooLarge));
}

// The replies that mean the same at every stage.
bool ExplainAnywhere(const Refusal& refusal, Stage stage, Explained& explained) {
  const Reply& reply = refusal.reply;
  if (refusal.resolved.settings.tls.policy == TlsPolicy::kNone && reply.Permanent() &&
      (reply.code == 538 || Says(refusal.text, kWantsTls))) {
    explained = WantsTls(refusal);
  } else if (TooLarge(refusal, stage)) {
    explained = Permanent("MESSAGE_TOO_LARGE", Fault::kConfig,
                          "The email is larger than the server or a mailbox takes.",
                          "Send smaller attachments, or a link to them.");
  } else {
    return false;
  }
  return true;
}

Explained Busy(const Refusal& refusal) {
  if (Says(refusal.text, kGreylist)) {
    return Passing("SERVER_UNAVAILABLE", Fault::kProvider, kGreylistDelay,
                   "The server puts off senders it does not know yet (greylisting).",
                   "Send again after some minutes.");
  }
  if (Says(refusal.text, kQuota)) {
    return Passing("QUOTA_EXCEEDED", Fault::kProvider, kQuotaDelay,
                   "The account has sent as much as its provider allows for now.",
                   "Wait, or ask the provider for a higher limit.");
  }
  if (refusal.Enhanced("7.28") || refusal.Enhanced("4.5") || Says(refusal.text, kRate)) {
    return Passing("RATE_LIMITED", Fault::kProvider, kThrottleDelay,
                   "The server asks to send more slowly.", "Send more slowly and try again later.");
  }
  return Passing("SERVER_UNAVAILABLE", Fault::kProvider, kThrottleDelay,
                 absl::StrCat(refusal.Endpoint(), " refuses for now (", refusal.reply.code, ")."),
                 "Try again later; if it goes on, look at the provider's status page and logs.");
}

Explained AtGreeting(const Refusal& refusal) {
  if (refusal.reply.Transient()) return Busy(refusal);
  return Permanent(
      "GREETING_REFUSED", Fault::kProvider,
      absl::StrCat(refusal.Endpoint(), " does not serve this client (", refusal.reply.code, ")."),
      "Check host and port; the provider may block the IP address that sends.");
}

Explained AtHello(const Refusal& refusal) {
  const Reply& reply = refusal.reply;
  const bool names_hello = Says(refusal.text, kHello);
  if (reply.Transient()) {
    Explained busy = Busy(refusal);
    if (names_hello) busy.what_to_do = "Set domain to a domain of your own; then try again.";
    return busy;
  }
  if (names_hello || reply.code == 501 || reply.code == 504 || reply.code == 550 ||
      reply.code == 553) {
    const std::string& name = refusal.resolved.settings.ehlo_name;
    return Permanent("EHLO_REFUSED", Fault::kConfig,
                     absl::StrCat("The server does not take the name",
                                  name.empty() ? "" : absl::StrCat(" ", name), " given at EHLO."),
                     "Set domain to a domain of your own, such as yourdomain.com.");
  }
  return AtGreeting(refusal);
}

Explained AtTls(const Refusal& refusal) {
  if (refusal.reply.Transient()) {
    return Passing("TLS_FAILED", Fault::kProvider, kThrottleDelay,
                   absl::StrCat(refusal.Endpoint(), " cannot start TLS at this moment."),
                   "Try again later.");
  }
  return Permanent("STARTTLS_NOT_OFFERED", Fault::kConfig,
                   absl::StrCat(refusal.Endpoint(), " refuses STARTTLS."),
                   "Use a port with TLS (465 with tls implicit).");
}

Explained WrongPassword(const Refusal& refusal) {
  if (refusal.HasToken() && !refusal.resolved.settings.credentials->token_of.empty()) {
    return Permanent(
        "AUTH_REFUSED", Fault::kPlugin,
        "The server does not accept the OAuth token that sendstep fetched for this relay.",
        "Its operator checks the relay's username, and the scope and the application of "
        "its oauth2.");
  }
  if (refusal.HasToken()) {
    return Permanent(
        "AUTH_REFUSED", Fault::kConfig, "The server does not accept this OAuth token.",
        "Get a new token: it may have expired, lack the scope for SMTP, or belong to another "
        "mailbox than the username.");
  }
  std::string advice;
  if (refusal.resolved.profile != nullptr && refusal.resolved.profile->id() != "custom") {
    const Profile& profile = *refusal.resolved.profile;
    advice = absl::StrCat("Username: ", profile.username().help(),
                          " Password: ", profile.password().help());
  } else {
    advice =
        "Check both. Many providers want an app password or API key instead of the account's "
        "password; a "
        "password of a SAML or SSO login is not known to SMTP servers.";
  }
  return Permanent("AUTH_REFUSED", Fault::kConfig,
                   "The server does not accept this username and password.", advice);
}

Explained AtAuth(const Refusal& refusal) {
  const Reply& reply = refusal.reply;
  if (!refusal.HasToken() && Says(refusal.text, kAppPassword)) {
    return Permanent(
        "APP_PASSWORD_REQUIRED", Fault::kConfig,
        "The provider wants an app password instead of the account's.",
        "Make an app password in the account's security settings and use it as password.");
  }
  if (reply.Transient()) {
    return Passing(
        "AUTH_UNAVAILABLE", Fault::kProvider, kAuthDelay,
        absl::StrCat(refusal.Endpoint(), " refuses the login for now (", reply.code, ")."),
        "Try again in a minute; if it goes on, check username and password.");
  }
  if (Says(refusal.text, kDisabled)) {
    return Permanent(
        "AUTH_DISABLED", Fault::kProvider,
        "Login over SMTP is switched off for this account; the password is not the problem.",
        "Ask the provider's administrator to allow SMTP AUTH for it.");
  }
  if (reply.code >= 500 && reply.code <= 504) {
    return Permanent("AUTH_NOT_OFFERED", Fault::kConfig,
                     absl::StrCat(refusal.Endpoint(), " does not know this kind of login."),
                     "Check the port: servers often take a login on 587 and 465 only.");
  }
  return WrongPassword(refusal);
}

bool DeniesLogin(const Refusal& refusal) {
  // "Unauthenticated" is also what receivers call a domain without SPF and DKIM.
  return refusal.reply.code == 530 ||
         (Says(refusal.text, kWantsAuth) && !Says(refusal.text, kDomainRecords));
}

Explained FromNotAllowed() {
  return Permanent(
      "FROM_NOT_ALLOWED", Fault::kConfig,
      "The provider does not let this account send from this address.",
      "Send from an address of the account, or verify the From address or its domain there.");
}

Explained AtMailFrom(const Refusal& refusal) {
  const Reply& reply = refusal.reply;
  if (reply.Transient()) return Busy(refusal);
  if (DeniesLogin(refusal)) return WantsLogin(refusal);
  if (Says(refusal.text, kQuota)) return Busy(refusal);
  const bool policy = reply.code == 550 || reply.code == 553 || reply.code == 554 ||
                      refusal.Enhanced("7.1") || refusal.Enhanced("7.60");
  const bool malformed = refusal.Enhanced("1.7") || refusal.Enhanced("1.8");
  if (policy && !malformed && (refusal.Enhanced("7.60") || Says(refusal.text, kSender))) {
    return FromNotAllowed();
  }
  return Permanent(
      "SENDER_REFUSED", Fault::kConfig,
      absl::StrCat("The server refuses the sender's address (", reply.code, ")."),
      "Check the From address and envelope_sender: their domain must exist and be yours.");
}

Explained AtRecipients(const Refusal& refusal) {
  const Reply& reply = refusal.reply;
  if (refusal.Enhanced("2.2") || reply.code == 552) {
    constexpr char kMessage[] = "The recipient's mailbox is full.";
    return reply.Transient()
               ? Passing("SERVER_UNAVAILABLE", Fault::kProvider, kMailboxFullDelay, kMessage,
                         "Tell the recipient, or send again later.")
               : Permanent("RECIPIENTS_REFUSED", Fault::kConfig, kMessage,
                           "Tell the recipient by other means: only they can make room.");
  }
  if (refusal.Enhanced("5.3")) {
    return Permanent("LIMIT_EXCEEDED", Fault::kConfig,
                     "The email has more recipients than the server takes at once.",
                     "Send to fewer recipients in one email.");
  }
  if (reply.Transient()) return Busy(refusal);
  if (DeniesLogin(refusal)) return WantsLogin(refusal);
  // Postfix judges client and sender when the first recipient comes (smtpd_delay_reject).
  if (Says(refusal.text, kNotYourFrom)) return FromNotAllowed();
  const bool login_may_help = Says(refusal.text, kRelay) || Says(refusal.text, kClientRefused);
  if (login_may_help && !refusal.HasCredentials()) return WantsLogin(refusal);
  if (Says(refusal.text, kRelay)) {
    return Permanent(
        "RECIPIENTS_REFUSED", Fault::kConfig,
        "The server does not send to this recipient's domain for this account.",
        "Check that this is the server for sending (not the one that receives mail), and what the "
        "account may send to.");
  }
  if (refusal.some_accepted) {
    return Permanent("RECIPIENTS_REFUSED", Fault::kConfig,
                     absl::StrCat("The server does not accept all of the recipients (", reply.code,
                                  "); nothing was sent."),
                     "Check the recipients' addresses.");
  }
  return Permanent("RECIPIENTS_REFUSED", Fault::kConfig,
                   absl::StrCat("The server accepts none of the recipients (", reply.code, ")."),
                   "Check the recipients' addresses.");
}

Explained AtData(const Refusal& refusal) {
  const Reply& reply = refusal.reply;
  if (reply.Transient()) return Busy(refusal);
  if (DeniesLogin(refusal)) return WantsLogin(refusal);
  if (Says(refusal.text, "no valid recipients?")) {
    return Permanent("RECIPIENTS_REFUSED", Fault::kConfig,
                     "The server accepts none of the recipients.",
                     "Check the recipients' addresses.");
  }
  if (refusal.Enhanced("7.60") || Says(refusal.text, kNotYourFrom)) {
    return FromNotAllowed();
  }
  if (Says(refusal.text, kQuota)) return Busy(refusal);
  return Permanent(
      "MESSAGE_REFUSED", Fault::kProvider,
      absl::StrCat("The server refuses the email (", reply.code,
                   refusal.Enhanced("7.1") ? ", by its policy" : "", ")."),
      "Look at the server's words: content, attachments and links, and SPF, DKIM and DMARC of the "
      "From domain are what servers judge here.");
}

}  // namespace

Explained ExplainReply(const base::Error& error, const Reply& reply, const Resolved& resolved) {
  const bool some_accepted = std::any_of(error.recipients.begin(), error.recipients.end(),
                                         [](const auto& outcome) { return outcome.accepted; });
  const Refusal refusal{reply, PatternText(reply), resolved, some_accepted};
  Explained explained;
  if (ExplainAnywhere(refusal, error.stage, explained)) return explained;
  switch (error.stage) {
    case Stage::kEhlo:
      return error.cause == base::Cause::kGreetingRefused ? AtGreeting(refusal) : AtHello(refusal);
    case Stage::kTls:
      return AtTls(refusal);
    case Stage::kAuth:
      return AtAuth(refusal);
    case Stage::kMailFrom:
      return AtMailFrom(refusal);
    case Stage::kRcptTo:
      return AtRecipients(refusal);
    case Stage::kData:
      return AtData(refusal);
    case Stage::kConfig:
    case Stage::kDns:
    case Stage::kTcp:
      break;
  }
  if (reply.Transient()) return Busy(refusal);
  return Permanent("PROTOCOL_ERROR", Fault::kProvider,
                   absl::StrCat(refusal.Endpoint(), " refuses (", reply.code, ")."),
                   "Try a test send and look at its transcript.");
}

}  // namespace sendstep::providers
