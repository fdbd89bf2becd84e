#include "providers/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "providers/reasons.h"

namespace sendstep::providers {
namespace {

using base::Cause;
using base::ErrorClass;
using base::Stage;
using smtp::TlsPolicy;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr Stage kStages[] = {Stage::kConfig,   Stage::kDns,    Stage::kTcp,
                             Stage::kTls,      Stage::kEhlo,   Stage::kAuth,
                             Stage::kMailFrom, Stage::kRcptTo, Stage::kData};
constexpr ErrorClass kClasses[] = {ErrorClass::kPermanent, ErrorClass::kTransient,
                                   ErrorClass::kUncertain};

const Registry& Embedded() {
  static const Registry& registry = *new Registry(Registry::Embedded());
  return registry;
}

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    resolved_.profile = &Embedded().Custom();
    resolved_.settings.host = "smtp.example.com";
    resolved_.settings.port = 587;
  }

  void Login() {
    resolved_.settings.credentials.emplace();
    resolved_.settings.credentials->username = "user";
    resolved_.settings.credentials->password = base::Secret("hunter2");
  }

  Explained Reply(Stage stage, int code, const std::string& enhanced,
                  const std::string& text) const {
    return Explain(base::Refused(stage, base::Reply{code, enhanced, {text}}), resolved_);
  }
  Explained Fail(Stage stage, Cause cause, ErrorClass error_class = ErrorClass::kTransient,
                 const std::string& detail = "") const {
    return Explain(base::Failed(stage, cause, error_class, detail), resolved_);
  }

  static void ExpectWhole(const Explained& explained, const std::string& what) {
    EXPECT_TRUE(IsReason(explained.reason)) << what << ": " << explained.reason;
    EXPECT_FALSE(explained.message.empty()) << what;
    EXPECT_FALSE(explained.what_to_do.empty()) << what;
    EXPECT_EQ(explained.message.back(), '.') << what << ": " << explained.message;
    EXPECT_THAT(explained.what_to_do.back(), testing::AnyOf('.', '?'))
        << what << ": " << explained.what_to_do;
    EXPECT_EQ(explained.retryable == Retryable::kTrue, explained.retry_after.count() > 0) << what;
  }

  Resolved resolved_;
};

// Nothing falls through.

TEST_F(ExplainTest, EveryCauseAtEveryStageIsExplained) {
  for (int cause = 0; cause <= static_cast<int>(Cause::kHeldBack); ++cause) {
    for (const Stage stage : kStages) {
      for (const ErrorClass error_class : kClasses) {
        const std::string what =
            std::string(base::StageName(stage)) + " cause " + std::to_string(cause);
        ExpectWhole(Fail(stage, static_cast<Cause>(cause), error_class, "some detail"), what);
      }
    }
  }
}

TEST_F(ExplainTest, EveryReplyCodeAtEveryStageIsExplained) {
  for (const auto& profile : Embedded().profiles()) {
    resolved_.profile = profile.get();
    for (const Stage stage : kStages) {
      for (int code = 400; code < 600; ++code) {
        const Explained explained = Reply(stage, code, "", "no");
        ExpectWhole(explained, profile->id() + " " + std::to_string(code));
        EXPECT_EQ(explained.retryable, code < 500 ? Retryable::kTrue : Retryable::kFalse) << code;
      }
    }
  }
}

TEST_F(ExplainTest, AuthIsNeverRetriedAfter5xxAndRestsAMinuteAfter4xx) {
  for (const auto& profile : Embedded().profiles()) {
    resolved_.profile = profile.get();
    for (const char* text :
         {"no", "daily quota exceeded", "too many requests", "greylisted", "try later"}) {
      for (int code = 400; code < 600; ++code) {
        const Explained explained = Reply(Stage::kAuth, code, "", text);
        if (code >= 500) {
          EXPECT_EQ(explained.retryable, Retryable::kFalse) << code << text;
        } else if (explained.retryable == Retryable::kTrue) {
          EXPECT_GE(explained.retry_after, seconds(60)) << code << text;
        }
      }
    }
  }
}

TEST_F(ExplainTest, RefusedGreetingIsNotAboutTheNameGivenLater) {
  for (const int code : {501, 504, 550, 553, 554}) {
    base::Error error = base::Refused(Stage::kEhlo, {code, "5.7.1", {"Your IP is on a list"}});
    error.cause = Cause::kGreetingRefused;
    const Explained explained = Explain(error, resolved_);
    EXPECT_EQ(explained.reason, "GREETING_REFUSED") << code;
    EXPECT_EQ(explained.fault, Fault::kProvider) << code;
  }
}

TEST_F(ExplainTest, UncertainSaysWhoseTheMissingAnswerIs) {
  const auto uncertain = [this](Cause cause) {
    return Fail(Stage::kData, cause, ErrorClass::kUncertain);
  };
  EXPECT_EQ(uncertain(Cause::kTimeout).fault, Fault::kNetwork);
  EXPECT_THAT(uncertain(Cause::kTimeout).message, HasSubstr("never came"));
  EXPECT_EQ(uncertain(Cause::kProtocol).fault, Fault::kProvider);
  EXPECT_THAT(uncertain(Cause::kProtocol).message, HasSubstr("makes no sense"));
  EXPECT_EQ(uncertain(Cause::kStopped).fault, Fault::kPlugin);
  EXPECT_THAT(uncertain(Cause::kStopped).message, HasSubstr("was stopped"));
}

