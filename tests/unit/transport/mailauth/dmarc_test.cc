#include "transport/mailauth/dmarc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <string>

#include "tests/support/fake_lookup.h"

namespace sendstep::mailauth {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Not;

auto HasId(const std::string& id) { return Contains(Field("id", &Problem::id, id)); }

class DmarcTest : public ::testing::Test {
 protected:
  template <class Result, class Work>
  Result Run(Work work) {
    boost::asio::io_context context;
    dns::Budget budget;
    dns::Inquiry inquiry(context.get_executor(), lookup_, budget);
    std::future<Result> done =
        boost::asio::co_spawn(context, work(inquiry), boost::asio::use_future);
    context.run();
    return done.get();
  }
  DmarcPolicyFound Discover(const std::string& domain) {
    return Run<DmarcPolicyFound>(
        [&](dns::Inquiry& inquiry) { return DiscoverDmarc(inquiry, domain); });
  }
  std::string Organizational(const std::string& domain) {
    return Run<std::string>(
        [&](dns::Inquiry& inquiry) { return OrganizationalDomain(inquiry, domain); });
  }
  bool Aligned(const std::string& from, const std::string& other, Alignment mode) {
    return Run<bool>([&](dns::Inquiry& inquiry) { return Aligns(inquiry, from, other, mode); });
  }
  std::vector<Problem> Reports(const std::string& domain) {
    const DmarcPolicyFound found = Discover(domain);
    return Run<std::vector<Problem>>(
        [&](dns::Inquiry& inquiry) { return CheckReportUris(inquiry, found); });
  }
  // The names of _dmarc records that were asked for.
  std::vector<std::string> Walked() const {
    std::vector<std::string> names;
    for (const auto& [name, type] : lookup_.asked()) {
      if (name.starts_with("_dmarc.")) names.push_back(name.substr(7));
    }
    return names;
  }
  void Policy(const std::string& domain, const std::string& tags) {
    lookup_.Txt("_dmarc." + domain, "v=DMARC1; " + tags);
  }

