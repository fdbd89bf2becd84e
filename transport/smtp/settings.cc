#include "transport/smtp/settings.h"

namespace sendstep::smtp {

std::string_view MechanismName(SaslMechanism mechanism) {
  switch (mechanism) {
    case SaslMechanism::kPlain:
      return "PLAIN";
    case SaslMechanism::kLogin:
      return "LOGIN";
    case SaslMechanism::kXOAuth2:
      return "XOAUTH2";
  }
  return "";
}

}  // namespace sendstep::smtp
