#include "clients/cli/words.h"

#include <cctype>
#include <cstdio>

#include "clients/cli/text.h"

namespace sendstep::cli {
namespace {

std::string Number(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

std::string Word(const google::protobuf::EnumDescriptor& type, int value) {
  if (value == 0) return "";
  const auto* known = type.FindValueByNumber(value);
  if (!known) return std::to_string(value);
  const size_t prefix = type.value(0)->name().rfind("UNSPECIFIED");
  return known->name().substr(prefix == std::string::npos ? 0 : prefix);
}

std::string LowerWord(const google::protobuf::EnumDescriptor& type, int value) {
  std::string word = Word(type, value);
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

std::string Took(std::chrono::nanoseconds time) {
  const double ms = static_cast<double>(time.count()) / 1e6;
  if (ms < 9.95) return Number("%.1f ms", ms);
  if (ms < 999.5) return Number("%.0f ms", ms);
  if (ms < 99'950) return Number("%.1f s", ms / 1e3);
  return Number("%.0f min", ms / 60e3);
}

std::string ReplyText(const v1::SmtpReply& reply) {
  std::string text = std::to_string(reply.code());
  if (!reply.enhanced_code().empty()) text += " " + Shown(reply.enhanced_code());
  if (!reply.text().empty()) text += " " + Shown(reply.text());
  return text;
}

std::string MailboxText(const v1::Address& address) {
  const std::string email = Shown(address.email());
  return address.name().empty() ? email : Shown(address.name()) + " <" + email + ">";
}

}  // namespace sendstep::cli
