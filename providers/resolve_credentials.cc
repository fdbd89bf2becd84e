#include "providers/resolve_credentials.h"

#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "providers/pattern.h"
#include "transport/base/address.h"
#include "transport/smtp/sasl.h"

namespace sendstep::providers {
namespace {

using smtp::SaslMechanism;

constexpr size_t kMaxUsername = 512;
constexpr size_t kMaxPassword = 4096;
// Tokens of Microsoft and Google have up to some 4 kB; an AUTH line may have 12,288 (RFC 4954 4).
constexpr size_t kMaxToken = 8192;

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// No AUTH exchange carries it.
bool Unsendable(const smtp::Credentials& part) { return !smtp::CheckCredentials(part); }

class CredentialResolver {
 public:
  CredentialResolver(const SmtpConfig& config, const Profile& profile, smtp::SmtpSettings& settings,
                     Findings& findings)
      : config_(config), profile_(profile), settings_(settings), findings_(findings) {}

  void Run() {
    CheckCharacters();
    settings_.allow_plaintext_auth = config_.allow_plaintext_auth;
    ChooseMechanisms();
    if (config_.username.empty() && !HasPassword() && !HasToken()) {
      if (!profile_.auth_optional()) ReportNone();
      return;
    }
    if (HasPassword() && HasToken()) {
      findings_.Error("oauth2_token", "SETTINGS_CONTRADICT",
                      "Both a password and an OAuth token are given.", "Give one of them.");
    }
    smtp::Credentials credentials;
    credentials.username = Username();
    credentials.password = config_.password;
    credentials.oauth2_token = config_.oauth2_token;
    credentials.username_is_secret = profile_.username().secret();
    CheckComplete(credentials.username);
    CheckMistakes(credentials.username);
    CheckPlaintext();
    settings_.credentials = std::move(credentials);
  }

 private:
  bool HasPassword() const { return !config_.password.empty(); }
  bool HasToken() const { return !config_.oauth2_token.empty(); }

  std::string Username() const {
    const std::string_view given = Trim(config_.username);
    if (!given.empty() || !HasPassword()) return std::string(given);
    if (profile_.username().same_as_password()) return std::string(config_.password.Reveal());
    return profile_.username().fixed();
  }

  void CheckCharacters() {
    const auto too_long = [&](std::string_view value, size_t limit, const char* field) {
      if (value.size() <= limit) return;
      findings_.Error(field, "LIMIT_EXCEEDED", absl::StrCat("Longer than ", limit, " bytes."));
    };
    too_long(config_.username, kMaxUsername, "username");
    too_long(config_.password.Reveal(), kMaxPassword, "password");
    too_long(config_.oauth2_token.Reveal(), kMaxToken, "oauth2_token");
    const auto control = [&](bool found, const char* field) {
      if (!found) return;
      findings_.Error(field, "CONTROL_CHARACTER",
                      "It holds a line break or another control character.",
                      "Look for a line break or a tab that was copied along.");
    };
    smtp::Credentials username, password, token;
    username.username = Trim(config_.username);
    password.password = config_.password;
    token.oauth2_token = config_.oauth2_token;
    control(Unsendable(username) || base::HasControlCharacter(config_.username), "username");
    control(Unsendable(password), "password");
    control(Unsendable(token) || base::HasControlCharacter(config_.oauth2_token.Reveal()),
            "oauth2_token");
  }

  // Those of the profile that fit what is given; all of them where nothing is.
  void ChooseMechanisms() {
    settings_.mechanisms.clear();
    const bool any = !HasPassword() && !HasToken();
    if (config_.auth_mechanism) return ChooseNamed(*config_.auth_mechanism, any);
    for (const std::string& name : profile_.auth_mechanisms()) {
      for (const SaslMechanism mechanism : smtp::kSaslMechanisms) {
        if (smtp::MechanismName(mechanism) == name && (any || Fits(mechanism))) {
          settings_.mechanisms.push_back(mechanism);
        }
      }
    }
    if (!settings_.mechanisms.empty()) return;
    findings_.Error(HasToken() ? "oauth2_token" : "password", "SETTINGS_CONTRADICT",
                    absl::StrCat(profile_.title(), " takes no ",
                                 HasToken() ? "OAuth token" : "password", " over SMTP."),
                    HasToken() ? profile_.password().help() : "Give an OAuth token instead.");
  }