TEST_F(ExplainTest, UncertainIsUncertainWhateverTheCause) {
  for (int cause = 0; cause <= static_cast<int>(Cause::kHeldBack); ++cause) {
    const Explained explained =
        Fail(Stage::kData, static_cast<Cause>(cause), ErrorClass::kUncertain);
    EXPECT_EQ(explained.reason, "DELIVERY_UNCERTAIN");
    EXPECT_EQ(explained.retryable, Retryable::kUncertain);
    EXPECT_THAT(explained.message, HasSubstr("may have been accepted"));
    EXPECT_THAT(explained.what_to_do, HasSubstr("twice"));
  }
}

TEST_F(ExplainTest, ProfileMayBeMissing) {
  resolved_.profile = nullptr;
  EXPECT_EQ(Reply(Stage::kAuth, 535, "5.7.8", "no").reason, "AUTH_REFUSED");
  EXPECT_EQ(Fail(Stage::kTcp, Cause::kTimeout).reason, "TIMEOUT");
}

// Network and TLS.

struct CauseCase {
  Cause cause;
  Stage stage;
  const char* reason;
  Fault fault;
  Retryable retryable;
};

TEST_F(ExplainTest, CausesHaveTheirReasonAndFault) {
  const CauseCase cases[] = {
      {Cause::kInvalid, Stage::kConfig, "FIELD_INVALID", Fault::kConfig, Retryable::kFalse},
      {Cause::kHostNotFound, Stage::kDns, "HOST_NOT_FOUND", Fault::kConfig, Retryable::kFalse},
      {Cause::kDnsFailed, Stage::kDns, "DNS_FAILED", Fault::kNetwork, Retryable::kTrue},
      {Cause::kConnectionRefused, Stage::kTcp, "CONNECTION_REFUSED", Fault::kNetwork,
       Retryable::kTrue},
      {Cause::kUnreachable, Stage::kTcp, "HOST_UNREACHABLE", Fault::kNetwork, Retryable::kTrue},
      {Cause::kTimeout, Stage::kDns, "TIMEOUT", Fault::kNetwork, Retryable::kTrue},
      {Cause::kTimeout, Stage::kTcp, "TIMEOUT", Fault::kNetwork, Retryable::kTrue},
      {Cause::kTimeout, Stage::kMailFrom, "TIMEOUT", Fault::kProvider, Retryable::kTrue},
      {Cause::kCancelled, Stage::kTcp, "CANCELLED", Fault::kCaller, Retryable::kTrue},
      {Cause::kConnectionLost, Stage::kMailFrom, "CONNECTION_LOST", Fault::kNetwork,
       Retryable::kTrue},
      {Cause::kTlsOnPlaintextPort, Stage::kTls, "TLS_ON_PLAINTEXT_PORT", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kPlaintextOnTlsPort, Stage::kEhlo, "PLAINTEXT_ON_TLS_PORT", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kCertificate, Stage::kTls, "CERTIFICATE_INVALID", Fault::kConfig, Retryable::kFalse},
      {Cause::kStartTlsNotOffered, Stage::kTls, "STARTTLS_NOT_OFFERED", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kStartTlsInjection, Stage::kTls, "STARTTLS_INJECTION", Fault::kNetwork,
       Retryable::kFalse},
      {Cause::kAuthNotOffered, Stage::kAuth, "AUTH_NOT_OFFERED", Fault::kConfig, Retryable::kFalse},
      {Cause::kPlaintextCredentials, Stage::kAuth, "PLAINTEXT_CREDENTIALS", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kMessageTooLarge, Stage::kMailFrom, "MESSAGE_TOO_LARGE", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kProxy, Stage::kTcp, "PROXY_FAILED", Fault::kPlugin, Retryable::kTrue},
      {Cause::kExtensionNotOffered, Stage::kMailFrom, "EXTENSION_NOT_OFFERED", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kSmtpUtf8NotOffered, Stage::kMailFrom, "SMTPUTF8_NOT_OFFERED", Fault::kConfig,
       Retryable::kFalse},
      {Cause::kGateClosed, Stage::kData, "LEDGER_UNAVAILABLE", Fault::kPlugin, Retryable::kTrue},
      {Cause::kStopped, Stage::kTcp, "SHUTTING_DOWN", Fault::kPlugin, Retryable::kTrue},
      {Cause::kTokenNotFetched, Stage::kAuth, "AUTH_UNAVAILABLE", Fault::kNetwork,
       Retryable::kTrue},
      {Cause::kCertificate, Stage::kAuth, "CERTIFICATE_INVALID", Fault::kPlugin, Retryable::kFalse},
      {Cause::kHeldBack, Stage::kTcp, "HELD_BACK", Fault::kPlugin, Retryable::kTrue},
  };
  for (const CauseCase& c : cases) {
    const Explained explained = Fail(c.stage, c.cause);
    EXPECT_EQ(explained.reason, c.reason);
    EXPECT_EQ(explained.fault, c.fault) << c.reason;
    EXPECT_EQ(explained.retryable, c.retryable) << c.reason;
  }
}

