#include "transport/smtp/settings.h"

namespace sendstep::smtp {

std::string_view MechanismName(SaslMechanism mechanism) {
  switch (mechanism) {
    case SaslMechanism::kScramSha256Plus:
      return "SCRAM-SHA-256-PLUS";
    case SaslMechanism::kScramSha256:
      return "SCRAM-SHA-256";
    case SaslMechanism::kPlain:
      return "PLAIN";
    case SaslMechanism::kLogin:
      return "LOGIN";
    case SaslMechanism::kCramMd5:
      return "CRAM-MD5";
    case SaslMechanism::kOAuthBearer:
      return "OAUTHBEARER";
    case SaslMechanism::kXOAuth2:
      return "XOAUTH2";
  }
  return "";
}

bool TakesToken(SaslMechanism mechanism) {
  return mechanism == SaslMechanism::kOAuthBearer || mechanism == SaslMechanism::kXOAuth2;
}

}  // namespace sendstep::smtp
