#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "providers/registry.h"

namespace sendstep::providers {
namespace {

using testing::HasSubstr;

constexpr char kSound[] = R"txt(
  id: "acme" title: "Acme" host: "smtp.acme.example"
  doc_url: "https://acme.example/smtp"
  ports { number: 587 tls: TLS_FORM_STARTTLS } ports { number: 465 tls: TLS_FORM_IMPLICIT }
  default_port: 587 auth_mechanisms: "PLAIN"
  username { help: "u" example: "u@acme.example" pattern: ".+@.+" mismatch: "m" } password { help: "p" }
  explanations {
    pattern: "no such key" example: "535 5.7.8 No such key" stages: "auth" reason: "AUTH_REFUSED"
    meaning: "m" fault: FAULT_CONFIG what_to_do: "w"
  }
  message_ids { pattern: "queued as (\\w+)" example: "Ok: queued as A1" }
)txt";

Profile Sound() {
  Profile profile;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kSound, &profile));
  return profile;
}

std::string Faults(const Profile& profile) { return std::string(CheckProfile(profile).message()); }

TEST(CheckProfileTest, SoundProfilePasses) {
  EXPECT_TRUE(CheckProfile(Sound()).ok()) << Faults(Sound());
}

struct Case {
  const char* name;
  void (*spoil)(Profile&);
  const char* fault;
};

class FaultTest : public testing::TestWithParam<Case> {};

TEST_P(FaultTest, IsNamed) {
  Profile profile = Sound();
  GetParam().spoil(profile);
  EXPECT_EQ(CheckProfile(profile).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Faults(profile), HasSubstr(GetParam().fault));
}