TEST_F(ExplainTest, ImplicitTlsOnAStartTlsPortNamesBothAndThePort) {
  resolved_.settings.tls.policy = TlsPolicy::kImplicit;
  const Explained explained = Fail(Stage::kTls, Cause::kTlsOnPlaintextPort, ErrorClass::kPermanent);
  EXPECT_EQ(explained.message,
            "Port 587 of smtp.example.com wants STARTTLS; you chose implicit TLS.");
  EXPECT_THAT(explained.what_to_do, HasSubstr("tls to starttls"));
}

TEST_F(ExplainTest, StartTlsOnAnImplicitPortNamesBothAndThePort) {
  resolved_.settings.port = 465;
  const Explained explained =
      Fail(Stage::kEhlo, Cause::kPlaintextOnTlsPort, ErrorClass::kPermanent);
  EXPECT_EQ(explained.message,
            "Port 465 of smtp.example.com wants implicit TLS; you chose STARTTLS.");
  EXPECT_THAT(explained.what_to_do, HasSubstr("tls to implicit or on"));
}

TEST_F(ExplainTest, TimeoutOnPort25BlamesTheBlockade) {
  resolved_.settings.port = 25;
  const Explained explained = Fail(Stage::kTcp, Cause::kTimeout);
  EXPECT_THAT(explained.what_to_do,
              testing::AllOf(HasSubstr("block outbound port 25"), HasSubstr("587")));
  resolved_.profile = Embedded().FindByName("sendgrid");
  EXPECT_THAT(Fail(Stage::kTcp, Cause::kTimeout).what_to_do, HasSubstr("587 or 2525 or 465"));
}

TEST_F(ExplainTest, ServersOfOtherProtocolsAreNamedByTheirFirstWords) {
  const std::pair<const char*, const char*> kServers[] = {{"HTTP/1.1 400 Bad Request", "HTTP"},
                                                          {"SSH-2.0-OpenSSH_9.2", "SSH"},
                                                          {"+OK ready", "POP3"},
                                                          {"* OK IMAP4rev1", "IMAP"}};
  for (const auto& [words, protocol] : kServers) {
    for (const auto& [stage, cause] : {std::pair(Stage::kEhlo, Cause::kProtocol),
                                       std::pair(Stage::kTls, Cause::kTlsOnPlaintextPort)}) {
      const Explained explained =
          Fail(stage, cause, ErrorClass::kPermanent, std::string("it said: \"") + words + "\"");
      EXPECT_EQ(explained.reason, "PROTOCOL_ERROR") << words;
      EXPECT_EQ(explained.fault, Fault::kConfig) << words;
      EXPECT_THAT(explained.message, HasSubstr(std::string("it speaks ") + protocol));
    }
  }
}

TEST_F(ExplainTest, MailboxPortsAreNamedAsSuch) {
  resolved_.settings.port = 110;
  for (const Cause cause :
       {Cause::kProtocol, Cause::kConnectionRefused, Cause::kTlsOnPlaintextPort}) {
    EXPECT_THAT(Fail(Stage::kEhlo, cause).what_to_do, HasSubstr("POP3")) << static_cast<int>(cause);
  }
  EXPECT_THAT(Fail(Stage::kTcp, Cause::kTimeout).what_to_do, HasSubstr("POP3"));
  EXPECT_EQ(Fail(Stage::kEhlo, Cause::kProtocol).fault, Fault::kConfig);
}

TEST_F(ExplainTest, HostNotFoundNamesTheHostThatWasMeant) {
  SmtpConfig config;
  config.host = "smtp.gmial.com";
  const Resolved resolved = Resolve(config, Embedded(), {});
  const base::Error error = base::Failed(Stage::kDns, Cause::kHostNotFound, ErrorClass::kPermanent);
  EXPECT_EQ(Explain(error, resolved).what_to_do, "Did you mean smtp.gmail.com?");
}

TEST_F(ExplainTest, HostNotFoundBlamesTheRegion) {
  resolved_.profile = Embedded().FindByName("ses");
  resolved_.region = "xx-north-9";
  EXPECT_THAT(Fail(Stage::kDns, Cause::kHostNotFound).what_to_do, HasSubstr("xx-north-9"));
}

TEST_F(ExplainTest, CertificateSpeaksOfPrivateCaAndCarriesTheDetail) {
  const Explained explained = Fail(Stage::kTls, Cause::kCertificate, ErrorClass::kPermanent,
                                   "unable to get local issuer certificate");
  EXPECT_THAT(explained.message, HasSubstr("unable to get local issuer certificate"));
  EXPECT_THAT(explained.what_to_do, HasSubstr("ca_pem"));
}