  testing::FakeLookup lookup_;
};

TEST_F(DmarcTest, TheDomainsOwnRecordHolds) {
  Policy("ex.com", "p=none");
  Policy("a.ex.com", "p=reject; sp=quarantine");
  const DmarcPolicyFound found = Discover("A.ex.com.");
  EXPECT_TRUE(found.determined);
  EXPECT_EQ(found.source, DmarcSource::kAuthor);
  EXPECT_EQ(found.record_name, "_dmarc.a.ex.com");
  EXPECT_EQ(found.effective, DmarcPolicy::kReject);
  EXPECT_EQ(found.organizational_domain, "ex.com");
}

TEST_F(DmarcTest, ASubdomainInheritsSpElseP) {
  lookup_.Address("a.ex.com", "192.0.2.1");
  Policy("ex.com", "p=reject");
  EXPECT_EQ(Discover("a.ex.com").effective, DmarcPolicy::kReject);
  EXPECT_EQ(Discover("a.ex.com").source, DmarcSource::kInherited);
  lookup_.Address("a.other.com", "192.0.2.1");
  Policy("other.com", "p=reject; sp=none; np=quarantine");
  EXPECT_EQ(Discover("a.other.com").effective, DmarcPolicy::kNone);
}

TEST_F(DmarcTest, ADomainThatDoesNotExistInheritsNpElseSpElseP) {
  Policy("ex.com", "p=none; sp=quarantine; np=reject");
  EXPECT_EQ(Discover("ghost.ex.com").source, DmarcSource::kNonExistent);
  EXPECT_EQ(Discover("ghost.ex.com").effective, DmarcPolicy::kReject);
  Policy("other.com", "p=none; sp=quarantine");
  EXPECT_EQ(Discover("ghost.other.com").effective, DmarcPolicy::kQuarantine);
  Policy("third.com", "p=reject");
  EXPECT_EQ(Discover("ghost.third.com").effective, DmarcPolicy::kReject);
}

TEST_F(DmarcTest, ATestedPolicyIsOneStepMilder) {
  Policy("a.com", "p=reject; t=y");
  Policy("b.com", "p=quarantine; t=y");
  Policy("c.com", "p=none; t=y");
  EXPECT_EQ(Discover("a.com").effective, DmarcPolicy::kQuarantine);
  EXPECT_EQ(Discover("b.com").effective, DmarcPolicy::kNone);
  EXPECT_EQ(Discover("c.com").effective, DmarcPolicy::kNone);
}

TEST_F(DmarcTest, APublicSuffixsPolicyHoldsWhereNothingElseDoes) {
  Policy("test", "p=reject; psd=y");
  const DmarcPolicyFound found = Discover("ex.test");
  EXPECT_EQ(found.record_name, "_dmarc.test");
  EXPECT_EQ(found.source, DmarcSource::kNonExistent);
  EXPECT_EQ(found.effective, DmarcPolicy::kReject);
  EXPECT_EQ(found.organizational_domain, "ex.test");
}

TEST_F(DmarcTest, WithoutAnyRecordNothingIsAsked) {
  const DmarcPolicyFound found = Discover("ex.com");
  EXPECT_TRUE(found.determined);
  EXPECT_EQ(found.source, DmarcSource::kNone);
  EXPECT_EQ(found.record_name, "");
  EXPECT_EQ(found.effective, DmarcPolicy::kNone);
  EXPECT_EQ(found.organizational_domain, "ex.com");
}

TEST_F(DmarcTest, SeveralRecordsAreAllIgnored) {
  Policy("a.ex.com", "p=none");
  Policy("a.ex.com", "p=reject");
  Policy("ex.com", "p=quarantine");
  lookup_.Address("a.ex.com", "192.0.2.1");
  const DmarcPolicyFound found = Discover("a.ex.com");
  EXPECT_EQ(found.record_name, "_dmarc.ex.com");
  EXPECT_THAT(found.problems, HasId("dmarc.several"));
}

TEST_F(DmarcTest, OtherTextsBesideARecordDoNotMatter) {
  lookup_.Txt("_dmarc.ex.com", "some verification");
  Policy("ex.com", "p=reject");
  EXPECT_EQ(Discover("ex.com").effective, DmarcPolicy::kReject);
  EXPECT_THAT(Discover("ex.com").problems, Not(HasId("dmarc.several")));
}

TEST_F(DmarcTest, ARecordAtTheDomainItselfHasNoEffect) {
  lookup_.Txt("ex.com", "v=DMARC1; p=reject");
  const DmarcPolicyFound found = Discover("ex.com");
  EXPECT_EQ(found.record_name, "");
  EXPECT_THAT(found.problems, HasId("dmarc.at_apex"));
}

TEST_F(DmarcTest, RecordsThatReceiversPassOverAreNamed) {
  lookup_.Txt("_dmarc.a.com", " v=DMARC1; p=reject");
  EXPECT_THAT(Discover("a.com").problems, HasId("dmarc.leading_blank"));
  lookup_.Txt("_dmarc.b.com", "v=dmarc1; p=reject");
  EXPECT_THAT(Discover("b.com").problems, HasId("dmarc.version_case"));
}

TEST_F(DmarcTest, AnAnswerThatDoesNotComeLeavesNoVerdict) {
  lookup_.Fails("_dmarc.ex.com", dns::Outcome::kTimeout);
  EXPECT_FALSE(Discover("ex.com").determined);
  EXPECT_FALSE(Discover("a.ex.com").determined);
  // Its own record is enough.
  Policy("b.ex.com", "p=reject");
  EXPECT_TRUE(Discover("b.ex.com").determined);
}

TEST_F(DmarcTest, WhetherADomainExistsMattersOnlyWhereNpIsSet) {
  lookup_.Fails("a.ex.com", dns::Outcome::kFailed);
  Policy("ex.com", "p=reject");
  EXPECT_TRUE(Discover("a.ex.com").determined);
  lookup_.Fails("a.other.com", dns::Outcome::kFailed);
  Policy("other.com", "p=reject; np=none");
  EXPECT_FALSE(Discover("a.other.com").determined);
}

// RFC 9989 4.10.

TEST_F(DmarcTest, TheWalkGoesUpOneLabelAtATime) {
  Discover("a.b.ex.com");
  EXPECT_THAT(Walked(), ::testing::IsSupersetOf({"a.b.ex.com", "b.ex.com", "ex.com", "com"}));
}

TEST_F(DmarcTest, ALongNameIsCutToSevenLabels) {
  Organizational("a.b.c.d.e.f.g.h.i.j.mail.ex.com");
  EXPECT_THAT(Walked(), ElementsAre("a.b.c.d.e.f.g.h.i.j.mail.ex.com", "g.h.i.j.mail.ex.com",
                                    "h.i.j.mail.ex.com", "i.j.mail.ex.com", "j.mail.ex.com",
                                    "mail.ex.com", "ex.com", "com"));
}

TEST_F(DmarcTest, ANameOfEightLabelsCostsEightQuestions) {
  Organizational("a.b.c.d.e.f.ex.com");
  EXPECT_EQ(Walked().size(), 8u);
  EXPECT_EQ(Walked()[1], "b.c.d.e.f.ex.com");
}

TEST_F(DmarcTest, TheShortestNameWithARecordIsOrganizational) {
  Policy("a.mail.ex.com", "p=none");
  Policy("ex.com", "p=none");
  EXPECT_EQ(Organizational("a.mail.ex.com"), "ex.com");
  EXPECT_EQ(Organizational("b.mail.ex.com"), "ex.com");
}

TEST_F(DmarcTest, PsdNoEndsTheWalkWhereItStands) {
  Policy("mail.ex.com", "p=none; psd=n");
  Policy("ex.com", "p=none");
  EXPECT_EQ(Organizational("a.mail.ex.com"), "mail.ex.com");
  EXPECT_EQ(Organizational("mail.ex.com"), "mail.ex.com");
}

TEST_F(DmarcTest, OneLabelBelowPsdYesIsOrganizational) {
  Policy("bank", "p=none; psd=y");
  EXPECT_EQ(Organizational("giant.bank"), "giant.bank");
  EXPECT_EQ(Organizational("mail.giant.bank"), "giant.bank");
  EXPECT_EQ(Organizational("a.b.mail.mega.bank"), "mega.bank");
}

TEST_F(DmarcTest, APublicSuffixItselfIsItsOwnOrganization) {
  Policy("gov", "p=none; psd=y");
  EXPECT_EQ(Organizational("gov"), "gov");
}

TEST_F(DmarcTest, ANameWithoutAnyRecordIsItsOwnOrganization) {
  EXPECT_EQ(Organizational("mail.ex.com"), "mail.ex.com");
}

TEST_F(DmarcTest, TheSuffixListAnswersWhereTheWalkCannot) {
  lookup_.Fails("_dmarc.ex.com", dns::Outcome::kFailed);
  EXPECT_EQ(Organizational("a.b.ex.com"), "ex.com");
}

TEST_F(DmarcTest, RelaxedAlignmentSharesTheOrganizationAndStrictTheName) {
  Policy("ex.com", "p=none");
  EXPECT_TRUE(Aligned("ex.com", "EX.com.", Alignment::kStrict));
  EXPECT_FALSE(Aligned("ex.com", "mail.ex.com", Alignment::kStrict));
  EXPECT_TRUE(Aligned("ex.com", "mail.ex.com", Alignment::kRelaxed));
  EXPECT_TRUE(Aligned("a.ex.com", "b.ex.com", Alignment::kRelaxed));
  EXPECT_FALSE(Aligned("ex.com", "other.com", Alignment::kRelaxed));
  EXPECT_FALSE(Aligned("ex.com", "notex.com", Alignment::kRelaxed));
}

TEST_F(DmarcTest, TheSuffixListKnowsSuffixesOfSeveralLabels) {
  EXPECT_EQ(PslOrganizationalDomain("a.b.ex.co.uk"), "ex.co.uk");
  EXPECT_EQ(PslOrganizationalDomain("EX.com"), "ex.com");
  EXPECT_EQ(PslOrganizationalDomain("co.uk"), "");
}

TEST_F(DmarcTest, ReceiversThatGoByTheSuffixListMayApplyAnotherPolicy) {
  // The record between the name and its registered domain counts by RFC 9989 alone.
  Policy("mail.ex.com", "p=reject; psd=n");
  Policy("ex.com", "p=none");
  lookup_.Address("a.mail.ex.com", "192.0.2.1");
  const DmarcPolicyFound found = Discover("a.mail.ex.com");
  EXPECT_EQ(found.effective, DmarcPolicy::kReject);
  EXPECT_EQ(found.psl_effective, DmarcPolicy::kNone);
  EXPECT_THAT(found.problems, HasId("dmarc.tree_walk_differs"));
  EXPECT_THAT(Discover("b.ex.com").problems, Not(HasId("dmarc.tree_walk_differs")));
}

TEST_F(DmarcTest, ReportsElsewhereWantTheOthersConsent) {
  lookup_.Mx("reports.com", 10, "mx.reports.com");
  Policy("ex.com", "p=none; rua=mailto:d@reports.com");
  EXPECT_THAT(Reports("ex.com"), HasId("dmarc.rua_not_authorized"));
  lookup_.Txt("ex.com._report._dmarc.reports.com", "v=DMARC1");
  EXPECT_THAT(Reports("ex.com"), IsEmpty());
}

TEST_F(DmarcTest, ReportsWithinTheOrganizationWantNoConsentButMail) {
  Policy("ex.com", "p=none; rua=mailto:d@dmarc.ex.com");
  EXPECT_THAT(Reports("ex.com"), ElementsAre(Field(&Problem::id, "dmarc.rua_no_mail")));
  lookup_.Mx("dmarc.ex.com", 10, "mx.ex.com");
  EXPECT_THAT(Reports("ex.com"), IsEmpty());
}

}  // namespace
}  // namespace sendstep::mailauth
