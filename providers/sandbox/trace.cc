#include "providers/sandbox/trace.h"

#include <ctime>

#include "absl/strings/str_cat.h"

namespace sendstep::providers::sandbox {
namespace {

constexpr size_t kMaxLine = 78;

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// RFC 5322 3.3, UTC. Day and month names are English whatever the locale.
std::string Date(std::chrono::system_clock::time_point when) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  const auto two = [](int number) { return absl::Dec(number, absl::kZeroPad2); };
  return absl::StrCat(kDays[utc.tm_wday], ", ", utc.tm_mday, " ", kMonths[utc.tm_mon], " ",
                      utc.tm_year + 1900, " ", two(utc.tm_hour), ":", two(utc.tm_min), ":",
                      two(utc.tm_sec), " +0000");
}

std::string EnvelopeTo(const std::vector<std::string>& recipients) {
  std::string header = "X-Envelope-To:";
  size_t line = header.size();
  for (size_t i = 0; i < recipients.size(); ++i) {
    if (i > 0) {
      header += ',';
      ++line;
    }
    // One byte for the blank, one for a comma that may follow.
    if (i > 0 && line + recipients[i].size() + 2 > kMaxLine) {
      header += "\r\n";
      line = 0;
    }
    absl::StrAppend(&header, " ", recipients[i]);
    line += 1 + recipients[i].size();
  }
  return header + "\r\n";
}

}  // namespace

std::string TraceHeaders(const Dialog& dialog, std::string_view client_ip, std::string_view id,
                         std::chrono::system_clock::time_point now) {
  const Transaction& transaction = dialog.transaction();
  return absl::StrCat("Return-Path: <", transaction.sender.value_or(""), ">\r\n",
                      EnvelopeTo(transaction.recipients),  //
                      "Received: from ", dialog.client_name(), " ([", ToAbsl(client_ip), "])\r\n",
                      " by ", ToAbsl(kHostName), " with ", dialog.Protocol(), "\r\n", " id ",
                      ToAbsl(id), ";\r\n ", Date(now), "\r\n");
}

}  // namespace sendstep::providers::sandbox
