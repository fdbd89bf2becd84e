#include "transport/mime/dkim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <string>

#include "tests/unit/transport/mime/decoders.h"
#include "tests/unit/transport/mime/dkim_keys.h"
#include "transport/base/base64.h"
#include "transport/mime/compose.h"

namespace sendstep::mime {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::chrono::system_clock::time_point kDate(std::chrono::seconds(1795428305));

// The message of RFC 6376 A.1 and RFC 8463 A.3.
constexpr char kHeader[] =
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n";
constexpr char kBody[] = "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n";
constexpr char kBodyHash[] = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";

std::string Signature(const DkimKey& key, const std::string& input) {
  std::string digits;
  base::AppendBase64(key.Sign(input).value(), digits);
  return digits;
}

TEST(Dkim, TheExampleOfRfc6376ComesOutByteForByte) {
  const std::string received =
      "Received: from client1.football.example.com  [192.0.2.1]\r\n"
      "      by submitserver.example.com with SUBMISSION;\r\n"
      "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n";
  const base::Content message(received + kHeader + "\r\n" + kBody);
  const DkimDigest digest = DigestMessage(message, DkimForm::kSimple);
  EXPECT_EQ(digest.header, received + kHeader);
  EXPECT_EQ(digest.body_hash, kBodyHash);
  const std::string input =
      DkimSigningInput(digest.header, {"Received", "From", "To", "Subject", "Date", "Message-ID"},
                       "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
                       "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
                       "      h=Received : From : To : Subject : Date : Message-ID;\r\n"
                       "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                       "      b=;",
                       DkimForm::kSimple);
  EXPECT_EQ(Signature(Key("example.com", "brisbane", kRfc6376Rsa), input),
            "AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB"
            "4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut"
            "KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV"
            "4bmp/YzhwvcubU4=");
}

TEST(Dkim, BothSignaturesOfRfc8463ComeOutByteForByte) {
  const DkimDigest digest =
      DigestMessage(base::Content(std::string(kHeader) + "\r\n" + kBody), DkimForm::kRelaxed);
  EXPECT_EQ(digest.body_hash, kBodyHash);
  const std::vector<std::string_view> names = {"from",       "to",   "subject", "date",
                                               "message-id", "from", "subject", "date"};
  const std::string ed25519 =
      DkimSigningInput(digest.header, names,
                       "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
                       " d=football.example.com; i=@football.example.com;\r\n"
                       " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
                       " subject : date : message-id : from : subject : date;\r\n"
                       " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                       " b=",
                       DkimForm::kRelaxed);
  EXPECT_EQ(Signature(Key("football.example.com", "brisbane", kRfc8463Ed25519), ed25519),
            "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
            "Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==");
  const std::string rsa =
      DkimSigningInput(digest.header, names,
                       "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
                       " d=football.example.com; i=@football.example.com;\r\n"
                       " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
                       " date : message-id : from : subject : date;\r\n"
                       " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
                       " b=",
                       DkimForm::kRelaxed);
  EXPECT_EQ(Signature(Key("football.example.com", "test", kRfc8463Rsa), rsa),
            "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3"
            "DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz"
            "dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=");
}

TEST(Dkim, OfFieldsWithOneNameTheLastIsSignedFirst) {
  EXPECT_EQ(DkimSigningInput("A: 1\r\nB: 2\r\nA: 3\r\n", {"a", "b", "a", "a"},
                             "S: b=", DkimForm::kSimple),
            "A: 3\r\nB: 2\r\nA: 1\r\nS: b=");
}

// Two fields, and a file that is read in many portions.
struct Sent {
  std::string file = std::string(300'000, 'f');
  base::Content content{std::string("From: a@example.com\r\nTo: b@example.com\r\n\r\nbody\r\n")};
  Sent() {
    content.AppendBase64(file);
    content.Append("\r\n--end--");
  }
};

TEST(Dkim, AMessageInPiecesIsDigestedAsItWouldBeWhole) {
  const Sent sent;
  const base::Content whole(Flat(sent.content));
  for (const DkimForm form : {DkimForm::kSimple, DkimForm::kRelaxed}) {
    const DkimDigest digest = DigestMessage(sent.content, form);
    EXPECT_EQ(digest.body_hash, DigestMessage(whole, form).body_hash);
    EXPECT_EQ(digest.header, "From: a@example.com\r\nTo: b@example.com\r\n");
  }
  // The end of the header between two pieces.
  base::Content split("From: a@example.com\r\nTo: b@example.com\r");
  split.Append("\n\r");
  split.Append(Flat(sent.content).substr(41));
  ASSERT_EQ(Flat(split), Flat(sent.content));
  EXPECT_EQ(DigestMessage(split, DkimForm::kRelaxed).body_hash,
            DigestMessage(whole, DkimForm::kRelaxed).body_hash);
}

TEST(Dkim, FilesStayWhereTheyAre) {
  Sent sent;
  const auto content =
      DkimSigned(std::move(sent.content), {Key("example.com", "s", kRfc8463Ed25519)}, kDate);
  ASSERT_TRUE(content);
  ASSERT_EQ(content->pieces().size(), 4u);
  EXPECT_EQ(content->pieces()[2].file.data(), sent.file.data());
}

Message Rich() {
  Message message;
  message.from = {base::ParseAddress("from@example.com").value(), "Jos\u00E9"};
  message.to = {{base::ParseAddress("to@example.org").value(), ""}};
  message.subject = "Hello";
  message.text = "Hi";
  message.unsubscribe = Unsubscribe{"https://example.com/u", std::nullopt, true};
  message.headers = {{"X-Mine", "1"}};
  return message;
}

std::string Signed(const Message& message, const std::vector<DkimKey>& keys) {
  auto composed = Compose(message, {kDate, "<id@example.com>", "0123456789abcdef"});
  const std::string before = Flat(composed->content);
  const auto content = DkimSigned(std::move(composed->content), keys, kDate);
  const std::string after = Flat(*content);
  EXPECT_TRUE(after.ends_with(before));
  return after.substr(0, after.size() - before.size());
}

TEST(Dkim, AFieldIsListedOnceMoreThanItIsThere) {
  const std::string field =
      CanonicalField(Signed(Rich(), {Key("example.com", "s1", kRfc6376Rsa)}), DkimForm::kRelaxed);
  EXPECT_THAT(field, StartsWith("dkim-signature:v=1; a=rsa-sha256; c=relaxed/relaxed; "
                                "d=example.com; s=s1; t=1795428305; h=from:from:"));
  std::string names = field.substr(field.find("h="));
  names.resize(names.find(';'));
  std::erase(names, ' ');
  EXPECT_EQ(names,
            "h=from:from:reply-to:subject:subject:date:date:to:to:cc:message-id:message-id:"
            "mime-version:mime-version:content-type:content-type:content-transfer-encoding:"
            "content-transfer-encoding:list-unsubscribe:list-unsubscribe:list-unsubscribe-post:"
            "list-unsubscribe-post");
  EXPECT_THAT(field, Not(HasSubstr(" l=")));
}

TEST(Dkim, LinesHaveAtMost78Columns) {
  for (const int bits : {1024, 2048, 4096}) {
    const std::string pem = Pem(EVP_RSA_gen(bits));
    for (const char* selector : {"s", "selector-2026", "a.rather.long-selector-of-some-key.2026"}) {
      const std::string field = Signed(Rich(), {Key("mail.example.com", selector, pem)});
      const auto lines = Lines(field);
      for (const std::string& line : lines) EXPECT_LE(line.size(), 78u) << line;
      for (size_t i = 1; i < lines.size(); ++i) EXPECT_TRUE(lines[i].starts_with(" "));
    }
  }
}

TEST(Dkim, EachKeySignsOfItself) {
  const DkimKey rsa = Key("example.com", "rsa", kRfc6376Rsa);
  const DkimKey ed25519 = Key("example.com", "ed", kRfc8463Ed25519);
  // RSA of PKCS #1 v1.5 and Ed25519 are deterministic.
  EXPECT_EQ(Signed(Rich(), {rsa, ed25519}), Signed(Rich(), {rsa}) + Signed(Rich(), {ed25519}));
  EXPECT_THAT(Signed(Rich(), {ed25519}), HasSubstr("a=ed25519-sha256;"));
}

TEST(Dkim, WhatIsSignedIsTheFieldWithoutItsSignature) {
  const DkimKey key = Key("example.com", "ed", kRfc8463Ed25519);
  const std::string field = Signed(Rich(), {key});
  const size_t begin = field.find(" b=") + 3;
  std::string digits = field.substr(begin);
  std::erase_if(digits, [](char c) { return c == ' ' || c == '\r' || c == '\n'; });
  const Message message = Rich();
  const auto composed = Compose(message, {kDate, "<id@example.com>", "0123456789abcdef"});
  const DkimDigest digest = DigestMessage(composed->content, DkimForm::kRelaxed);
  // Read back from h=.
  std::string list = field.substr(field.find(" h=") + 3);
  list.resize(list.find(';'));
  std::erase_if(list, [](char c) { return c == ' ' || c == '\r' || c == '\n'; });
  std::vector<std::string_view> names;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(':', at), list.size());
    names.push_back(std::string_view(list).substr(at, end - at));
    at = end + 1;
  }
  EXPECT_EQ(Signature(key, DkimSigningInput(digest.header, names, field.substr(0, begin),
                                            DkimForm::kRelaxed)),
            digits);
}

}  // namespace
}  // namespace sendstep::mime
