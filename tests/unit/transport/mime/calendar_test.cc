#include "transport/mime/calendar.h"

#include <gtest/gtest.h>

#include <string>

namespace sendstep::mime {
namespace {

std::string Invitation(const std::string& properties = "VERSION:2.0\r\nMETHOD:REQUEST\r\n",
                       const std::string& component =
                           "BEGIN:VEVENT\r\nUID:1@example.com\r\nBEGIN:VALARM\r\nEND:VALARM\r\n"
                           "SUMMARY:Coffee\r\nEND:VEVENT\r\n") {
  return "BEGIN:VCALENDAR\r\n" + properties + component + "END:VCALENDAR\r\n";
}

TEST(CalendarMethod, IsWhatTheObjectSays) {
  EXPECT_EQ(*CalendarMethod(Invitation()), "REQUEST");
  EXPECT_EQ(*CalendarMethod(Invitation("version:2.0\nmethod:cancel\n")), "CANCEL");
}

TEST(CalendarMethod, IsFoundWhateverTheLineBreaksAndFolds) {
  std::string object = Invitation();
  object.erase(std::remove(object.begin(), object.end(), '\r'), object.end());
  object.pop_back();
  EXPECT_EQ(*CalendarMethod(object), "REQUEST");
  EXPECT_EQ(*CalendarMethod(Invitation("VERSION:2.0\r\nMETH\r\n OD;X-A=\"b:c\":REQ\r\n\tUEST\r\n")),
            "REQUEST");
}

struct Fault {
  const char* name;
  std::string object;
  const char* says;
};

class CalendarFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(CalendarFaultTest, IsTold) {
  const auto method = CalendarMethod(GetParam().object);
  ASSERT_FALSE(method) << *method;
  EXPECT_EQ(method.error().detail, GetParam().says);
}

const std::string kUsual = "VERSION:2.0\r\nMETHOD:REQUEST\r\n";

INSTANTIATE_TEST_SUITE_P(
    Objects, CalendarFaultTest,
    ::testing::Values(
        Fault{"Nothing", "", "it does not end with END:VCALENDAR"},
        Fault{"Prose", "Let us meet.", "a line is no content line of iCalendar"},
        Fault{"AnotherFormat", "BEGIN:VCARD\r\nEND:VCARD\r\n",
              "it does not begin with BEGIN:VCALENDAR"},
        Fault{"CutOff", "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "it does not end with END:VCALENDAR"},
        Fault{"Crossed", Invitation(kUsual, "BEGIN:VEVENT\r\nBEGIN:VALARM\r\nEND:VEVENT\r\n"),
              "END:VALARM is missing"},
        Fault{"TooDeep",
              Invitation(kUsual,
                         "BEGIN:A\r\nBEGIN:B\r\nBEGIN:C\r\nBEGIN:D\r\nBEGIN:E\r\n"
                         "BEGIN:F\r\nBEGIN:G\r\nBEGIN:H\r\n"),
              "its components are too deep"},
        Fault{"Two", Invitation() + Invitation(), "something follows END:VCALENDAR"},
        Fault{"NoVersion", Invitation("METHOD:REQUEST\r\n"), "it has no VERSION:2.0"},
        Fault{"OldVersion", Invitation("VERSION:1.0\r\nMETHOD:REQUEST\r\n"),
              "it has no VERSION:2.0"},
        Fault{"NoMethod", Invitation("VERSION:2.0\r\n"),
              "it has no METHOD, such as METHOD:REQUEST"},
        Fault{"TwoMethods", Invitation(kUsual + "METHOD:CANCEL\r\n"),
              "it has more than one METHOD"},
        Fault{"StrangeMethod", Invitation("VERSION:2.0\r\nMETHOD:A;B\r\n"),
              "its METHOD is no name"},
        Fault{"NoComponent", Invitation(kUsual, ""), "it has no component, such as VEVENT"},
        Fault{"NoUid", Invitation(kUsual, "BEGIN:VEVENT\r\nEND:VEVENT\r\n"), "a VEVENT has no UID"},
        Fault{"ControlCharacter", Invitation(kUsual + "X-A:\x01\r\n"),
              "a line is no content line of iCalendar"},
        Fault{"NotUtf8", Invitation(kUsual + "X-A:\xff\r\n"),
              "a line is no content line of iCalendar"}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace sendstep::mime
