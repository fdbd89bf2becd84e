#include "transport/dns/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/transport/dns/dns_wire.h"

namespace sendstep::dns {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Number;
using testing::Pointer;
using testing::RawRecord;
using testing::Soa;
using testing::Strings;
using testing::WireMessage;
using testing::WireName;
using testing::WireRecord;

constexpr char kName[] = "mail.sendstep.test";

std::string Txt(const std::string& owner, const std::string& text, uint32_t ttl = 60) {
  return WireRecord(owner, RecordType::kTxt, ttl, Strings({text}));
}
std::string Cname(const std::string& owner, const std::string& target, uint32_t ttl = 60) {
  return WireRecord(owner, RecordType::kCname, ttl, WireName(target));
}

Answer Read(const WireMessage& message) {
  Answer answer;
  EXPECT_EQ(ReadMessage(message.Bytes(), message.name, message.type, answer), Reading::kDone);
  return answer;
}

// The only record of an answer to kName.
Answer ReadOne(RecordType type, const std::string& data) {
  return Read({kName, type, {WireRecord(kName, type, 60, data)}});
}

Answer ReadBytes(const std::string& bytes, RecordType type = RecordType::kTxt) {
  Answer answer;
  ReadMessage(bytes, kName, type, answer);
  return answer;
}

TEST(Message, StringsOfATextAreJoinedWithoutABlank) {
  const Answer answer = ReadOne(RecordType::kTxt, Strings({"v=spf1 ip4:192.0", "", ".2.1 -all"}));
  EXPECT_EQ(answer.outcome, Outcome::kFound);
  ASSERT_EQ(answer.records.size(), 1u);
  EXPECT_EQ(answer.records[0].text, "v=spf1 ip4:192.0.2.1 -all");
  EXPECT_EQ(answer.ttl, seconds(60));
}

TEST(Message, TextMayHoldAnyByteAndNearlyAMessageFull) {
  std::vector<std::string> strings;
  std::string whole;
  for (int i = 0; i < 240; ++i) {
    strings.emplace_back(255, static_cast<char>(i));
    whole += strings.back();
  }
  const Answer answer = ReadOne(RecordType::kTxt, Strings(strings));
  ASSERT_EQ(answer.records.size(), 1u);
  EXPECT_EQ(answer.records[0].text, whole);
}

TEST(Message, RecordsOfEachTypeAreRead) {
  EXPECT_EQ(ReadOne(RecordType::kA, "\xc0\x01\x02\x03").records[0].address.to_string(),
            "192.1.2.3");
  EXPECT_EQ(
      ReadOne(RecordType::kAaaa, Number(4, 0x20010db8) + Number(4, 0) + Number(4, 0) + Number(4, 1))
          .records[0]
          .address.to_string(),
      "2001:db8::1");
  const Record mx =
      ReadOne(RecordType::kMx, Number(2, 10) + WireName("MX.Sendstep.test")).records[0];
  EXPECT_EQ(mx.preference, 10);
  EXPECT_EQ(mx.name, "mx.sendstep.test");
  EXPECT_EQ(ReadOne(RecordType::kMx, Number(2, 0) + WireName("")).records[0].name, "");
  const Record srv =
      ReadOne(RecordType::kSrv, Number(2, 1) + Number(2, 2) + Number(2, 465) + WireName("a.test"))
          .records[0];
  EXPECT_EQ(srv.preference, 1);
  EXPECT_EQ(srv.weight, 2);
  EXPECT_EQ(srv.port, 465);
  EXPECT_EQ(srv.name, "a.test");
  for (RecordType type : {RecordType::kNs, RecordType::kPtr, RecordType::kCname}) {
    EXPECT_EQ(ReadOne(type, WireName("b.test")).records[0].name, "b.test");
  }
}

TEST(Message, NamesAreDecompressed) {
  // "mx." in front of the question's name from its second label on.
  const std::string data = Number(2, 5) + Number(1, 2) + "mx" + Pointer(12 + 5);
  const Answer answer = Read({kName, RecordType::kMx, {RawRecord(Pointer(12), 15, 60, data)}});
  ASSERT_TRUE(answer.found()) << answer.detail;
  EXPECT_EQ(answer.records[0].name, "mx.sendstep.test");
}

TEST(Message, OwnersAreComparedWithoutCase) {
  EXPECT_TRUE(Read({kName, RecordType::kTxt, {Txt("MAIL.Sendstep.TEST", "x")}}).found());
}

TEST(Message, RecordsOfOtherNamesTypesAndClassesDoNotCount) {
  const Answer answer =
      Read({kName,
            RecordType::kTxt,
            {Txt("other.sendstep.test", "x"), WireRecord(kName, RecordType::kA, 60, "abcd"),
             RawRecord(WireName(kName), 16, 60, Strings({"chaos"}), 3)}});
  EXPECT_EQ(answer.outcome, Outcome::kNoData);
}

TEST(Message, PointersThatDoNotLeadBackAreRefused) {
  const size_t first = WireMessage{kName}.Bytes().size();  // where the first record begins
  for (size_t target : {first, first + 1, first + 2, first + 500, size_t{0}, size_t{11}}) {
    const std::string record = RawRecord(Pointer(target), 16, 60, Strings({"x"}));
    EXPECT_EQ(Read({kName, RecordType::kTxt, {record}}).outcome, Outcome::kFailed) << target;
  }
  // A label and a pointer to it.
  const std::string circle = RawRecord(Number(1, 1) + "a" + Pointer(first), 16, 60, Strings({"x"}));
  EXPECT_EQ(Read({kName, RecordType::kTxt, {circle}}).outcome, Outcome::kFailed);
}

TEST(Message, NameOverItsLimitIsRefused) {
  std::string name;
  for (int i = 0; i < 127; ++i) name += Number(1, 1) + "a";
  EXPECT_TRUE(ReadOne(RecordType::kNs, name + Number(1, 0)).found());
  EXPECT_FALSE(ReadOne(RecordType::kNs, Number(1, 1) + "a" + name + Number(1, 0)).found());
  EXPECT_FALSE(
      ReadOne(RecordType::kNs, Number(1, 64) + std::string(64, 'a') + Number(1, 0)).found());
}

TEST(Message, OddBytesInALabelAreEscaped) {
  const std::string dotted = Number(1, 3) + "a.b" + WireName("test");
  EXPECT_EQ(ReadOne(RecordType::kNs, dotted).records[0].name, "a\\046b.test");
  const std::string odd = Number(1, 4) + std::string("\0\\ \xff", 4) + WireName("test");
  EXPECT_EQ(ReadOne(RecordType::kNs, odd).records[0].name, "\\000\\092\\032\\255.test");
  EXPECT_FALSE(AskableName("a\\046b.test"));
}

TEST(Message, NameWithABlankFindsItsRecords) {
  WireMessage message{"john doe.sendstep.test"};
  message.answers = {Txt(message.name, "x")};
  EXPECT_TRUE(Read(message).found());
}

TEST(Message, LabelWithADotIsNotTheNameItLooksLike) {
  const std::string owner = Number(1, 13) + "mail.sendstep" + WireName("test");
  EXPECT_EQ(Read({kName, RecordType::kTxt, {RawRecord(owner, 16, 60, Strings({"x"}))}}).outcome,
            Outcome::kNoData);
}

TEST(Message, AnotherQuestionIsRefused) {
  for (const char* name : {"MAIL.sendstep.test", "mail.sendstep.tes", "xmail.sendstep.test", ""}) {
    const WireMessage message{name, RecordType::kTxt, {Txt(kName, "x")}};
    EXPECT_EQ(ReadBytes(message.Bytes()).outcome, Outcome::kFailed) << name;
  }
  const WireMessage message{kName, RecordType::kTxt, {Txt(kName, "x")}};
  EXPECT_FALSE(ReadBytes(message.Bytes(), RecordType::kMx).found());
  std::string two = message.Bytes();
  two[5] = 2;
  EXPECT_FALSE(ReadBytes(two).found());
}

TEST(Message, QueriesAndOtherOpcodesAreRefused) {
  WireMessage message{kName, RecordType::kTxt, {Txt(kName, "x")}};
  message.flags = 0x0100;
  EXPECT_EQ(ReadBytes(message.Bytes()).detail, "the DNS server's answer is malformed");
  message.flags = 0xa980;
  EXPECT_EQ(ReadBytes(message.Bytes()).detail, "the DNS server's answer is malformed");
}

TEST(Message, EveryPrefixOfAnAnswerIsRefused) {
  const std::string whole = WireMessage{
      kName,
      RecordType::kTxt,
      {Cname(kName, "t.test"), Txt("t.test", "x")},
      {Soa("test", 1, 1)}}.Bytes();
  EXPECT_TRUE(ReadBytes(whole).found());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ReadBytes(whole.substr(0, size)).outcome, Outcome::kFailed) << size;
  }
}

