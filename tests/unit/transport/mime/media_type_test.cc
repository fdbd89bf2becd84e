#include "transport/mime/media_type.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::mime {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

TEST(ParseMediaType, TakesTypeSubtypeAndParameters) {
  const auto type =
      ParseMediaType(R"(Text/Calendar; Method=REQUEST;charset = "utf-8" ; x="a\"b;c";)");
  ASSERT_TRUE(type);
  EXPECT_EQ(type->Name(), "text/calendar");
  EXPECT_EQ(type->parameters,
            (Parameters{{"method", "REQUEST"}, {"charset", "utf-8"}, {"x", "a\"b;c"}}));
}

TEST(ParseMediaType, TakesVendorTypes) {
  const char* text = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
  ASSERT_TRUE(ParseMediaType(text));
  EXPECT_EQ(ParseMediaType(text)->Name(), text);
  EXPECT_TRUE(ParseMediaType("image/svg+xml"));
}

TEST(ParseMediaType, RefusesEverythingElse) {
  for (const std::string text : {"",
                                 "pdf",
                                 "/",
                                 "application/",
                                 "/pdf",
                                 "application/pdf/x",
                                 "application pdf",
                                 "application/pdf x",
                                 "application/pdf; x",
                                 "application/pdf; x=",
                                 "application/pdf; =y",
                                 "application/pdf; x=\"y",
                                 "application/pdf; x=\"y\\",
                                 "application/pdf; x=y z",
                                 "application/pdf; x=y; X=z",
                                 "application/pdf; x*=utf-8''y",
                                 "application/pdf (comment)",
                                 "application/pdf\r\nBcc: a@b",
                                 "application/pdf; x=\"\r\n y\"",
                                 "applicatiön/pdf",
                                 "application/\u760Apdf"}) {
    EXPECT_FALSE(ParseMediaType(text)) << text;
  }
  EXPECT_FALSE(ParseMediaType("a/b; x=\"" + std::string(1000, 'x') + "\""));
  EXPECT_FALSE(ParseMediaType("a/" + std::string(128, 'b')));
}

}  // namespace
}  // namespace sendstep::mime
