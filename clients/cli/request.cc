#include "clients/cli/request.h"

#include <sys/random.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "clients/cli/email_flags.h"
#include "clients/cli/text.h"
#include "plugin/yaml_message.h"

namespace sendstep::cli {
namespace {

constexpr size_t kMaxCaBytes = 64 * 1024;

// A reference becomes the secret it names.
absl::Status Resolve(v1::Secret& secret, const std::string& path, Environment& environment) {
  absl::StatusOr<std::string> value;
  switch (secret.source_case()) {
    case v1::Secret::kEnv:
      value = ReadSecretVariable(environment, secret.env(), path);
      break;
    case v1::Secret::kFile:
      value = ReadSecretFile(environment, secret.file(), path);
      break;
    default:
      return absl::OkStatus();
  }
  if (!value.ok()) return value.status();
  secret.set_value(*std::move(value));
  return absl::OkStatus();
}

absl::Status ReadStepFile(const std::string& path, Environment& environment,
                          v1::ExecuteRequest& request) {
  const absl::StatusOr<std::string> text =
      ReadFile(environment, path, "step file", kMaxRequestBytes);
  if (!text.ok()) return text.status();
  return plugin::YamlToMessage(*text, path == "-" ? "standard input" : path, request);
}

absl::Status ResolveReferences(v1::Config& config, Environment& environment) {
  if (!config.has_smtp()) return absl::OkStatus();
  v1::SmtpConfig& smtp = *config.mutable_smtp();
  if (smtp.has_password()) {
    const absl::Status status =
        Resolve(*smtp.mutable_password(), "config.smtp.password", environment);
    if (!status.ok()) return status;
  }
  if (smtp.has_oauth2_token()) {
    return Resolve(*smtp.mutable_oauth2_token(), "config.smtp.oauth2_token", environment);
  }
  return absl::OkStatus();
}

v1::TlsMode TlsModeOf(const std::string& word) {
  if (word == "off") return v1::TLS_MODE_OFF;
  if (word == "starttls") return v1::TLS_MODE_STARTTLS;
  if (word == "implicit") return v1::TLS_MODE_IMPLICIT;
  return v1::TLS_MODE_ON;
}

absl::StatusOr<v1::AuthMechanism> AuthMechanismOf(const std::string& name) {
  v1::AuthMechanism mechanism = v1::AUTH_MECHANISM_UNSPECIFIED;
  const std::string value = absl::StrCat(
      "AUTH_MECHANISM_", absl::StrReplaceAll(absl::AsciiStrToUpper(name), {{"-", "_"}}));
  if (v1::AuthMechanism_Parse(value, &mechanism)) return mechanism;
  return absl::InvalidArgumentError(
      absl::StrCat("--auth-mechanism: ", name,
                   " is none of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN, CRAM-MD5, "
                   "OAUTHBEARER, XOAUTH2"));
}

absl::Status ApplySmtp(const SmtpFlags& flags, Environment& environment, v1::SmtpConfig& smtp) {
  if (flags.provider) smtp.set_provider(*flags.provider);
  if (flags.region) smtp.set_region(*flags.region);
  if (flags.host) smtp.set_host(*flags.host);
  if (flags.port) smtp.set_port(*flags.port);
  if (flags.discover_domain) smtp.set_discover_domain(*flags.discover_domain);
  if (flags.tls) smtp.set_tls(TlsModeOf(*flags.tls));
  if (flags.username) smtp.set_username(*flags.username);
  if (flags.domain) smtp.set_domain(*flags.domain);
  if (flags.auth_mechanism) {
    const absl::StatusOr<v1::AuthMechanism> mechanism = AuthMechanismOf(*flags.auth_mechanism);
    if (!mechanism.ok()) return mechanism.status();
    smtp.set_auth_mechanism(*mechanism);
  }
  if (flags.insecure_skip_verify) smtp.set_insecure_skip_verify(true);
  if (flags.allow_plaintext_auth) smtp.set_allow_plaintext_auth(true);
  if (flags.pinned_key) smtp.set_pinned_key_sha256(*flags.pinned_key);
  if (flags.min_tls) {
    smtp.set_min_tls_version(*flags.min_tls == "1.3" ? v1::TLS_VERSION_1_3 : v1::TLS_VERSION_1_2);
  }
  if (!flags.dkim_selectors.empty()) {
    smtp.mutable_dkim_selectors()->Assign(flags.dkim_selectors.begin(), flags.dkim_selectors.end());
  }
  if (flags.ca_file) {
    absl::StatusOr<std::string> pem =
        ReadFile(environment, *flags.ca_file, "--ca-file", kMaxCaBytes);
    if (!pem.ok()) return pem.status();
    smtp.set_ca_pem(*std::move(pem));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadPassword(const SecretFlags& flags, Environment& environment) {
  if (flags.password_env) {
    return ReadSecretVariable(environment, *flags.password_env, "--password-env");
  }
  if (flags.password_file) {
    return ReadSecretFile(environment, *flags.password_file, "--password-file");
  }
  absl::StatusOr<std::string> typed = environment.ask_secret("SMTP password: ");
  if (typed.ok() && typed->empty()) return absl::NotFoundError("no password was typed");
  return typed;
}

absl::StatusOr<std::string> ReadToken(const SecretFlags& flags, Environment& environment) {
  if (flags.oauth2_token_env) {
    return ReadSecretVariable(environment, *flags.oauth2_token_env, "--oauth2-token-env");
  }
  return ReadSecretFile(environment, *flags.oauth2_token_file, "--oauth2-token-file");
}

// A secret named by a flag takes the place of either of the file's.
absl::Status ApplySecrets(const SecretFlags& flags, Environment& environment,
                          v1::SmtpConfig& smtp) {
  smtp.clear_password();
  smtp.clear_oauth2_token();
  const bool token = flags.oauth2_token_env || flags.oauth2_token_file;
  absl::StatusOr<std::string> secret =
      token ? ReadToken(flags, environment) : ReadPassword(flags, environment);
  if (!secret.ok()) return secret.status();
  (token ? smtp.mutable_oauth2_token() : smtp.mutable_password())->set_value(*std::move(secret));
  return absl::OkStatus();
}

// The sandbox and any SMTP server, by all of their names.
bool WorksWithoutAccount(const std::string& provider) {
  for (const char* name : {"sandbox", "inbox", "custom", "smtp", "other", "generic"}) {
    if (absl::EqualsIgnoreCase(provider, name)) return true;
  }
  return false;
}

// A stray variable must not make the sandbox or an open server ask for a username.
bool WantsPassword(const v1::SmtpConfig& smtp) {
  const bool has_accounts = !smtp.provider().empty() && !WorksWithoutAccount(smtp.provider());
  return !smtp.has_password() && !smtp.has_oauth2_token() &&
         (!smtp.username().empty() || has_accounts);
}

absl::Status ApplyConfig(const StepOptions& options, Environment& environment, v1::Config& config) {
  const bool smtp_flags = options.smtp.Any() || options.secrets.Any();
  if (options.relay) {
    if (smtp_flags) {
      return absl::NotFoundError(
          "--relay is a whole account: it excludes the flags of a mail provider and of "
          "credentials");
    }
    config.set_relay(*options.relay);
    return absl::OkStatus();
  }
  if (smtp_flags) {
    absl::Status status = ApplySmtp(options.smtp, environment, *config.mutable_smtp());
    if (status.ok() && options.secrets.Any()) {
      status = ApplySecrets(options.secrets, environment, *config.mutable_smtp());
    }
    if (!status.ok()) return status;
  }
  if (config.has_smtp() && WantsPassword(config.smtp())) {
    if (auto password = environment.variable("SENDSTEP_PASSWORD"); password && !password->empty()) {
      config.mutable_smtp()->mutable_password()->set_value(*std::move(password));
    }
  }
  return absl::OkStatus();
}

bool ReadsStandardInputTwice(const StepOptions& options) {
  int uses = 0;
  for (const auto* path : {&options.step_file, &options.email.text_file, &options.email.html_file,
                           &options.smtp.ca_file, &options.secrets.password_file,
                           &options.secrets.oauth2_token_file}) {
    uses += *path == "-" ? 1 : 0;
  }
  return uses > 1;
}

// The path of a string field that is not UTF-8, such as "email.to[0].name"; empty: there is none.
// gRPC would break the call off without a word of which field it is.
std::string FieldThatIsNotUtf8(const google::protobuf::Message& message,
                               const std::string& prefix = "") {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!nested && field->type() != FieldDescriptor::TYPE_STRING) continue;
    const bool list = field->is_repeated();
    const int count = list ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string path = prefix + field->name() + (list ? "[" + std::to_string(i) + "]" : "");
      if (nested) {
        const auto& inner = list ? reflection.GetRepeatedMessage(message, field, i)
                                 : reflection.GetMessage(message, field);
        std::string found = FieldThatIsNotUtf8(inner, path + ".");
        if (!found.empty()) return found;
        continue;
      }
      std::string scratch;
      const std::string& text =
          list ? reflection.GetRepeatedStringReference(message, field, i, &scratch)
               : reflection.GetStringReference(message, field, &scratch);
      if (!IsUtf8(text)) return path;
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<v1::ExecuteRequest> BuildRequest(const StepOptions& options,
                                                Environment& environment) {
  if (ReadsStandardInputTwice(options)) {
    return absl::NotFoundError("standard input (-) can be read for one flag only");
  }
  v1::ExecuteRequest request;
  absl::Status status;
  if (options.step_file) status = ReadStepFile(*options.step_file, environment, request);
  // Flags that name credentials or a relay make the file's references moot.
  const bool replaced = options.secrets.Any() || options.relay;
  if (status.ok() && request.has_config() && !replaced) {
    status = ResolveReferences(*request.mutable_config(), environment);
  }
  if (status.ok()) status = ApplyConfig(options, environment, *request.mutable_config());
  if (status.ok()) status = ApplyEmailFlags(options.email, environment, *request.mutable_email());
  if (!status.ok()) return status;
  if (request.config().kind_case() == v1::Config::KIND_NOT_SET) request.clear_config();
  if (options.request_id) request.set_request_id(*options.request_id);
  if (options.all_or_nothing) request.set_delivery(v1::DELIVERY_POLICY_ALL_OR_NOTHING);
  if (options.resend_on_uncertain) request.set_resend_on_uncertain(true);
  if (request.ByteSizeLong() > kMaxRequestBytes) {
    return absl::InvalidArgumentError("the request is larger than 40 MiB");
  }
  if (const std::string field = FieldThatIsNotUtf8(request); !field.empty()) {
    return absl::InvalidArgumentError(field + " is not UTF-8 text");
  }
  return request;
}

v1::TestSendRequest ToTestRequest(v1::ExecuteRequest step, const StepOptions& options) {
  v1::TestSendRequest test;
  test.set_request_id(step.request_id());
  if (!options.email.to.empty()) test.mutable_to()->Swap(step.mutable_email()->mutable_to());
  v1::Email& email = *step.mutable_email();
  if (email.ByteSizeLong() > 0) *test.mutable_email() = std::move(email);
  if (step.has_config()) *test.mutable_config() = std::move(*step.mutable_config());
  if (step.has_context()) *test.mutable_context() = std::move(*step.mutable_context());
  test.set_skip_deliverability(options.no_deliverability);
  return test;
}

v1::ValidateConfigRequest ToValidateRequest(v1::ExecuteRequest step, v1::ValidateDepth depth) {
  v1::ValidateConfigRequest validate;
  validate.set_depth(depth);
  if (step.email().ByteSizeLong() > 0) *validate.mutable_email() = std::move(*step.mutable_email());
  if (step.has_config()) *validate.mutable_config() = std::move(*step.mutable_config());
  if (step.has_context()) *validate.mutable_context() = std::move(*step.mutable_context());
  return validate;
}

std::string NewRequestId() {
  unsigned char b[16];
  if (getrandom(b, sizeof b, 0) != sizeof b) std::abort();  // never short for 16 bytes
  b[6] = static_cast<unsigned char>((b[6] & 0x0F) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3F) | 0x80);
  std::string id;
  for (int i = 0; i < 16; ++i) {
    char hex[4];
    std::snprintf(hex, sizeof hex, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
    id += hex;
  }
  return id;
}

}  // namespace sendstep::cli