TEST(Message, MalformedRecordsAreRefused) {
  EXPECT_FALSE(ReadOne(RecordType::kA, "abc").found());
  EXPECT_FALSE(ReadOne(RecordType::kAaaa, "abcd").found());
  EXPECT_FALSE(ReadOne(RecordType::kTxt,
                       "\x05"
                       "abcd")
                   .found());
  EXPECT_FALSE(ReadOne(RecordType::kMx, Number(1, 0)).found());
  EXPECT_FALSE(ReadOne(RecordType::kMx, Number(2, 0)).found());
  EXPECT_FALSE(ReadOne(RecordType::kNs, WireName("a.test") + "x").found());
  EXPECT_FALSE(ReadOne(RecordType::kSrv, Number(6, 0)).found());
  EXPECT_EQ(ReadOne(RecordType::kA, "abc").detail,
            "a record in the DNS server's answer is malformed");
}

TEST(Message, TextWithoutAnyStringIsEmpty) {
  const Answer answer = ReadOne(RecordType::kTxt, "");
  ASSERT_TRUE(answer.found());
  EXPECT_EQ(answer.records[0].text, "");
}

TEST(Message, ChainOfAliasesIsFollowedInAnyOrder) {
  const Answer answer =
      Read({kName,
            RecordType::kTxt,
            {Txt("c.test", "x", 300), Cname("b.test", "c.test", 7), Cname(kName, "B.test", 30)}});
  ASSERT_TRUE(answer.found()) << answer.detail;
  EXPECT_THAT(answer.aliases, ElementsAre("b.test", "c.test"));
  EXPECT_EQ(answer.records.size(), 1u);
  EXPECT_EQ(answer.ttl, seconds(7));
}

