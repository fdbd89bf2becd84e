#include "providers/sandbox/trace.h"

#include <algorithm>
#include <ctime>

#include "absl/strings/numbers.h"
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

// RFC 3461 4. What stands for a control character stays as it is.
std::string FromXtext(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned int byte = 0;
    const absl::string_view hex = ToAbsl(text.substr(std::min(i + 1, text.size()), 2));
    const bool coded = text[i] == '+' && hex.size() == 2 && absl::SimpleHexAtoi(hex, &byte);
    if (coded && byte >= ' ' && byte <= '~') {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
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

std::string SuccessReport(const Transaction& transaction, std::string_view id,
                          std::string_view report_id, std::chrono::system_clock::time_point now) {
  const std::string& sender = *transaction.sender;
  // No line of a base64 or a header begins with it.
  const std::string boundary = absl::StrCat("=_", ToAbsl(report_id));
  const bool utf8 = transaction.smtp_utf8;  // RFC 6533
  std::string text = absl::StrCat(
      "Return-Path: <>\r\n", EnvelopeTo({sender}), "Date: ", Date(now), "\r\n",
      "From: Mail Delivery System <MAILER-DAEMON@", ToAbsl(kHostName), ">\r\nTo: <", sender,
      ">\r\nSubject: Delivered\r\nMessage-ID: <", ToAbsl(report_id), "@", ToAbsl(kHostName),
      ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"",
      boundary, "\"\r\n\r\n--", boundary,
      "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
      "Your message ",
      ToAbsl(id), " was delivered to:\r\n\r\n");
  for (const std::string& recipient : transaction.notify_success) {
    absl::StrAppend(&text, "  ", recipient, "\r\n");
  }
  absl::StrAppend(&text, "\r\n--", boundary, "\r\nContent-Type: message/", utf8 ? "global-" : "",
                  "delivery-status\r\n\r\nReporting-MTA: dns; ", ToAbsl(kHostName), "\r\n");
  if (!transaction.envelope_id.empty()) {
    absl::StrAppend(&text, "Original-Envelope-Id: ", FromXtext(transaction.envelope_id), "\r\n");
  }
  for (const std::string& recipient : transaction.notify_success) {
    absl::StrAppend(&text, "\r\nFinal-Recipient: ", utf8 ? "utf-8" : "rfc822", "; ", recipient,
                    "\r\nAction: delivered\r\nStatus: 2.0.0\r\n");
  }
  return absl::StrCat(text, "\r\n--", boundary, "--\r\n");
}

}  // namespace sendstep::providers::sandbox
