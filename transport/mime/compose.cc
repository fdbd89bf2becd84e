#include "transport/mime/compose.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <utility>

#include "transport/mime/calendar.h"
#include "transport/mime/header_writer.h"
#include "transport/mime/html_text.h"
#include "transport/mime/message_check.h"
#include "transport/mime/part.h"

namespace sendstep::mime {
namespace {

// Header fields of one message, generously; what is longer grows the buffer.
constexpr size_t kHeaderOverhead = 4096;

// RFC 5322 3.3, in UTC.
std::string Date(std::chrono::system_clock::time_point at) {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(at - day));
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d +0000",
                kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text;
}

void WriteMailboxes(std::string_view name, const std::vector<Mailbox>& mailboxes,
                    std::string& out) {
  if (!mailboxes.empty()) HeaderWriter(name, out).Mailboxes(mailboxes);
}

void WriteMessageIds(std::string_view name, const std::vector<std::string>& ids, std::string& out) {
  if (ids.empty()) return;
  HeaderWriter header(name, out);
  for (const std::string& id : ids) header.Word(id);
}

// As the path of a mailto URL (RFC 6068 2).
std::string MailtoPath(const base::Address& address) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~!$'*+@";
  std::string path;
  for (const char c : address.Spec()) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || kPlain.find(c) != kPlain.npos) {
      path += c;
    } else {
      path += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return path;
}

void WriteUnsubscribe(const Unsubscribe& unsubscribe, std::string& out) {
  const bool both = !unsubscribe.url.empty() && unsubscribe.mailbox;
  {
    HeaderWriter header("List-Unsubscribe", out);
    if (!unsubscribe.url.empty()) header.Word("<" + unsubscribe.url + (both ? ">," : ">"));
    if (unsubscribe.mailbox) header.Word("<mailto:" + MailtoPath(*unsubscribe.mailbox) + ">");
  }
  if (unsubscribe.one_click) {
    HeaderWriter("List-Unsubscribe-Post", out).Word("List-Unsubscribe=One-Click");
  }
}

// There is no one standard: programs look at one of these (RFC 4021 2.1.54, and X-Priority).
void WritePriority(Priority priority, std::string& out) {
  if (priority == Priority::kNormal) return;
  const bool high = priority == Priority::kHigh;
  HeaderWriter("Importance", out).Word(high ? "high" : "low");
  HeaderWriter("X-Priority", out).Word(high ? "1" : "5");
}

void WriteHeader(const Message& message, const ComposeOptions& options, std::string& out) {
  HeaderWriter("Date", out).Unstructured(Date(options.date));
  WriteMailboxes("From", {message.from}, out);
  // RFC 5322 3.6.2: not where it would say the same once more.
  if (message.sender && !(message.sender->address == message.from.address)) {
    WriteMailboxes("Sender", {*message.sender}, out);
  }
  WriteMailboxes("To", message.to, out);
  WriteMailboxes("Cc", message.cc, out);
  if (message.to.empty() && message.cc.empty()) {
    // Filters count it against a message when it names no recipient at all.
    HeaderWriter("To", out).Word("undisclosed-recipients:;");
  }
  WriteMailboxes("Reply-To", message.reply_to, out);
  if (!message.subject.empty()) HeaderWriter("Subject", out).Unstructured(message.subject);
  WriteMessageIds("Message-ID", {options.message_id}, out);
  if (!message.in_reply_to.empty()) WriteMessageIds("In-Reply-To", {message.in_reply_to}, out);
  WriteMessageIds("References", message.references, out);
  if (message.unsubscribe) WriteUnsubscribe(*message.unsubscribe, out);
  WritePriority(message.priority, out);
  for (const Header& header : message.headers) {
    HeaderWriter(header.name, out).Unstructured(header.value);
  }
  HeaderWriter("MIME-Version", out).Word("1.0");
}

// mixed(alternative(text, related(html, inline...), calendar), attachments..., invite.ics), less
// what is not needed.
Part Structure(const Message& message) {
  const bool has_html = !message.html.empty();
  std::vector<Part> related;
  std::vector<Part> files;
  if (has_html) related.push_back(TextPart("html", message.html));
  for (const Attachment& attachment : message.attachments) {
    // Without HTML there is nothing that could show an inline part.
    const bool is_inline = has_html && !attachment.content_id.empty();
    (is_inline ? related : files).push_back(FilePart(attachment, is_inline));
  }
  std::vector<Part> bodies;
  const std::string of_html = message.text.empty() ? TextOfHtml(message.html) : "";
  const std::string& text = message.text.empty() ? of_html : message.text;
  if (!text.empty() || (!has_html && files.empty())) bodies.push_back(TextPart("plain", text));
  if (has_html) bodies.push_back(Multipart("related", std::move(related)));
  if (!message.calendar.empty()) {
    bodies.push_back(CalendarPart(message.calendar, *CalendarMethod(message.calendar)));
    // For programs that know no such body.
    Part& file = files.emplace_back(FilePart({"invite.ics", "application/ics", {}, {}}, false));
    file.file = &message.calendar;
  }
  if (files.empty()) return Multipart("alternative", std::move(bodies));
  std::vector<Part> mixed;
  if (!bodies.empty()) mixed.push_back(Multipart("alternative", std::move(bodies)));
  std::move(files.begin(), files.end(), std::back_inserter(mixed));
  Part part;
  part.multipart = "mixed";
  part.children = std::move(mixed);
  return part;
}

bool NeedsSmtpUtf8(const Message& message) {
  const auto any = [](const std::vector<Mailbox>& mailboxes) {
    return std::any_of(mailboxes.begin(), mailboxes.end(),
                       [](const Mailbox& mailbox) { return mailbox.address.NeedsSmtpUtf8(); });
  };
  return message.from.address.NeedsSmtpUtf8() || any(message.to) || any(message.cc) ||
         any(message.reply_to) || (message.sender && message.sender->address.NeedsSmtpUtf8());
}

base::Error Invalid(std::string detail) {
  return base::Failed(base::Stage::kConfig, base::Cause::kInvalid, base::ErrorClass::kPermanent,
                      std::move(detail));
}

}  // namespace

base::Result<ComposedMessage> Compose(const Message& message, const ComposeOptions& options) {
  if (!IsMessageId(options.message_id)) return Invalid("the message id is malformed");
  if (auto problem = FindProblem(message)) return Invalid(*std::move(problem));
  const Part body = Structure(message);
  ComposedMessage composed;
  composed.needs_smtputf8 = NeedsSmtpUtf8(message);
  std::string text;
  text.reserve(kHeaderOverhead + TextSize(body));
  WriteHeader(message, options, text);
  composed.content = WritePart(body, options.boundary_seed, std::move(text));
  return composed;
}

}  // namespace sendstep::mime
