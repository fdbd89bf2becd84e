#include "providers/host_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sendstep::providers {
namespace {

using testing::HasSubstr;

struct Good {
  const char* text;
  const char* host;
  int port = 0;
  bool implicit = false;
};

TEST(HostInputTest, UnderstandsWhatPeoplePaste) {
  const Good cases[] = {
      {"smtp.gmail.com", "smtp.gmail.com"},
      {"http://smtp.gmail.com/", "smtp.gmail.com"},
      {"https://SMTP.Gmail.com", "smtp.gmail.com"},
      {"  smtp.gmail.com \r\n", "smtp.gmail.com"},
      {"smtp://mail.example.com:2525", "mail.example.com", 2525},
      {"SMTPS://mail.example.com:465/", "mail.example.com", 465, true},
      {"smtps://mail.example.com", "mail.example.com", 0, true},
      {"mail.example.com:587", "mail.example.com", 587},
      {"mail.example.com.", "mail.example.com"},
      {"localhost:1025", "localhost", 1025},
      {"192.0.2.1:25", "192.0.2.1", 25},
      {"[::1]:25", "::1", 25},
      {"[IPv6:2001:DB8::1]", "2001:db8::1"},
      {"2001:db8::1", "2001:db8::1"},
      {"smtp://[2001:db8::1]:587/", "2001:db8::1", 587},
      {"smtp.b\xc3\xbc"
       "cher.example",
       "smtp.xn--bcher-kva.example"},
  };
  for (const Good& c : cases) {
    const HostInput parsed = ParseHostInput(c.text);
    EXPECT_TRUE(parsed.ok()) << c.text << ": " << parsed.message;
    EXPECT_EQ(parsed.host, c.host) << c.text;
    EXPECT_EQ(parsed.port.value_or(0), c.port) << c.text;
    EXPECT_EQ(parsed.implicit_tls, c.implicit) << c.text;
  }
}

TEST(HostInputTest, RefusesAndSaysWhat) {
  const std::pair<const char*, const char*> cases[] = {
      {"smtp://mail.example.com/inbox", "a path"},
      {"mail.example.com/inbox", "a path"},
      {"mail.example.com//", "a path"},
      {"mail.example.com\\inbox", "a path"},
      {"https://mail.example.com?x=1", "a query"},
      {"https://mail.example.com/?x=1", "a query"},
      {"https://mail.example.com/#top", "a fragment"},
      {"smtp://user:hunter2@mail.example.com", "credentials"},
      {"me@gmail.com", "mail address"},
      {"ftp://mail.example.com", "scheme"},
      {"imaps://mail.example.com", "scheme"},
      {"mail.example.com:0", "from 1 to 65535"},
      {"mail.example.com:65536", "from 1 to 65535"},
      {"mail.example.com:", "from 1 to 65535"},
      {"mail.example.com:25x", "from 1 to 65535"},
      {"[::1", "brackets"},
      {"[mail.example.com]:25", "not an IP address"},
      {"[::1]x", "brackets"},
      {"smtp://", "no host"},
      {"http:///", "no host"},
      {"mail..example.com", "empty label"},
      {"mail example.com", "blank"},
  };
  for (const auto& [text, phrase] : cases) {
    const HostInput parsed = ParseHostInput(text);
    EXPECT_EQ(parsed.reason, "HOST_INVALID") << text;
    EXPECT_THAT(parsed.message, HasSubstr(phrase)) << text;
    EXPECT_FALSE(parsed.hint.empty()) << text;
  }
}

TEST(HostInputTest, RefusalNeverRepeatsCredentials) {
  const HostInput parsed = ParseHostInput("smtp://user:hunter2@mail.example.com");
  EXPECT_THAT(parsed.message + parsed.hint, testing::Not(HasSubstr("hunter2")));
}

TEST(HostInputTest, RefusesControlCharacters) {
  for (const std::string& text :
       {std::string("mail\r\n.example.com"), std::string("mail\0.example.com", 17),
        std::string("mail\u2028.example.com")}) {
    EXPECT_EQ(ParseHostInput(text).reason, "CONTROL_CHARACTER");
  }
}

TEST(HostInputTest, LettersOfEveryLanguageBecomeALabels) {
  // U+010D and U+4E0A end in the bytes of CR and LF.
  EXPECT_EQ(ParseHostInput("mail.\u010Desko.cz").host, "mail.xn--esko-fua.cz");
  EXPECT_EQ(ParseHostInput("\u4E0A\u6D77.cn").host, "xn--fhqz97e.cn");
}

TEST(HostInputTest, RefusesWhatIsTooLong) {
  EXPECT_EQ(ParseHostInput(std::string(1025, 'a')).reason, "LIMIT_EXCEEDED");
}

}  // namespace
}  // namespace sendstep::providers