TEST_F(ExplainTest, ExpiredCertificateIsTheProvidersToRenew) {
  const Explained explained = Fail(Stage::kTls, Cause::kCertificate, ErrorClass::kPermanent,
                                   "certificate has expired on 2020-01-01");
  EXPECT_EQ(explained.fault, Fault::kProvider);
  EXPECT_THAT(explained.what_to_do, HasSubstr("renew"));
}

TEST_F(ExplainTest, ExpiredIssuerIsWhoseCertificateItIs) {
  const std::string detail = "an issuer's certificate has expired on 2020-01-01";
  const auto explain = [&] {
    return Fail(Stage::kTls, Cause::kCertificate, ErrorClass::kPermanent, detail);
  };
  EXPECT_EQ(explain().fault, Fault::kProvider);
  EXPECT_THAT(explain().message, HasSubstr("an issuer's certificate has expired"));
  resolved_.settings.tls.ca_pem = "-----BEGIN CERTIFICATE-----";
  EXPECT_EQ(explain().fault, Fault::kConfig);
  EXPECT_THAT(explain().what_to_do, HasSubstr("ca_pem"));
}

TEST_F(ExplainTest, CertificateOfTomorrowIsAMatterOfClocks) {
  const Explained explained = Fail(Stage::kTls, Cause::kCertificate, ErrorClass::kPermanent,
                                   "certificate is not valid before 2099-01-01");
  EXPECT_EQ(explained.fault, Fault::kProvider);
  EXPECT_THAT(explained.what_to_do, HasSubstr("clock"));
}

TEST_F(ExplainTest, ClientCertificateIsNotAMatterOfTlsVersions) {
  const Explained explained = Fail(Stage::kEhlo, Cause::kClientCertificate, ErrorClass::kPermanent);
  EXPECT_EQ(explained.fault, Fault::kConfig);
  EXPECT_THAT(explained.message, HasSubstr("clients with a certificate"));
}

TEST_F(ExplainTest, ARefusedTokenThatSendstepFetchedIsTheOperators) {
  resolved_.settings.credentials.emplace();
  resolved_.settings.credentials->username = "user@example.com";
  resolved_.settings.credentials->oauth2_token = base::Secret("ya29.token");
  resolved_.settings.credentials->token_of = "company";
  const Explained explained = Reply(Stage::kAuth, 535, "5.7.3", "Authentication unsuccessful");
  EXPECT_EQ(explained.reason, "AUTH_REFUSED");
  EXPECT_EQ(explained.fault, Fault::kPlugin);
  EXPECT_THAT(explained.what_to_do, HasSubstr("operator"));
}

TEST_F(ExplainTest, RefusedTokenIsNotExplainedAsAPassword) {
  for (const char* provider : {"gmail", "microsoft365"}) {
    resolved_.profile = Embedded().FindByName(provider);
    resolved_.settings.credentials.emplace();
    resolved_.settings.credentials->username = "user@example.com";
    resolved_.settings.credentials->oauth2_token = base::Secret("ya29.token");
    for (const auto& [enhanced, text] :
         {std::pair("5.7.3", "Authentication unsuccessful"),
          std::pair("5.7.8", "Username and Password not accepted"),
          std::pair("5.7.139", "Authentication unsuccessful, the token has expired"),
          std::pair("5.7.9", "Application-specific password required")}) {
      const Explained explained = Reply(Stage::kAuth, 535, enhanced, text);
      EXPECT_EQ(explained.reason, "AUTH_REFUSED") << provider << " " << text;
      EXPECT_THAT(explained.what_to_do, HasSubstr("new token")) << provider << " " << text;
    }
  }
}

TEST_F(ExplainTest, MechanismsThatOtherCredentialsFitAreNamed) {
  const auto advice = [this](const char* offered) {
    return Fail(Stage::kAuth, Cause::kAuthNotOffered, ErrorClass::kPermanent,
                std::string("the server offers AUTH ") + offered + ", not X")
        .what_to_do;
  };
  Login();
  EXPECT_THAT(advice("XOAUTH2"), HasSubstr("give oauth2_token"));
  EXPECT_THAT(advice("CRAM-MD5, NTLM"), HasSubstr("PLAIN, LOGIN and XOAUTH2 only"));
  resolved_.settings.credentials->password = base::Secret();
  resolved_.settings.credentials->oauth2_token = base::Secret("ya29.token");
  EXPECT_THAT(advice("PLAIN, LOGIN"), HasSubstr("give password"));
}

TEST_F(ExplainTest, SilenceInsteadOfAGreetingSpeaksOfImplicitTls) {
  EXPECT_THAT(
      Fail(Stage::kEhlo, Cause::kTimeout, ErrorClass::kTransient, "no greeting in time").what_to_do,
      HasSubstr("tls implicit"));
  EXPECT_THAT(Fail(Stage::kEhlo, Cause::kTimeout, ErrorClass::kTransient, "timed out").what_to_do,
              testing::Not(HasSubstr("tls implicit")))
      << "it has greeted";
  EXPECT_THAT(Fail(Stage::kData, Cause::kTimeout).what_to_do,
              testing::Not(HasSubstr("tls implicit")));
}