const Case kCases[] = {
    {"Id", [](Profile& p) { p.set_id("Ac me"); }, "id is malformed"},
    {"Title", [](Profile& p) { p.clear_title(); }, "title is missing"},
    {"AliasForm", [](Profile& p) { p.add_aliases("A"); }, "alias is malformed"},
    {"AliasTwice", [](Profile& p) { p.add_aliases("acme"); }, "alias is named twice"},
    {"Host", [](Profile& p) { p.set_host("SMTP.acme.example"); },
     "host is not a lower-case domain"},
    {"OtherHost", [](Profile& p) { p.add_other_hosts("a b"); }, "other_hosts is not"},
    {"MailDomain", [](Profile& p) { p.add_mail_domains("@acme.example"); }, "mail_domains is not"},
    {"SpfInclude", [](Profile& p) { p.mutable_dns()->set_spf_include("include:a"); },
     "dns.spf_include is not a lower-case domain"},
    {"DkimRecordElsewhere",
     [](Profile& p) {
       auto& record = *p.mutable_dns()->add_dkim();
       record.set_name("s1");
       record.set_type(profile::v1::RECORD_TYPE_TXT);
     },
     "a DKIM record is not below _domainkey: s1"},
    {"CnameWithoutTarget",
     [](Profile& p) {
       auto& record = *p.mutable_dns()->add_dkim_else();
       record.set_name("s1._domainkey");
       record.set_type(profile::v1::RECORD_TYPE_CNAME);
     },
     "record s1._domainkey: a CNAME and an MX have a target"},
    {"ReturnPathByTxt",
     [](Profile& p) {
       p.mutable_dns()->set_envelope(profile::v1::ENVELOPE_DOMAIN_PROVIDER);
       auto& record = *p.mutable_dns()->add_return_path();
       record.set_name("bounces");
       record.set_type(profile::v1::RECORD_TYPE_TXT);
     },
     "record bounces is of another type than its use"},
    {"ReturnPathOfTheSenders",
     [](Profile& p) {
       auto& record = *p.mutable_dns()->add_return_path();
       record.set_name("bounces");
       record.set_type(profile::v1::RECORD_TYPE_CNAME);
       record.set_target("acme.example");
     },
     "dns.return_path is for an envelope of the provider's"},
    {"DocUrl", [](Profile& p) { p.set_doc_url("http://acme.example"); }, "not an https URL"},
    {"NoPorts", [](Profile& p) { p.clear_ports(); }, "ports are missing"},
    {"DefaultPort", [](Profile& p) { p.set_default_port(25); }, "default_port is not among"},
    {"PortTwice", [](Profile& p) { *p.add_ports() = p.ports(0); }, "port 587 is listed twice"},
    {"PortRange", [](Profile& p) { p.mutable_ports(0)->set_number(70000); }, "not a TCP port"},
    {"NoTlsForm", [](Profile& p) { p.mutable_ports(0)->clear_tls(); }, "port 587 has no TLS form"},
    {"StartTlsPort",
     [](Profile& p) { p.mutable_ports(0)->set_tls(profile::v1::TLS_FORM_IMPLICIT); },
     "port 587 is for STARTTLS"},
    {"ImplicitPort",
     [](Profile& p) { p.mutable_ports(1)->set_tls(profile::v1::TLS_FORM_STARTTLS); },
     "port 465 is for implicit TLS"},
    {"Mechanism", [](Profile& p) { p.add_auth_mechanisms("NTLM"); }, "unknown mechanism: NTLM"},
    {"MechanismTwice", [](Profile& p) { p.add_auth_mechanisms("PLAIN"); },
     "mechanism is named twice"},
    {"NoMechanisms", [](Profile& p) { p.clear_auth_mechanisms(); }, "auth_mechanisms are missing"},
    {"UsernameHelp", [](Profile& p) { p.mutable_username()->clear_help(); },
     "username.help is missing"},
    {"PasswordHelp", [](Profile& p) { p.clear_password(); }, "password.help is missing"},
    {"UsernameExample", [](Profile& p) { p.mutable_username()->set_example("u"); },
     "username.pattern does not match: u"},
    {"UsernameFixed", [](Profile& p) { p.mutable_username()->set_fixed("key"); },
     "username.pattern does not match: key"},
    {"UsernamePattern", [](Profile& p) { p.mutable_username()->set_pattern("("); },
     "username.pattern does not compile"},
    {"Mismatch", [](Profile& p) { p.mutable_username()->clear_mismatch(); }, "go together"},
    {"Mistake", [](Profile& p) { p.mutable_password()->set_mistake_pattern("x"); }, "go together"},
    {"Pattern", [](Profile& p) { p.mutable_explanations(0)->set_pattern("["); },
     "does not compile"},
    {"Example", [](Profile& p) { p.mutable_explanations(0)->set_example("535 other"); },
     "does not match its own example"},
    {"ExampleIsNoRefusal",
     [](Profile& p) { p.mutable_explanations(0)->set_example("no such key"); },
     "is no reply that refuses"},
    {"Reason", [](Profile& p) { p.mutable_explanations(0)->set_reason("BAD_LUCK"); },
     "unknown reason BAD_LUCK"},
    {"Stage", [](Profile& p) { p.mutable_explanations(0)->add_stages("login"); },
     "unknown stage login"},
    {"Fault", [](Profile& p) { p.mutable_explanations(0)->clear_fault(); }, "has no fault"},
    {"Meaning", [](Profile& p) { p.mutable_explanations(0)->clear_meaning(); }, "has no meaning"},
    {"WhatToDo", [](Profile& p) { p.mutable_explanations(0)->clear_what_to_do(); },
     "no what_to_do"},
    {"RetryAfter", [](Profile& p) { p.mutable_explanations(0)->set_retry_after_seconds(5); },
     "is not retryable"},
    {"AuthRetry", [](Profile& p) { p.mutable_explanations(0)->set_retryable(true); },
     "a 5xx to AUTH is never retryable"},
    {"Shadow", [](Profile& p) { *p.add_explanations() = p.explanations(0); }, "meets"},
    {"IdGroup", [](Profile& p) { p.mutable_message_ids(0)->set_pattern("queued"); },
     "has no group"},
    {"IdExample", [](Profile& p) { p.mutable_message_ids(0)->set_example("Ok"); }, "finds no id"},
    {"RegionTemplate",
     [](Profile& p) {
       p.clear_host();
       p.mutable_regions()->set_pattern("[a-z]+");
       p.mutable_regions()->set_host_template("smtp.acme.example");
       p.mutable_regions()->set_host_pattern("smtp\\.([a-z]+)\\.acme\\.example");
     },
     "has no {region}"},
    {"RegionReadBack",
     [](Profile& p) {
       p.clear_host();
       p.mutable_regions()->set_pattern("[a-z]+");
       p.mutable_regions()->set_host_template("smtp.{region}.acme.example");
       p.mutable_regions()->set_host_pattern("mail\\.([a-z]+)\\.acme\\.example");
       p.mutable_regions()->add_known("eu");
     },
     "cannot be read back"},
    {"RegionWithoutHost", [](Profile& p) { p.mutable_regions()->add_known("eu"); },
     "region has no host: eu"},
    {"RegionDefault",
     [](Profile& p) {
       (*p.mutable_regions()->mutable_hosts())["eu"] = "eu.acme.example";
       p.mutable_regions()->set_default_region("eu");
       p.mutable_regions()->add_known("eu");
     },
     "host is not the host of regions.default_region"},
    {"Connections", [](Profile& p) { p.mutable_sending_limits()->set_max_connections(10'001); },
     "sending_limits.max_connections is not from 1 to 10000"},
    {"MailsPerConnection",
     [](Profile& p) { p.mutable_sending_limits()->set_max_mails_per_connection(1'000'001); },
     "sending_limits.max_mails_per_connection is not from"},
    {"Idle", [](Profile& p) { p.mutable_sending_limits()->set_max_idle_seconds(301); },
     "sending_limits.max_idle_seconds is not from 1 to 300"},
    {"Rate", [](Profile& p) { p.mutable_sending_limits()->set_max_mails_per_second(-1); },
     "sending_limits.max_mails_per_second is not from"},
    {"SwallowsWithoutAHost",
     [](Profile& p) {
       p.clear_host();
       p.set_swallows_refused_chunk(true);
     },
     "swallows_refused_chunk is said of a server that is not known"},
};

INSTANTIATE_TEST_SUITE_P(CheckProfile, FaultTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST(CheckProfileTest, AllFaultsComeBackTogether) {
  Profile profile = Sound();
  profile.clear_title();
  profile.set_default_port(1);
  EXPECT_THAT(Faults(profile),
              testing::AllOf(HasSubstr("title"), HasSubstr("\n"), HasSubstr("default_port")));
}

}  // namespace
}  // namespace sendstep::providers
