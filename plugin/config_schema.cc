#include "plugin/config_schema.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "protos/contract_descriptor.h"
#include "protos/sendstep/v1/email_action.pb.h"

namespace sendstep::plugin {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptorSet;
using Json = nlohmann::ordered_json;

// What a form calls a field, where its name does not say it well.
constexpr std::pair<std::string_view, std::string_view> kTitles[] = {
    {"ExecuteRequest.config", "SMTP configuration"},
    {"Config", "SMTP configuration"},
    {"Config.smtp", "SMTP settings"},
    {"SmtpConfig", "SMTP settings"},
    {"SmtpConfig.host", "Server URL"},
    {"SmtpConfig.discover_domain", "Mail domain to find the server by"},
    {"SmtpConfig.tls", "TLS/SSL"},
    {"SmtpConfig.oauth2_token", "OAuth 2.0 access token"},
    {"SmtpConfig.ca_pem", "CA certificates (PEM)"},
    {"SmtpConfig.auth_mechanism", "Login mechanism"},
    {"SmtpConfig.pinned_key_sha256", "SHA-256 of the server's public key"},
    {"SmtpConfig.min_tls_version", "Oldest TLS version"},
    {"SmtpConfig.dkim_selectors", "DKIM selectors"},
    {"TLS_VERSION_1_2", "TLS 1.2"},
    {"TLS_VERSION_1_3", "TLS 1.3"},
    {"SmtpConfig.insecure_skip_verify", "Accept any certificate"},
    {"SmtpConfig.allow_plaintext_auth", "Send credentials in plaintext"},
    {"SmtpConfig.default_from", "Default sender"},
    {"Email.html", "Email HTML"},
    {"Email.text", "Email text"},
    {"Email.reply_to", "Reply-To"},
    {"Email.in_reply_to", "In-Reply-To"},
    {"Email.calendar", "Calendar object"},
    {"Email.dsn", "Delivery status notifications"},
    {"Email.require_tls", "Require TLS on the whole way"},
    {"Dsn", "Delivery status notifications"},
    {"Dsn.envelope_id", "Envelope id"},
    {"Unsubscribe.url", "Unsubscribe page"},
    {"Unsubscribe.email", "Unsubscribe mailbox"},
    {"Unsubscribe.one_click", "Unsubscribe by one click"},
    {"TLS_MODE_STARTTLS", "STARTTLS"},
    {"TLS_MODE_IMPLICIT", "Implicit TLS"},
    {"AUTH_MECHANISM_SCRAM_SHA_256_PLUS", "SCRAM-SHA-256-PLUS"},
    {"AUTH_MECHANISM_SCRAM_SHA_256", "SCRAM-SHA-256"},
    {"AUTH_MECHANISM_PLAIN", "PLAIN"},
    {"AUTH_MECHANISM_LOGIN", "LOGIN"},
    {"AUTH_MECHANISM_CRAM_MD5", "CRAM-MD5"},
    {"AUTH_MECHANISM_OAUTHBEARER", "OAUTHBEARER"},
    {"AUTH_MECHANISM_XOAUTH2", "XOAUTH2"},
};

// Fields behind an advanced toggle, and its label.
constexpr std::string_view kAdvanced = "Advanced";
constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"ExecuteRequest.config", "Advanced configuration"},
    {"SmtpConfig.discover_domain", kAdvanced},
    {"SmtpConfig.oauth2_token", kAdvanced},
    {"SmtpConfig.auth_mechanism", kAdvanced},
    {"SmtpConfig.ca_pem", kAdvanced},
    {"SmtpConfig.pinned_key_sha256", kAdvanced},
    {"SmtpConfig.min_tls_version", kAdvanced},
    {"SmtpConfig.dkim_selectors", kAdvanced},
    {"SmtpConfig.insecure_skip_verify", kAdvanced},
    {"SmtpConfig.allow_plaintext_auth", kAdvanced},
    {"SmtpConfig.default_from", kAdvanced},
    {"Email.headers", kAdvanced},
    {"Email.in_reply_to", kAdvanced},
    {"Email.references", kAdvanced},
    {"Email.envelope_sender", kAdvanced},
    {"Email.sender", kAdvanced},
    {"Email.unsubscribe", kAdvanced},
    {"Email.priority", kAdvanced},
    {"Email.calendar", kAdvanced},
    {"Email.dsn", kAdvanced},
    {"Email.require_tls", kAdvanced},
};

// References to secrets of the server: legal in the operator's files, refused in a step.
constexpr std::string_view kOperatorOnly[] = {"Secret.env", "Secret.file"};