TEST_F(ExplainTest, AddressInEndpointHasBrackets) {
  resolved_.settings.host = "2001:db8::1";
  EXPECT_THAT(Fail(Stage::kTcp, Cause::kConnectionRefused).message, HasSubstr("[2001:db8::1]:587"));
}

// Replies that no profile knows.

struct ReplyCase {
  Stage stage;
  int code;
  const char* enhanced;
  const char* text;
  const char* reason;
  Retryable retryable = Retryable::kFalse;
  int retry_after = 0;
  bool login = true;
};

constexpr Retryable kYes = Retryable::kTrue;

TEST_F(ExplainTest, RepliesHaveTheirReason) {
  const ReplyCase cases[] = {
      // Greeting and EHLO.
      {Stage::kEhlo, 554, "", "No SMTP service here", "GREETING_REFUSED"},
      {Stage::kEhlo, 554, "5.7.1", "You are on a block list", "GREETING_REFUSED"},
      {Stage::kEhlo, 501, "5.5.4", "Invalid HELO name", "EHLO_REFUSED"},
      {Stage::kEhlo, 550, "", "Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
       "EHLO_REFUSED"},
      {Stage::kEhlo, 504, "5.5.2", "<x>: Helo command rejected: need fully-qualified hostname",
       "EHLO_REFUSED"},
      {Stage::kEhlo, 421, "", "Service not available", "SERVER_UNAVAILABLE", kYes, 60},
      {Stage::kEhlo, 421, "4.7.0", "Too many connections", "RATE_LIMITED", kYes, 60},
      // STARTTLS.
      {Stage::kTls, 454, "", "TLS not available due to temporary reason", "TLS_FAILED", kYes, 60},
      {Stage::kTls, 502, "", "Command not implemented", "STARTTLS_NOT_OFFERED"},
      // AUTH.
      {Stage::kAuth, 535, "5.7.8", "Error: authentication failed", "AUTH_REFUSED"},
      {Stage::kAuth, 535, "", "Incorrect authentication data", "AUTH_REFUSED"},
      {Stage::kAuth, 534, "5.7.9", "Please log in with an app password", "APP_PASSWORD_REQUIRED"},
      {Stage::kAuth, 535, "5.7.0", "Application-specific password required",
       "APP_PASSWORD_REQUIRED"},
      {Stage::kAuth, 535, "5.7.139", "SMTP AUTH is disabled for this account", "AUTH_DISABLED"},
      {Stage::kAuth, 503, "5.5.1", "Error: authentication not enabled", "AUTH_DISABLED"},
      {Stage::kAuth, 504, "5.5.4", "Unrecognized authentication type", "AUTH_NOT_OFFERED"},
      {Stage::kAuth, 454, "4.7.0", "Temporary authentication failure", "AUTH_UNAVAILABLE", kYes,
       60},
      {Stage::kAuth, 421, "", "Try later", "AUTH_UNAVAILABLE", kYes, 60},
      // MAIL FROM.
      {Stage::kMailFrom, 530, "5.7.0", "Authentication required", "AUTH_REQUIRED",
       Retryable::kFalse, 0, false},
      {Stage::kMailFrom, 550, "", "Unauthenticated senders not allowed", "AUTH_REQUIRED",
       Retryable::kFalse, 0, false},
      {Stage::kMailFrom, 553, "5.7.1", "<a@b>: Sender address rejected: not owned by user c",
       "FROM_NOT_ALLOWED"},
      {Stage::kMailFrom, 550, "5.7.60", "Client does not have permissions to send as this",
       "FROM_NOT_ALLOWED"},
      {Stage::kMailFrom, 550, "5.7.1", "Sender address is not verified", "FROM_NOT_ALLOWED"},
      {Stage::kMailFrom, 550, "5.1.8", "Sender domain does not exist", "SENDER_REFUSED"},
      {Stage::kMailFrom, 501, "5.1.7", "Bad sender address syntax", "SENDER_REFUSED"},
      {Stage::kMailFrom, 552, "5.3.4", "Message size exceeds fixed limit", "MESSAGE_TOO_LARGE"},
      {Stage::kMailFrom, 552, "", "Too big", "MESSAGE_TOO_LARGE"},
      {Stage::kMailFrom, 452, "4.3.1", "Insufficient system storage", "SERVER_UNAVAILABLE", kYes,
       60},
      {Stage::kMailFrom, 451, "4.7.1", "Slow down", "RATE_LIMITED", kYes, 60},
      {Stage::kMailFrom, 450, "4.2.1", "Sending rate too high", "RATE_LIMITED", kYes, 60},
      {Stage::kMailFrom, 550, "5.4.5", "Daily sending quota exceeded", "QUOTA_EXCEEDED", kYes,
       3600},
      {Stage::kMailFrom, 421, "4.3.2", "System shutting down", "SERVER_UNAVAILABLE", kYes, 60},
      // RCPT TO.
      {Stage::kRcptTo, 550, "5.1.1", "User unknown", "RECIPIENTS_REFUSED"},
      {Stage::kRcptTo, 553, "5.7.1", "<a@b>: Sender address rejected: not owned by user c",
       "FROM_NOT_ALLOWED"},
      {Stage::kRcptTo, 554, "5.7.1", "<x[192.0.2.1]>: Client host rejected: Access denied",
       "AUTH_REQUIRED", Retryable::kFalse, 0, false},
      {Stage::kRcptTo, 554, "5.7.1", "Relay access denied", "AUTH_REQUIRED", Retryable::kFalse, 0,
       false},
      {Stage::kRcptTo, 550, "", "relay not permitted", "AUTH_REQUIRED", Retryable::kFalse, 0,
       false},
      {Stage::kRcptTo, 554, "5.7.1", "Relay access denied", "RECIPIENTS_REFUSED"},
      {Stage::kRcptTo, 530, "5.7.0", "Authentication required", "AUTH_REQUIRED"},
      {Stage::kRcptTo, 552, "5.2.2", "Mailbox full", "RECIPIENTS_REFUSED"},
      {Stage::kRcptTo, 552, "", "Over quota", "RECIPIENTS_REFUSED"},
      {Stage::kRcptTo, 452, "4.2.2", "Mailbox full", "SERVER_UNAVAILABLE", kYes, 1800},
      {Stage::kRcptTo, 450, "4.2.0", "Recipient address rejected: Greylisted, see docs",
       "SERVER_UNAVAILABLE", kYes, 300},
      {Stage::kRcptTo, 451, "4.7.1", "Greylisting in action, try again later", "SERVER_UNAVAILABLE",
       kYes, 300},
      {Stage::kRcptTo, 452, "4.5.3", "Too many recipients", "LIMIT_EXCEEDED"},
      {Stage::kRcptTo, 450, "4.1.2", "Domain not found", "SERVER_UNAVAILABLE", kYes, 60},
      // DATA.
      {Stage::kData, 554, "5.7.1", "Message rejected as spam", "MESSAGE_REFUSED"},
      {Stage::kData, 550, "5.7.1", "Content refused by policy", "MESSAGE_REFUSED"},
      {Stage::kData, 550, "5.7.26", "This mail is unauthenticated: neither SPF nor DKIM passed",
       "MESSAGE_REFUSED"},
      {Stage::kData, 554, "5.7.1", "From address is not verified", "FROM_NOT_ALLOWED"},
      {Stage::kData, 550, "5.7.60", "SendAsDenied", "FROM_NOT_ALLOWED"},
      {Stage::kData, 554, "5.5.1", "Error: no valid recipients", "RECIPIENTS_REFUSED"},
      {Stage::kData, 552, "5.3.4", "Message too big", "MESSAGE_TOO_LARGE"},
      {Stage::kData, 554, "", "Message size exceeds limit", "MESSAGE_TOO_LARGE"},
      {Stage::kData, 451, "4.3.0", "Queue file write error", "SERVER_UNAVAILABLE", kYes, 60},
      {Stage::kData, 454, "", "Throttling failure", "RATE_LIMITED", kYes, 60},
      {Stage::kData, 550, "5.7.1", "Monthly limit exceeded for account", "QUOTA_EXCEEDED", kYes,
       3600},
  };
  for (const ReplyCase& c : cases) {
    resolved_.settings.credentials.reset();
    if (c.login) Login();
    const Explained explained = Reply(c.stage, c.code, c.enhanced, c.text);
    EXPECT_EQ(explained.reason, c.reason) << c.code << " " << c.enhanced << " " << c.text;
    EXPECT_EQ(explained.retryable, c.retryable) << c.text;
    EXPECT_EQ(explained.retry_after, seconds(c.retry_after)) << c.text;
  }
}

