// Which messages share a flight with their envelope, and of which servers that is known to be safe.

#include "transport/smtp/flights.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sendstep::smtp {
namespace {

using Message = Flights::Message;

// All that one flight asks for.
class PlanFlightsTest : public ::testing::Test {
 protected:
  PlanFlightsTest() {
    capabilities_.pipelining = true;
    capabilities_.chunking = true;
    traits_.swallows_refused_chunk = true;
    traits_.max_flight_bytes = 3999;
    load_.commands = kWindowCommands - 1;
    load_.bytes = 3999;
    load_.silence = kMaxSilence;
  }

  Message Plan() const { return PlanFlights(capabilities_, traits_, load_).message; }

  Capabilities capabilities_;
  ServerTraits traits_;
  FlightLoad load_;
};

TEST_F(PlanFlightsTest, OneFlightWhereEveryConditionJustHolds) {
  EXPECT_EQ(Plan(), Message::kWithEnvelope);
  EXPECT_TRUE(PlanFlights(capabilities_, traits_, load_).pipelining);
}

TEST_F(PlanFlightsTest, WithoutPipeliningTheChunkComesByItself) {
  capabilities_.pipelining = false;
  EXPECT_EQ(Plan(), Message::kChunk);
  EXPECT_FALSE(PlanFlights(capabilities_, traits_, load_).pipelining);
}

TEST_F(PlanFlightsTest, WithoutChunkingDataGoesWithTheEnvelope) {
  capabilities_.chunking = false;
  EXPECT_EQ(Plan(), Message::kDataAhead);
}

TEST_F(PlanFlightsTest, NoChunkAtAllToAServerNotKnownToSwallowARefusedOne) {
  traits_.swallows_refused_chunk = false;
  EXPECT_EQ(Plan(), Message::kDataAhead);
  load_.all_or_nothing = true;
  EXPECT_EQ(Plan(), Message::kData);
  load_.all_or_nothing = false;
  capabilities_.pipelining = false;
  EXPECT_EQ(Plan(), Message::kData);
}

TEST_F(PlanFlightsTest, AllOrNothingWaitsForTheRecipients) {
  load_.all_or_nothing = true;
  EXPECT_EQ(Plan(), Message::kChunk);
  capabilities_.chunking = false;
  EXPECT_EQ(Plan(), Message::kData);
}

TEST_F(PlanFlightsTest, BehindRsetTheChunkComesByItself) {
  load_.rset_first = true;
  EXPECT_EQ(Plan(), Message::kChunk);
}

TEST_F(PlanFlightsTest, OneCommandMoreThanAWindowHoldsIsTooMany) {
  ++load_.commands;
  EXPECT_EQ(Plan(), Message::kChunk);
}

TEST_F(PlanFlightsTest, OneByteMoreThanAFlightTakesIsTooMany) {
  ++load_.bytes;
  EXPECT_EQ(Plan(), Message::kChunk);
  traits_.max_flight_bytes = load_.bytes;
  EXPECT_EQ(Plan(), Message::kWithEnvelope);
}

TEST_F(PlanFlightsTest, AConnectionThatWasSilentForLongIsTriedWithTheEnvelopeFirst) {
  load_.silence = kMaxSilence + std::chrono::nanoseconds(1);
  EXPECT_EQ(Plan(), Message::kChunk);
}

TEST(PlanFlights, ByDefaultNothingIsTrusted) {
  EXPECT_EQ(PlanFlights({}, {}, {}).message, Message::kData);
  EXPECT_FALSE(PlanFlights({}, {}, {}).pipelining);
}

ServerTraits Traits(std::string line, const SmtpSettings& settings = {}) {
  base::Reply greeting;
  greeting.code = 220;
  greeting.lines = {std::move(line)};
  return TraitsOf(settings, greeting);
}

TEST(TraitsOf, PostfixSwallowsAndTakesUpToItsReadBuffer) {
  for (const char* line : {"mail.example.org ESMTP Postfix (Debian/GNU)", "mail ESMTP Postfix",
                           "[192.0.2.1] ESMTP Postfix NO UCE"}) {
    EXPECT_TRUE(Traits(line).swallows_refused_chunk) << line;
    EXPECT_EQ(Traits(line).max_flight_bytes, 3999u) << line;
  }
}

TEST(TraitsOf, EximSwallowsAndTakesMore) {
  const ServerTraits traits =
      Traits("mail.example.org ESMTP Exim 4.96 Tue, 25 Nov 2025 10:00:00 +0000");
  EXPECT_TRUE(traits.swallows_refused_chunk);
  EXPECT_EQ(traits.max_flight_bytes, ServerTraits().max_flight_bytes);
}

TEST(TraitsOf, TheSandboxSwallows) {
  EXPECT_TRUE(Traits("sandbox.sendstep.example ESMTP sendstep").swallows_refused_chunk);
}

TEST(TraitsOf, OthersAndLookAlikesAreNotKnownToSwallow) {
  for (const char* line : {"",
                           " ",
                           "mail.example.org",
                           "mail.example.org ",
                           "mail.example.org ESMTP",
                           "mail.example.org ESMTP ",
                           "mail.example.org ESMTP ready",
                           "smtp.example.com ESMTP 5si123456 - gsmtp",
                           "mail.example.org Microsoft ESMTP MAIL Service ready",
                           "mail.example.org ESMTP OpenSMTPD",
                           "mail.example.org ESMTP Sendmail 8.17; Tue, 25 Nov 2025",
                           "mail.example.org ESMTP Postfixed",
                           "mail.example.org ESMTP Postfix/1.0",
                           "mail.example.org ESMTP postfix",
                           "mail.example.org ESMTP Eximious 1",
                           "mail.example.org SMTP Postfix",
                           "mail.example.org ESMTP not Postfix",
                           "mail.example.org ESMTP filter for Exim 4.96",
                           "relay before mail.example.org ESMTP Postfix",
                           "ESMTP Postfix",
                           "Postfix",
                           "mail.example.org  ESMTP Postfix",
                           "*** ****** *******"}) {
    EXPECT_FALSE(Traits(line).swallows_refused_chunk) << line;
    EXPECT_EQ(Traits(line).max_flight_bytes, ServerTraits().max_flight_bytes) << line;
  }
}

TEST(TraitsOf, OnlyTheFirstLineOfAGreetingCounts) {
  base::Reply greeting;
  greeting.lines = {"mail.example.org ESMTP", "mail.example.org ESMTP Postfix"};
  EXPECT_FALSE(TraitsOf({}, greeting).swallows_refused_chunk);
  EXPECT_FALSE(TraitsOf({}, base::Reply()).swallows_refused_chunk);
}

TEST(TraitsOf, SettingsVouchForAServerWhateverItsGreeting) {
  SmtpSettings settings;
  settings.swallows_refused_chunk = true;
  EXPECT_TRUE(Traits("mail.example.org ready", settings).swallows_refused_chunk);
  EXPECT_EQ(Traits("mail.example.org ready", settings).max_flight_bytes,
            ServerTraits().max_flight_bytes);
  EXPECT_EQ(Traits("mail ESMTP Postfix", settings).max_flight_bytes, 3999u);
}

}  // namespace
}  // namespace sendstep::smtp
