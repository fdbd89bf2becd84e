#include "providers/doctor/diagnose.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <string>
#include <utility>

#include "providers/doctor/gather.h"
#include "providers/registry.h"
#include "tests/support/fake_lookup.h"

namespace sendstep::doctor {
namespace {

using dns::Outcome;
using dns::RecordType;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A key of 2,048 bits, made for these tests alone.
constexpr char kKey[] =
    "v=DKIM1; k=rsa; "
    "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4TqyHiVCAW8Ru9fbUWTeDyoWWQXZCrwA"
    "+wRWV2xHEZFtzRcVeC8rCd+FNltPxTnkxzCX2SjlJrykhDCLWLTLA59em919atTx4EVg4LEQ3QK0"
    "3+NpLegLUlbO4rnpIIra+ODt8CKbTUDUP1AKMWiI1MZU17uwifQUeqAogd8Vldw5FPQ2Nddb27nV"
    "DYk/2b6Ai0TDdNfIGDblVStvK8LfCkLTrV6XGUc9K3aiPrNoDzEncfjFZOCq1F7Dg2HeCMAJjLQ3"
    "O+4kfbZl7zg2D7Wkm4VpKVyPdBvHWg53/rY9EyT3npvUvt9IELVFLLrSV0GaKCRZGevSwpJe/jGj"
    "RamOkwIDAQAB";

const providers::Registry& Profiles() {
  static const providers::Registry registry = providers::Registry::Embedded();
  return registry;
}

auto HasId(const std::string& id) { return Contains(Field("id", &mailauth::Problem::id, id)); }

class DiagnoseTest : public ::testing::Test {
 protected:
  DiagnoseTest() { lookup_.Mx("ex.test", 10, "mx.ex.test"); }

  Diagnosis Diagnose(const std::string& provider) {
    question_.profile = provider.empty() ? nullptr : Profiles().FindByName(provider);
    if (question_.from_domain.empty()) question_.from_domain = "ex.test";
    question_.mailbox_provider = Profiles().FindByMailDomain(question_.from_domain);
    boost::asio::io_context context;
    dns::Inquiry inquiry(context.get_executor(), lookup_, budget_);
    std::future<Diagnosis> done = boost::asio::co_spawn(
        context, doctor::Diagnose(inquiry, question_), boost::asio::use_future);
    context.run();
    return done.get();
  }

  void Policy(const std::string& policy) { lookup_.Txt("_dmarc.ex.test", "v=DMARC1; p=" + policy); }
  void GmailIncluded() {
    lookup_.Txt("ex.test", "v=spf1 include:_spf.google.com -all");
    lookup_.Txt("_spf.google.com", "v=spf1 ip4:192.0.2.0/24 -all");
  }