TEST_F(ExplainTest, PlaintextToAServerThatWantsTlsIsNamed) {
  resolved_.settings.tls.policy = TlsPolicy::kNone;
  const Explained explained =
      Reply(Stage::kMailFrom, 530, "5.7.0", "Must issue a STARTTLS command first");
  EXPECT_EQ(explained.reason, "AUTH_REQUIRED");
  EXPECT_THAT(explained.what_to_do, HasSubstr("TLS on"));
  EXPECT_THAT(Reply(Stage::kAuth, 538, "5.7.11", "Encryption required").what_to_do,
              HasSubstr("TLS on"));
}

TEST_F(ExplainTest, EhloRefusedSaysTheNameAndTheField) {
  resolved_.settings.ehlo_name = "localhost";
  const Explained explained = Reply(Stage::kEhlo, 550, "", "invalid helo");
  EXPECT_THAT(explained.message, HasSubstr("localhost"));
  EXPECT_THAT(explained.what_to_do, HasSubstr("Set domain"));
}

TEST_F(ExplainTest, WrongPasswordOfAnUnknownServerSpeaksOfSso) {
  Login();
  EXPECT_THAT(Reply(Stage::kAuth, 535, "5.7.8", "no").what_to_do,
              testing::AllOf(HasSubstr("SAML"), HasSubstr("app password")));
}