  bool Fits(SaslMechanism mechanism) const {
    return smtp::TakesToken(mechanism) ? HasToken() : HasPassword();
  }

  void ChooseNamed(SaslMechanism mechanism, bool any) {
    settings_.mechanisms = {mechanism};
    const std::string name(smtp::MechanismName(mechanism));
    if (!any && !Fits(mechanism)) {
      const bool token = smtp::TakesToken(mechanism);
      findings_.Error("auth_mechanism", "SETTINGS_CONTRADICT",
                      absl::StrCat(name, " takes ", token ? "an OAuth token" : "a password",
                                   ", and ", token ? "a password" : "an OAuth token", " is given."),
                      "Remove auth_mechanism, or give what it takes.");
    }
    if (mechanism == SaslMechanism::kScramSha256Plus &&
        settings_.tls.policy == smtp::TlsPolicy::kNone) {
      findings_.Error("auth_mechanism", "SETTINGS_CONTRADICT",
                      absl::StrCat(name, " is bound to TLS, and TLS is off."),
                      "Switch TLS on, or name SCRAM-SHA-256.");
    }
    if (mechanism == SaslMechanism::kCramMd5) {
      findings_.Warn("auth_mechanism", "CRAM-MD5 is weak: the password can be guessed from it.",
                     "Remove auth_mechanism if the server offers anything else.");
    }
  }

  void ReportNone() {
    const bool known =
        !profile_.username().fixed().empty() || profile_.username().same_as_password();
    findings_.Error(known ? "password" : "username", "CREDENTIALS_INCOMPLETE",
                    absl::StrCat(profile_.title(), " takes mail only after a login."),
                    known ? profile_.password().help() : profile_.username().help());
  }

  void CheckComplete(const std::string& username) {
    if (username.empty()) {
      findings_.Error(
          "username", "CREDENTIALS_INCOMPLETE",
          absl::StrCat("There is a ", HasPassword() ? "password" : "token", " and no username."),
          profile_.username().help());
    }
    if (!HasPassword() && !HasToken()) {
      findings_.Error("password", "CREDENTIALS_INCOMPLETE", "There is a username and no password.",
                      profile_.password().help());
    }
  }

  // Never repeats the values: a username may be a secret too.
  void CheckMistakes(const std::string& username) {
    const auto& pattern = profile_.username().pattern();
    if (!username.empty() && !pattern.empty() &&
        !re2::RE2::FullMatch(username, CachedPattern(pattern))) {
      findings_.Warn("username", profile_.username().mismatch(), profile_.username().help());
    }
    const std::string_view password = config_.password.Reveal();
    const auto& mistake = profile_.password().mistake_pattern();
    if (!mistake.empty() && re2::RE2::FullMatch(password, CachedPattern(mistake))) {
      findings_.Warn("password", profile_.password().mistake(), profile_.password().help());
    }
    if (Trim(password) != password) {
      findings_.Warn("password", "The password begins or ends with a blank.",
                     "Remove it unless it is part of the password.");
    }
    const std::string_view token = config_.oauth2_token.Reveal();
    if (absl::StartsWithIgnoreCase(absl::string_view(token.data(), token.size()), "bearer ")) {
      findings_.Warn("oauth2_token", "The token begins with the word Bearer.",
                     "Give the token alone: the word is added on the way.");
    }
  }

  void CheckPlaintext() {
    if (settings_.tls.policy != smtp::TlsPolicy::kNone) return;
    if (!config_.allow_plaintext_auth) {
      findings_.Error("tls", "PLAINTEXT_CREDENTIALS",
                      "TLS is off: anyone on the way could read the password.",
                      "Switch TLS on; in a network of your own, set allow_plaintext_auth.");
    } else {
      findings_.Warn("allow_plaintext_auth", "The password crosses the network readable.",
                     "Switch TLS on where the server allows it.");
    }
  }

  const SmtpConfig& config_;
  const Profile& profile_;
  smtp::SmtpSettings& settings_;
  Findings& findings_;
};

}  // namespace

void ResolveCredentials(const SmtpConfig& config, const Profile& profile,
                        smtp::SmtpSettings& settings, Findings& findings) {
  CredentialResolver(config, profile, settings, findings).Run();
}

}  // namespace sendstep::providers