  testing::FakeLookup lookup_;
  dns::Budget budget_;
  Question question_;
};

TEST_F(DiagnoseTest, AnIncludedProviderPassesBySpf) {
  GmailIncluded();
  Policy("reject");
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_EQ(diagnosis.verdict.spf.aligned, CanPass::kYes);
  EXPECT_EQ(diagnosis.verdict.dkim.aligned, CanPass::kNo);
  EXPECT_EQ(diagnosis.verdict.dmarc, CanPass::kYes);
  EXPECT_THAT(diagnosis.verdict.summary, HasSubstr("can pass DMARC, by SPF"));
}

TEST_F(DiagnoseTest, AnotherEnvelopeDomainDoesNotAlign) {
  GmailIncluded();
  lookup_.Txt("other.test", "v=spf1 include:_spf.google.com -all");
  Policy("reject");
  question_.envelope_domain = "other.test";
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_EQ(diagnosis.verdict.spf.aligned, CanPass::kNo);
  EXPECT_EQ(diagnosis.verdict.dmarc, CanPass::kNo);
  EXPECT_EQ(diagnosis.verdict.if_it_fails, ReceiverAction::kRefuse);
}

TEST_F(DiagnoseTest, ARecordThatListsAddressesMayListTheProviders) {
  lookup_.Txt("ex.test", "v=spf1 ip4:198.51.100.0/24 -all");
  EXPECT_EQ(Diagnose("gmail").verdict.spf.aligned, CanPass::kUnknown);
}

TEST_F(DiagnoseTest, AKnownAddressDecidesSpf) {
  lookup_.Txt("ex.test", "v=spf1 ip4:198.51.100.0/24 -all");
  question_.ip = boost::asio::ip::make_address("198.51.100.7");
  EXPECT_EQ(Diagnose("").verdict.spf.aligned, CanPass::kYes);
  question_.ip = boost::asio::ip::make_address("192.0.2.7");
  EXPECT_EQ(Diagnose("").verdict.spf.aligned, CanPass::kNo);
}

TEST_F(DiagnoseTest, AServerNobodyKnowsLeavesSpfUnknown) {
  lookup_.Txt("ex.test", "v=spf1 mx -all");
  const Diagnosis diagnosis = Diagnose("");
  EXPECT_EQ(diagnosis.verdict.spf.aligned, CanPass::kUnknown);
  EXPECT_THAT(diagnosis.verdict.spf.why, HasSubstr("this server"));
}

TEST_F(DiagnoseTest, AKeyOfTheProviderPassesByDkim) {
  Policy("quarantine");
  lookup_.Name("s1._domainkey.ex.test", RecordType::kCname, "s1.domainkey.u1.wl.sendgrid.net");
  lookup_.Txt("s1.domainkey.u1.wl.sendgrid.net", kKey);
  const Diagnosis diagnosis = Diagnose("sendgrid");
  EXPECT_EQ(diagnosis.verdict.dkim.aligned, CanPass::kYes);
  EXPECT_THAT(diagnosis.verdict.dkim.why, HasSubstr("not proven"));
  EXPECT_THAT(diagnosis.fixes, IsEmpty());
}

TEST_F(DiagnoseTest, AKeyAboveASubdomainMayBeTheOneThatSigns) {
  lookup_.Txt("_dmarc.test", "v=DMARC1; p=none; psd=y");
  Policy("reject");
  lookup_.Mx("sub.ex.test", 10, "mx.ex.test");
  lookup_.Txt("google._domainkey.ex.test", kKey);
  question_.from_domain = "sub.ex.test";
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_EQ(diagnosis.verdict.dkim.aligned, CanPass::kUnknown);
  EXPECT_EQ(diagnosis.verdict.dkim.domain, "ex.test");
}

TEST_F(DiagnoseTest, WhatIsSetUpAboveASubdomainMayServeIt) {
  Policy("reject");
  lookup_.Mx("sub.ex.test", 10, "mx.ex.test");
  lookup_.Txt("token._domainkey.ex.test", kKey);
  question_.from_domain = "sub.ex.test";
  for (const char* provider : {"ses", "postmark"}) {
    const Diagnosis diagnosis = Diagnose(provider);
    EXPECT_EQ(diagnosis.verdict.dkim.aligned, CanPass::kUnknown) << provider;
    EXPECT_EQ(diagnosis.verdict.spf.aligned, CanPass::kUnknown) << provider;
  }
  lookup_.Txt("_dmarc.sub.ex.test", "v=DMARC1; p=reject; adkim=s; aspf=s");
  const Diagnosis strict = Diagnose("sendgrid");
  EXPECT_EQ(strict.verdict.dmarc, CanPass::kNo);
}

TEST_F(DiagnoseTest, AProvidersOwnMailboxPasses) {
  question_.from_domain = "gmail.com";
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_EQ(diagnosis.verdict.dmarc, CanPass::kYes);
  EXPECT_THAT(diagnosis.findings, Not(HasId("from.free_mail")));
}

TEST_F(DiagnoseTest, AnswersThatDoNotComeLeaveNoVerdict) {
  for (const char* name : {"ex.test", "_dmarc.ex.test", "s1._domainkey.ex.test",
                           "s2._domainkey.ex.test", "_domainkey.ex.test", "_dmarc.test"}) {
    lookup_.Fails(name, Outcome::kTimeout);
  }
  const Diagnosis diagnosis = Diagnose("sendgrid");
  EXPECT_EQ(diagnosis.verdict.dmarc, CanPass::kUnknown);
  EXPECT_EQ(diagnosis.verdict.if_it_fails, ReceiverAction::kUnknown);
  EXPECT_THAT(diagnosis.fixes, IsEmpty());
  EXPECT_THAT(diagnosis.verdict.summary, HasSubstr("could not be determined"));
}

TEST_F(DiagnoseTest, ABudgetThatIsSpentLeavesNoVerdict) {
  budget_.queries = 0;
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_EQ(diagnosis.verdict.dmarc, CanPass::kUnknown);
  EXPECT_THAT(lookup_.asked(), IsEmpty());
  EXPECT_THAT(diagnosis.findings, HasId("dns.budget_spent"));
}

TEST_F(DiagnoseTest, AFixKeepsTheOneSpfRecord) {
  lookup_.Txt("ex.test", "v=spf1 include:spf.other.test ~all");
  lookup_.Txt("spf.other.test", "v=spf1 ip4:192.0.2.0/24 -all");
  const Diagnosis diagnosis = Diagnose("gmail");
  const auto fix = std::ranges::find(diagnosis.fixes, "ex.test", &Fix::name);
  ASSERT_NE(fix, diagnosis.fixes.end());
  EXPECT_EQ(fix->action, Fix::Action::kReplace);
  EXPECT_EQ(fix->value, "v=spf1 include:spf.other.test include:_spf.google.com ~all");
}

TEST_F(DiagnoseTest, SeveralSpfRecordsAreMergedIntoOne) {
  lookup_.Txt("ex.test", "v=spf1 mx include:spf.other.test -all");
  lookup_.Txt("ex.test", "v=spf1 mx ip4:198.51.100.7 ~all");
  lookup_.Txt("_spf.google.com", "v=spf1 ip4:192.0.2.0/24 ~all");
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_THAT(diagnosis.verdict.spf.why, HasSubstr("2 SPF records"));
  const auto fix = std::ranges::find(diagnosis.fixes, "ex.test", &Fix::name);
  ASSERT_NE(fix, diagnosis.fixes.end());
  EXPECT_EQ(fix->action, Fix::Action::kReplace);
  EXPECT_EQ(fix->value,
            "v=spf1 mx include:spf.other.test ip4:198.51.100.7 include:_spf.google.com -all");
}

TEST_F(DiagnoseTest, WhatAWildcardHasForEveryNameIsNoKey) {
  GmailIncluded();
  lookup_.Txt("google._domainkey.ex.test", "v=spf1 -all");
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_EQ(diagnosis.verdict.dkim.aligned, CanPass::kNo);
  EXPECT_THAT(diagnosis.findings, HasId("dkim.no_key"));
  EXPECT_THAT(diagnosis.findings, Not(HasId("dkim.version")));
  EXPECT_THAT(diagnosis.fixes, Contains(Field(&Fix::name, "google._domainkey.ex.test")));
}

TEST_F(DiagnoseTest, APublicSuffixGetsNoRecordsToPublish) {
  lookup_.Txt("co.uk", "a text");
  question_.from_domain = "co.uk";
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_THAT(diagnosis.findings, HasId("domain.public_suffix"));
  EXPECT_THAT(diagnosis.fixes, IsEmpty());
}

TEST_F(DiagnoseTest, AFixThatWouldCostTooManyLookupsSaysSo) {
  std::string record = "v=spf1";
  for (int i = 0; i < 10; ++i) {
    const std::string host = "i" + std::to_string(i) + ".other.test";
    record += " include:" + host;
    lookup_.Txt(host, "v=spf1 ip4:198.51.100.0/24 -all");
  }
  lookup_.Txt("ex.test", record + " ~all");
  lookup_.Txt("_spf.google.com", "v=spf1 include:_netblocks.google.com ~all");
  lookup_.Txt("_netblocks.google.com", "v=spf1 ip4:192.0.2.0/24 ~all");
  const Diagnosis diagnosis = Diagnose("gmail");
  const auto fix = std::ranges::find(diagnosis.fixes, "ex.test", &Fix::name);
  ASSERT_NE(fix, diagnosis.fixes.end());
  EXPECT_THAT(fix->why, HasSubstr("costs 12 lookups"));
}

TEST_F(DiagnoseTest, NoSecondDmarcRecordIsProposed) {
  Policy("reject");
  lookup_.Txt("_dmarc.ex.test", "v=DMARC1; p=none");
  const Diagnosis diagnosis = Diagnose("gmail");
  EXPECT_THAT(diagnosis.findings, HasId("dmarc.several"));
  EXPECT_THAT(diagnosis.fixes, Each(Field(&Fix::name, Not(HasSubstr("_dmarc")))));
}

TEST_F(DiagnoseTest, WhatAProviderDoesNotCheckIsNoErrorOfIt) {
  lookup_.Txt("ex.test", "v=spf1 nonsense -all");
  for (const mailauth::Problem& problem : Diagnose("sendgrid").findings) {
    if (problem.id.starts_with("spf.")) EXPECT_EQ(problem.severity, Severity::kInfo) << problem.id;
  }
}

TEST_F(DiagnoseTest, ErrorsComeFirst) {
  lookup_.Txt("ex.test", "v=spf1 ptr -all");
  const auto findings = Diagnose("gmail").findings;
  EXPECT_TRUE(std::ranges::is_sorted(findings, {}, &mailauth::Problem::severity));
  EXPECT_GT(findings.size(), 2u);
}

TEST(FitsTargetTest, AStarStandsForWhatEachAccountHas) {
  EXPECT_TRUE(
      FitsTarget("s1.domainkey.u7.wl.sendgrid.net", "s1.domainkey.*.sendgrid.net", "a.test"));
  EXPECT_FALSE(FitsTarget("s1.domainkey.sendgrid.net", "s1.domainkey.*.sendgrid.net", "a.test"));
  EXPECT_FALSE(FitsTarget("s1.domainkey.u7.example.net", "s1.domainkey.*.sendgrid.net", "a.test"));
  EXPECT_TRUE(
      FitsTarget("FM1.a.test.dkim.fmhosted.com", "fm1.{domain}.dkim.fmhosted.com", "a.test"));
  EXPECT_TRUE(FitsTarget("selector1-a-test._domainkey.x.example",
                         "selector1-{domain-dashes}._domainkey.*", "a.test"));
}

}  // namespace
}  // namespace sendstep::doctor