TEST_F(ExplainTest, WrongPasswordOfAKnownProviderSpeaksOfItsCredentials) {
  Login();
  resolved_.profile = Embedded().FindByName("postmark");
  const Explained explained = Reply(Stage::kAuth, 535, "5.7.8", "no");
  EXPECT_THAT(explained.what_to_do, HasSubstr("API token"));
  EXPECT_EQ(explained.doc_url, resolved_.profile->doc_url());
}

TEST_F(ExplainTest, RefusedTokenIsNotCalledAPassword) {
  resolved_.settings.credentials.emplace();
  resolved_.settings.credentials->oauth2_token = base::Secret("t");
  EXPECT_THAT(Reply(Stage::kAuth, 535, "5.7.8", "no").message, HasSubstr("OAuth token"));
}

// Telltale replies of providers, by their profiles.

TEST_F(ExplainTest, ProfilesSpeakFirst) {
  struct {
    const char* provider;
    Stage stage;
    int code;
    const char* enhanced;
    const char* text;
    const char* reason;
    const char* phrase;
  } const cases[] = {
      {"gmail", Stage::kAuth, 535, "5.7.8", "Username and Password not accepted. - gsmtp",
       "AUTH_REFUSED", "SAML"},
      {"gmail", Stage::kAuth, 534, "5.7.9", "Application-specific password required",
       "APP_PASSWORD_REQUIRED", "app password"},
      {"gmail-relay", Stage::kEhlo, 421, "4.7.0",
       "Try again later, closing connection. (EHLO) x - gsmtp", "EHLO_REFUSED", "Set domain"},
      {"microsoft365", Stage::kAuth, 535, "5.7.139",
       "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
       "AUTH_DISABLED", "administrator"},
      {"sendgrid", Stage::kAuth, 451, "", "Authentication failed: Could not authenticate",
       "AUTH_REFUSED", "apikey"},
      {"sendgrid", Stage::kData, 550, "",
       "The from address does not match a verified Sender Identity.", "FROM_NOT_ALLOWED", "Verify"},
      {"mandrill", Stage::kAuth, 435, "4.7.8", "Error: authentication failed:", "AUTH_REFUSED",
       "API key"},
      {"mailgun", Stage::kAuth, 535, "5.7.0", "Mailgun is not loving your login or password",
       "AUTH_REFUSED", "region to eu"},
      {"ses", Stage::kAuth, 535, "", "Authentication Credentials Invalid", "AUTH_REFUSED", "IAM"},
      {"ses", Stage::kData, 554, "", "Message rejected: Email address is not verified.",
       "FROM_NOT_ALLOWED", "sandbox"},
  };
  for (const auto& c : cases) {
    resolved_.profile = Embedded().FindByName(c.provider);
    const Explained explained = Reply(c.stage, c.code, c.enhanced, c.text);
    EXPECT_EQ(explained.reason, c.reason) << c.text;
    EXPECT_THAT(explained.what_to_do, HasSubstr(c.phrase)) << c.text;
  }
}

TEST_F(ExplainTest, WrongKeyBehindA4xxIsNotRetried) {
  resolved_.profile = Embedded().FindByName("sendgrid");
  EXPECT_EQ(Reply(Stage::kAuth, 451, "", "Authentication failed: Could not authenticate").retryable,
            Retryable::kFalse);
  resolved_.profile = Embedded().FindByName("mandrill");
  EXPECT_EQ(Reply(Stage::kAuth, 435, "4.7.8", "Error: authentication failed:").retryable,
            Retryable::kFalse);
}

TEST_F(ExplainTest, ProfileRowHoldsForItsStagesOnly) {
  resolved_.profile = Embedded().FindByName("gmail-relay");
  EXPECT_NE(Reply(Stage::kData, 421, "4.7.0", "Try again later, closing connection.").reason,
            "EHLO_REFUSED");
}

TEST_F(ExplainTest, RefusedRecipientsExplainWithoutAReplyOfTheirOwn) {
  base::Error error;
  error.stage = Stage::kRcptTo;
  error.cause = Cause::kRefused;
  error.recipients = {{0, true, {250, "", {"ok"}}}, {1, false, {550, "5.1.1", {"User unknown"}}}};
  const Explained explained = Explain(error, resolved_);
  EXPECT_EQ(explained.reason, "RECIPIENTS_REFUSED");
  EXPECT_THAT(explained.message, HasSubstr("not accept all"));
  error.recipients.erase(error.recipients.begin());
  EXPECT_THAT(Explain(error, resolved_).message, HasSubstr("accepts none"));
}

TEST_F(ExplainTest, ClosedGateSaysThatNothingWasSent) {
  const Explained explained = Fail(Stage::kData, Cause::kGateClosed);
  EXPECT_THAT(explained.message, HasSubstr("nothing was sent"));
  EXPECT_THAT(explained.what_to_do, HasSubstr("operator"));
}