TEST(Message, AliasThatLeadsOutIsAskedForNext) {
  Answer answer;
  WireMessage first{kName, RecordType::kTxt, {Cname(kName, "away.test", 20)}};
  ASSERT_EQ(ReadMessage(first.Bytes(), kName, first.type, answer), Reading::kAskOn);
  EXPECT_THAT(answer.aliases, ElementsAre("away.test"));
  WireMessage second{"away.test", RecordType::kTxt, {Txt("away.test", "x")}};
  ASSERT_EQ(ReadMessage(second.Bytes(), "away.test", second.type, answer), Reading::kDone);
  EXPECT_TRUE(answer.found());
  EXPECT_EQ(answer.ttl, seconds(20));
}

TEST(Message, AliasIsAnAnswerWhereItWasAskedFor) {
  const Answer answer = Read({kName, RecordType::kCname, {Cname(kName, "b.test")}});
  ASSERT_TRUE(answer.found());
  EXPECT_EQ(answer.records[0].name, "b.test");
  EXPECT_TRUE(answer.aliases.empty());
}

TEST(Message, AliasesInACircleFail) {
  EXPECT_EQ(Read({kName, RecordType::kTxt, {Cname(kName, kName)}}).detail,
            "its CNAMEs lead in a circle");
  const Answer answer =
      Read({kName, RecordType::kTxt, {Cname(kName, "b.test"), Cname("b.test", kName)}});
  EXPECT_EQ(answer.outcome, Outcome::kFailed);
  EXPECT_EQ(answer.detail, "its CNAMEs lead in a circle");
}

TEST(Message, NineAliasesAreTooMany) {
  WireMessage message{kName};
  std::string from = kName;
  for (int i = 1; i <= 8; ++i) {
    const std::string to = std::to_string(i) + ".test";
    message.answers.push_back(Cname(from, to));
    from = to;
  }
  message.answers.push_back(Txt(from, "x"));
  EXPECT_TRUE(Read(message).found());
  message.answers.back() = Cname(from, "9.test");
  message.answers.push_back(Txt("9.test", "x"));
  EXPECT_EQ(Read(message).detail, "more than 8 CNAMEs in a row");
}