// Fields that may not be set together, beside those of a oneof.
struct Exclusion {
  std::string_view message, one, other;
};
constexpr Exclusion kExclusions[] = {{"SmtpConfig", "password", "oauth2Token"},
                                     {"SmtpConfig", "host", "discoverDomain"}};

constexpr std::pair<std::string_view, std::string_view> kRequired[] = {
    {"Address", "email"}, {"Header", "name"}, {"Secret", "value"}};

// Ports that users are told about; the profiles' own come on top.
constexpr uint32_t kUsualPorts[] = {25, 110, 465, 587, 2525};
constexpr size_t kMaxCaPem = 64 * 1024;

template <size_t N>
std::string_view Find(const std::pair<std::string_view, std::string_view> (&table)[N],
                      std::string_view key) {
  for (const auto& [name, value] : table) {
    if (name == key) return value;
  }
  return {};
}

// The contract with its comments, which the generated code does without.
const DescriptorPool& Contract() {
  static const DescriptorPool& pool = *[] {
    auto* made = new DescriptorPool;
    FileDescriptorSet files;
    const std::string_view bytes = ContractDescriptorSet();
    if (!files.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) std::abort();
    for (const auto& file : files.file()) {
      if (made->BuildFile(file) == nullptr) std::abort();
    }
    return made;
  }();
  return pool;
}

const Descriptor& Message(const char* name) {
  return *Contract().FindMessageTypeByName(std::string("sendstep.v1.") + name);
}