TEST_F(ExplainTest, HeldBackSaysWhenToCallAgainAndWhatTheOperatorCanRaise) {
  base::Error error =
      base::Failed(Stage::kTcp, Cause::kHeldBack, ErrorClass::kTransient, "20 busy");
  error.retry_after = milliseconds(2500);
  const Explained explained = Explain(error, resolved_);
  EXPECT_EQ(explained.retry_after, milliseconds(2500));
  EXPECT_THAT(explained.message,
              testing::AllOf(HasSubstr("smtp.example.com"), HasSubstr("(20 busy)"),
                             HasSubstr("nothing was sent")));
  EXPECT_THAT(explained.what_to_do,
              testing::AllOf(HasSubstr("deadline"), HasSubstr("max_connections"),
                             HasSubstr("max_mails_per_second")));
}

TEST_F(ExplainTest, HeldBackRestsASecondAtLeast) {
  base::Error error = base::Failed(Stage::kTcp, Cause::kHeldBack, ErrorClass::kTransient);
  for (const milliseconds retry_after : {milliseconds(-5), milliseconds(0), milliseconds(999)}) {
    error.retry_after = retry_after;
    EXPECT_EQ(Explain(error, resolved_).retry_after, seconds(1));
  }
}

// Text and ids.

TEST(PatternTextTest, JoinsCodeEnhancedCodeAndLines) {
  EXPECT_EQ(PatternText({535, "5.7.8", {"Username and Password", "not accepted"}}),
            "535 5.7.8 Username and Password not accepted");
  EXPECT_EQ(PatternText({451, "", {"Later"}}), "451 Later");
}

TEST(ProviderMessageIdTest, IsFoundPerProvider) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"gmail", "OK  1571601091 d44si1315748ede.149 - gsmtp", "d44si1315748ede.149"},
      {"ses", "Ok 01000154dc729264-93fdd7ea-f039-43d6-91ed-653e8547867c-000000",
       "01000154dc729264-93fdd7ea-f039-43d6-91ed-653e8547867c-000000"},
      {"sendgrid", "Ok: queued as nhIMmON9SFOPcT0ii4nt2A", "nhIMmON9SFOPcT0ii4nt2A"},
      {"custom", "2.0.0 Ok: queued as 9EFE470001", "9EFE470001"},
      {"custom", "OK id=1TkhHl-0006EV-R3", "1TkhHl-0006EV-R3"},
      {"mailgun", "Great success", ""},
      {"custom", "Message accepted", ""},
  };
  for (const auto& [provider, text, id] : cases) {
    EXPECT_EQ(ProviderMessageId(*Embedded().FindByName(provider), {250, "2.0.0", {text}}), id)
        << text;
  }
}

TEST(ProviderMessageIdTest, OverlongIdIsNone) {
  const std::string text = "Ok: queued as " + std::string(400, 'A');
  EXPECT_EQ(ProviderMessageId(Embedded().Custom(), {250, "", {text}}), "");
}

// Discovery.

TEST_F(ExplainTest, DomainWithoutServerSaysWhatWasAsked) {
  resolved_.settings.host.clear();
  resolved_.discover_domain = "example.com";
  const Explained explained = Fail(Stage::kDns, Cause::kHostNotFound, ErrorClass::kPermanent,
                                   "asked for the SRV records of a and b: there are none");
  ExpectWhole(explained, "no server");
  EXPECT_EQ(explained.reason, "HOST_NOT_FOUND");
  EXPECT_THAT(explained.message, HasSubstr("example.com (asked for the SRV records of a and b"));
  EXPECT_THAT(explained.what_to_do, HasSubstr("into host"));
  EXPECT_THAT(Fail(Stage::kDns, Cause::kDnsFailed).message, HasSubstr("Looking up example.com"));
  EXPECT_THAT(Fail(Stage::kDns, Cause::kTimeout).message, HasSubstr("Looking up example.com"));
}

TEST_F(ExplainTest, DiscoveredHostThatDoesNotExistIsTheDomainsMistake) {
  resolved_.discover_domain = "example.com";
  const Explained explained = Fail(Stage::kDns, Cause::kHostNotFound, ErrorClass::kPermanent);
  ExpectWhole(explained, "no host");
  EXPECT_THAT(explained.message, testing::AllOf(HasSubstr("smtp.example.com"),
                                                HasSubstr("SRV records of example.com")));
}

TEST_F(ExplainTest, CertificateOfAServerElsewhereNamesTheHostToTrust) {
  resolved_.settings.host = "smtp.hoster.net";
  resolved_.settings.tls.server_name = resolved_.discover_domain = "example.com";
  const Explained explained = Fail(Stage::kTls, Cause::kCertificate, ErrorClass::kPermanent,
                                   "certificate is for smtp.hoster.net, not example.com");
  ExpectWhole(explained, "elsewhere");
  EXPECT_EQ(explained.reason, "CERTIFICATE_INVALID");
  EXPECT_THAT(explained.message,
              testing::AllOf(HasSubstr("smtp.hoster.net:587"), HasSubstr("not example.com")));
  EXPECT_THAT(explained.what_to_do, HasSubstr("write smtp.hoster.net into host and 587 into port"));
}

}  // namespace
}  // namespace sendstep::providers
