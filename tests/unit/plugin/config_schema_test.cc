#include "plugin/config_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace sendstep::plugin {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

class ConfigSchemaTest : public testing::Test {
 protected:
  const json& Def(const char* name) const { return schema_["$defs"].at(name); }
  const json& Property(const char* message, const char* name) const {
    return Def(message)["properties"].at(name);
  }

  providers::Registry registry_ = providers::Registry::Embedded();
  const json schema_ = json::parse(ConfigSchema(registry_));
};

std::set<std::string> Keys(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

std::set<std::string> Constants(const json& choices) {
  std::set<std::string> values;
  for (const json& choice : choices) values.insert(choice["const"].get<std::string>());
  return values;
}

TEST_F(ConfigSchemaTest, IsA202012ObjectOfEmailAndConfig) {
  EXPECT_EQ(schema_["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_THAT(Keys(schema_["properties"]), ElementsAre("config", "email"));
  EXPECT_EQ(schema_["required"], json::array({"email"}));
  EXPECT_EQ(schema_["properties"]["config"]["title"], "SMTP configuration");
  EXPECT_EQ(schema_["properties"]["config"]["x-group"], "Advanced configuration");
}

TEST_F(ConfigSchemaTest, HoldsTheMessagesOfAStepAndNoOther) {
  EXPECT_THAT(Keys(schema_["$defs"]), ElementsAre("Address", "Attachment", "Config", "Dsn", "Email",
                                                  "Header", "Secret", "SmtpConfig", "Unsubscribe"));
}

TEST_F(ConfigSchemaTest, EveryReferenceIsDefined) {
  const std::string text = schema_.dump();
  for (size_t at = text.find("#/$defs/"); at != text.npos; at = text.find("#/$defs/", at + 1)) {
    const size_t start = at + 8;
    EXPECT_TRUE(schema_["$defs"].contains(text.substr(start, text.find('"', start) - start)));
  }
}

TEST_F(ConfigSchemaTest, EveryPropertyHasTitleDescriptionAndOrder) {
  for (const auto& [name, def] : schema_["$defs"].items()) {
    EXPECT_EQ(def["additionalProperties"], false) << name;
    for (const auto& [key, property] : def["properties"].items()) {
      EXPECT_THAT(property["title"].get<std::string>(), Not("")) << name << "." << key;
      EXPECT_THAT(property["description"].get<std::string>(), Not("")) << name << "." << key;
      EXPECT_TRUE(property["x-order"].is_number_integer()) << name << "." << key;
    }
  }
}

TEST_F(ConfigSchemaTest, DescriptionsAreTheContractsComments) {
  EXPECT_THAT(Property("SmtpConfig", "domain")["description"].get<std::string>(),
              HasSubstr("FQDN or IP address for EHLO/HELO (RFC 5321 4.1.1.1)"));
  EXPECT_THAT(Def("Email")["description"].get<std::string>(), StartsWith("One email"));
}

TEST_F(ConfigSchemaTest, SecretsAreWriteOnlyAndShownAsPasswords) {
  EXPECT_EQ(Property("Secret", "value")["writeOnly"], true);
  EXPECT_EQ(Property("Secret", "value")["format"], "password");
  EXPECT_EQ(Property("SmtpConfig", "password")["writeOnly"], true);
  EXPECT_EQ(Property("SmtpConfig", "oauth2Token")["writeOnly"], true);
  EXPECT_FALSE(Property("SmtpConfig", "username").contains("writeOnly"));
}

TEST_F(ConfigSchemaTest, ReferencesToSecretsOfTheServerAreLeftOut) {
  EXPECT_THAT(Keys(Def("Secret")["properties"]), ElementsAre("value"));
}

TEST_F(ConfigSchemaTest, ProvidersAreTheRegistrysIdsAndAliases) {
  std::set<std::string> names;
  for (const auto& profile : registry_.profiles()) {
    names.insert(profile->id());
    names.insert(profile->aliases().begin(), profile->aliases().end());
  }
  EXPECT_EQ(Constants(Property("SmtpConfig", "provider")["anyOf"]), names);
  EXPECT_THAT(names, Contains("custom"));
}

TEST_F(ConfigSchemaTest, PortIsInRangeAndSuggestsTheUsualOnes) {
  const json& port = Property("SmtpConfig", "port");
  EXPECT_EQ(port["type"], "integer");
  EXPECT_EQ(port["minimum"], 1);
  EXPECT_EQ(port["maximum"], 65535);
  EXPECT_FALSE(port.contains("default"));  // the profile's comes first
  EXPECT_THAT(port["examples"].get<std::set<int>>(), IsSupersetOf({25, 110, 465, 587, 2525}));
}

TEST_F(ConfigSchemaTest, TlsChoicesAreNamedAndDefaultToOn) {
  const json& tls = Property("SmtpConfig", "tls");
  EXPECT_EQ(tls["default"], "TLS_MODE_ON");
  EXPECT_THAT(Constants(tls["oneOf"]),
              ElementsAre("TLS_MODE_IMPLICIT", "TLS_MODE_OFF", "TLS_MODE_ON", "TLS_MODE_STARTTLS"));
  EXPECT_EQ(tls["oneOf"][0]["title"], "On");
  EXPECT_EQ(tls["oneOf"][2]["title"], "STARTTLS");
}

TEST_F(ConfigSchemaTest, OneofMembersExcludeEachOther) {
  EXPECT_THAT(Def("Config")["allOf"],
              Contains(json::parse(R"({"not": {"required": ["smtp", "relay"]}})")));
  EXPECT_THAT(Def("SmtpConfig")["allOf"],
              Contains(json::parse(R"({"not": {"required": ["password", "oauth2Token"]}})")));
}

TEST_F(ConfigSchemaTest, EmailWantsARecipientAndABody) {
  const json& rules = Def("Email")["allOf"];
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0]["anyOf"].size(), 3u);
  EXPECT_EQ(rules[0]["anyOf"][2]["required"], json::array({"bcc"}));
  EXPECT_EQ(rules[0]["anyOf"][2]["properties"]["bcc"]["minItems"], 1);
  EXPECT_EQ(rules[1]["anyOf"][0]["required"], json::array({"html"}));
  EXPECT_EQ(rules[1]["anyOf"][0]["properties"]["html"]["minLength"], 1);
}

TEST_F(ConfigSchemaTest, TypesFollowTheJsonMapping) {
  EXPECT_EQ(Property("Email", "to")["type"], "array");
  EXPECT_EQ(Property("Email", "to")["items"]["$ref"], "#/$defs/Address");
  EXPECT_EQ(Property("Email", "references")["items"]["type"], "string");
  EXPECT_EQ(Property("Attachment", "content")["contentEncoding"], "base64");
  EXPECT_EQ(Property("SmtpConfig", "insecureSkipVerify")["type"], "boolean");
  EXPECT_EQ(Property("SmtpConfig", "defaultFrom")["$ref"], "#/$defs/Address");
}

}  // namespace
}  // namespace sendstep::plugin