// The comment above a declaration, in one line.
template <class AnyDescriptor>
std::string Comment(const AnyDescriptor& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  std::string text;
  for (const char c : location.leading_comments) {
    const bool blank = c == ' ' || c == '\n';
    if (blank && (text.empty() || text.back() == ' ')) continue;
    text += blank ? ' ' : c;
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// "CONTENT_TYPE" or "content_type" as "Content type".
std::string Humanized(std::string name) {
  for (char& c : name) {
    c = c == '_' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (!name.empty()) name[0] = static_cast<char>(std::toupper(name[0]));
  return name;
}

std::string Key(const FieldDescriptor& field) {
  return field.containing_type()->name() + "." + field.name();
}

std::string Title(const std::string& key, const std::string& name) {
  const std::string_view title = Find(kTitles, key);
  return title.empty() ? Humanized(name) : std::string(title);
}

bool IsSecret(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::secret) ||
         (field.message_type() != nullptr && field.message_type()->name() == "Secret");
}

class SchemaMaker {
 public:
  explicit SchemaMaker(const providers::Registry& registry) : registry_(registry) {}

  Json Make() {
    const Descriptor& request = Message("ExecuteRequest");
    Json properties = Json::object();
    int order = 0;
    for (const char* name : {"email", "config"}) {
      properties[name] = Property(*request.FindFieldByName(name), order++);
    }
    Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                   {"title", "Send Email"},
                   {"description", "Sends one email through the mail provider of your choice."},
                   {"type", "object"},
                   {"properties", std::move(properties)},
                   {"required", {"email"}},
                   {"additionalProperties", false}};
    schema["$defs"] = std::move(defs_);
    return schema;
  }

 private:
  Json Property(const FieldDescriptor& field, int order) {
    const std::string key = Key(field);
    Json schema = {{"title", Title(key, field.name())}, {"description", Comment(field)}};
    Json value = Value(field);
    if (field.is_repeated()) {
      schema["type"] = "array";
      schema["items"] = std::move(value);
    } else {
      schema.update(value);
    }
    if (key == "SmtpConfig.provider") schema["anyOf"] = Providers();
    if (key == "SmtpConfig.port") schema.update(Port());
    if (key == "SmtpConfig.tls") schema["default"] = "TLS_MODE_ON";
    if (key == "SmtpConfig.ca_pem") schema["maxLength"] = kMaxCaPem;
    if (IsSecret(field)) schema["writeOnly"] = true;
    if (const std::string_view group = Find(kGroups, key); !group.empty())
      schema["x-group"] = group;
    schema["x-order"] = order;
    return schema;
  }

  // The JSON mapping of one value.
  Json Value(const FieldDescriptor& field) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (field.type() == FieldDescriptor::TYPE_BYTES) {
          return {{"type", "string"}, {"contentEncoding", "base64"}};
        }
        if (IsSecret(field)) return {{"type", "string"}, {"format", "password"}};
        return {{"type", "string"}};
      case FieldDescriptor::CPPTYPE_BOOL:
        return {{"type", "boolean"}, {"default", false}};
      case FieldDescriptor::CPPTYPE_UINT32:
        return {
            {"type", "integer"}, {"minimum", 0}, {"maximum", std::numeric_limits<uint32_t>::max()}};
      case FieldDescriptor::CPPTYPE_ENUM:
        return Choices(*field.enum_type());
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Reference(*field.message_type());
      default:
        std::abort();  // the settings have no other types; the test sees all of them
    }
  }

  static Json Choices(const EnumDescriptor& type) {
    // TLS_MODE_ON without TLS_MODE_; the value that means "not set" is no choice.
    const std::string& unset = type.value(0)->name();
    const size_t prefix = unset.rfind("UNSPECIFIED");
    Json choices = Json::array();
    for (int i = 1; i < type.value_count(); ++i) {
      const EnumValueDescriptor& value = *type.value(i);
      choices.push_back({{"const", value.name()},
                         {"title", Title(value.name(), value.name().substr(prefix))},
                         {"description", Comment(value)}});
    }
    return {{"type", "string"}, {"oneOf", std::move(choices)}};
  }

  Json Reference(const Descriptor& message) {
    if (!defs_.contains(message.name())) {
      defs_[message.name()] = Json::object();  // keeps its place
      Json schema = Object(message);
      defs_[message.name()] = std::move(schema);
    }
    return {{"$ref", "#/$defs/" + message.name()}};
  }

  Json Object(const Descriptor& message) {
    Json properties = Json::object();
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      const bool hidden = std::ranges::count(kOperatorOnly, Key(field)) > 0;
      if (!hidden) properties[field.json_name()] = Property(field, i);
    }
    Json schema = {{"title", Title(message.name(), message.name())},
                   {"description", Comment(message)},
                   {"type", "object"},
                   {"properties", std::move(properties)},
                   {"additionalProperties", false}};
    for (const auto& [name, field] : kRequired) {
      if (name == message.name()) schema["required"].push_back(field);
    }
    Json rules = Rules(message, schema["properties"]);
    if (!rules.empty()) schema["allOf"] = std::move(rules);
    return schema;
  }

  // What holds between the fields of a message.
  static Json Rules(const Descriptor& message, const Json& properties) {
    Json rules = Json::array();
    const auto exclude = [&](std::string_view one, std::string_view other) {
      rules.push_back({{"not", {{"required", {one, other}}}}});
    };
    for (int i = 0; i < message.real_oneof_decl_count(); ++i) {
      const auto& oneof = *message.oneof_decl(i);
      for (int a = 0; a < oneof.field_count(); ++a) {
        for (int b = a + 1; b < oneof.field_count(); ++b) {
          const std::string& one = oneof.field(a)->json_name();
          const std::string& other = oneof.field(b)->json_name();
          if (properties.contains(one) && properties.contains(other)) exclude(one, other);
        }
      }
    }
    for (const Exclusion& exclusion : kExclusions) {
      if (exclusion.message == message.name()) exclude(exclusion.one, exclusion.other);
    }
    if (message.name() == "Email") {
      rules.push_back(AnyRequired({"to", "cc", "bcc"}));
      rules.push_back(AnyRequired({"html", "text"}));
    }
    return rules;
  }

  static Json AnyRequired(std::initializer_list<const char*> names) {
    Json any = Json::array();
    for (const char* name : names) {
      // At least one element, or one character.
      any.push_back(
          {{"required", {name}}, {"properties", {{name, {{"minItems", 1}, {"minLength", 1}}}}}});
    }
    return {{"anyOf", std::move(any)}};
  }

  Json Providers() const {
    Json choices = Json::array();
    for (const auto& profile : registry_.profiles()) {
      choices.push_back({{"const", profile->id()}, {"title", profile->title()}});
      for (const std::string& alias : profile->aliases()) {
        choices.push_back({{"const", alias}, {"title", profile->title()}});
      }
    }
    return choices;
  }

  Json Port() const {
    std::set<uint32_t> ports(std::begin(kUsualPorts), std::end(kUsualPorts));
    for (const auto& profile : registry_.profiles()) {
      for (const auto& port : profile->ports()) ports.insert(port.number());
    }
    return {{"minimum", 1}, {"maximum", 65535}, {"examples", ports}};
  }

  const providers::Registry& registry_;
  Json defs_ = Json::object();
};

}  // namespace

std::string ConfigSchema(const providers::Registry& registry) {
  return SchemaMaker(registry).Make().dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sendstep::plugin