TEST(Message, NegativeAnswersAreToldApartAndTakeTheirTtlFromTheSoa) {
  WireMessage message{kName};
  message.authorities = {Soa("sendstep.test", 900, 40)};
  Answer answer = Read(message);
  EXPECT_EQ(answer.outcome, Outcome::kNoData);
  EXPECT_EQ(answer.ttl, seconds(40));
  message.rcode = 3;
  message.authorities = {Soa("sendstep.test", 30, 40)};
  answer = Read(message);
  EXPECT_EQ(answer.outcome, Outcome::kNoDomain);
  EXPECT_EQ(answer.ttl, seconds(30));
  message.authorities = {Soa("endstep.test", 30, 40)};  // another zone's
  answer = Read(message);
  EXPECT_EQ(answer.outcome, Outcome::kNoDomain);
  EXPECT_EQ(answer.ttl, seconds(0));
}

TEST(Message, NegativeAnswerAboutTheEndOfAChainIsAnAnswer) {
  WireMessage message{kName, RecordType::kTxt, {Cname(kName, "b.other.test", 500)}};
  message.authorities = {Soa("other.test", 60, 60)};
  Answer answer = Read(message);
  EXPECT_EQ(answer.outcome, Outcome::kNoData);
  EXPECT_THAT(answer.aliases, ElementsAre("b.other.test"));
  EXPECT_EQ(answer.ttl, seconds(60));
  message.authorities.clear();
  message.rcode = 3;
  EXPECT_EQ(Read(message).outcome, Outcome::kNoDomain);
}

TEST(Message, ReferralIsNoAnswer) {
  WireMessage message{kName};
  message.authorities = {WireRecord("test", RecordType::kNs, 60, WireName("ns.test"))};
  EXPECT_EQ(Read(message).outcome, Outcome::kFailed);
}

TEST(Message, ErrorCodesAreNamed) {
  WireMessage message{kName};
  message.rcode = 2;
  EXPECT_EQ(Read(message).detail, "the DNS server answered SERVFAIL");
  message.rcode = 5;
  EXPECT_EQ(Read(message).detail, "the DNS server answered REFUSED");
  message.rcode = 9;
  EXPECT_EQ(Read(message).detail, "the DNS server answered error code 9");
}

TEST(Message, ExtendedErrorExplains) {
  constexpr uint16_t kOpt = 41;
  WireMessage message{kName};
  message.rcode = 2;
  const std::string bogus = Number(2, 15) + Number(2, 3) + Number(2, 6) + "!";
  message.additionals = {RawRecord(WireName(""), kOpt, 0, bogus, 1232)};
  EXPECT_EQ(Read(message).detail,
            "the DNS server answered SERVFAIL (its DNSSEC signatures do not hold)");
  // An option that says it is longer than it is.
  const std::string cut = Number(2, 15) + Number(2, 300) + Number(2, 6);
  message.additionals = {RawRecord(WireName(""), kOpt, 0, cut, 1232)};
  EXPECT_EQ(Read(message).detail, "the DNS server answered SERVFAIL");
  // BADVERS has its upper bits here.
  message.rcode = 0;
  message.additionals = {RawRecord(WireName(""), kOpt, 1u << 24, "", 1232)};
  EXPECT_EQ(Read(message).detail, "the DNS server answered error code 16");
}

TEST(Message, TruncatedAnswerIsNotJudged) {
  WireMessage message{kName, RecordType::kTxt, {Txt(kName, "x")}};
  message.flags |= 0x0200;
  EXPECT_THAT(Read(message).detail, HasSubstr("cut"));
}

TEST(Message, NamesThatCannotBeAskedForAreFound) {
  EXPECT_EQ(AskableName("_DMARC.Sendstep.test."), "_dmarc.sendstep.test");
  EXPECT_EQ(AskableName("a"), "a");
  EXPECT_EQ(AskableName("-x-.k1._domainkey.test"), "-x-.k1._domainkey.test");
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  EXPECT_TRUE(AskableName(longest));
  EXPECT_TRUE(AskableName(longest + "."));
  const std::vector<std::string> bad = {"",
                                        ".",
                                        "..",
                                        ".test",
                                        "a..test",
                                        "a.test..",
                                        label + "a.test",
                                        longest + "a",
                                        "a\\.test",
                                        std::string("a\0b", 3)};
  for (const std::string& name : bad) EXPECT_FALSE(AskableName(name)) << name;
}

}  // namespace
}  // namespace sendstep::dns
