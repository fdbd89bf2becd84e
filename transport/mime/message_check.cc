#include "transport/mime/message_check.h"

#include <algorithm>
#include <array>
#include <set>

#include "transport/mime/calendar.h"
#include "transport/mime/compose.h"
#include "transport/mime/media_type.h"

namespace sendstep::mime {
namespace {

using Problem = std::optional<std::string>;

constexpr size_t kMaxHeaderName = 76;
constexpr size_t kMaxUrl = 900;
constexpr size_t kMaxMessageId = 996;  // with a blank in front, one line

constexpr std::array<std::string_view, 20> kReserved = {"apparently-to",
                                                        "authentication-results",
                                                        "bcc",
                                                        "cc",
                                                        "date",
                                                        "delivered-to",
                                                        "dkim-signature",
                                                        "domainkey-signature",
                                                        "from",
                                                        "in-reply-to",
                                                        "message-id",
                                                        "mime-version",
                                                        "received",
                                                        "received-spf",
                                                        "references",
                                                        "reply-to",
                                                        "return-path",
                                                        "sender",
                                                        "subject",
                                                        "to"};
constexpr std::array<std::string_view, 3> kReservedPrefixes = {"arc-", "content-", "resent-"};

std::string Lower(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool IsVisible(char c) { return c > ' ' && c <= '~'; }

// An id as it stands between angle brackets.
bool IsBareId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxMessageId - 2 &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return IsVisible(c) && c != '<' && c != '>'; });
}

Problem CheckText(std::string_view field, std::string_view text) {
  if (!base::HasControlCharacter(text)) return std::nullopt;
  return std::string(field) +
         (base::IsUtf8(text) ? " has a control character" : " is not valid UTF-8");
}

Problem CheckBody(std::string_view field, std::string_view text) {
  if (base::IsUtf8(text)) return std::nullopt;
  return std::string(field) + " is not valid UTF-8";
}

Problem CheckMailboxes(std::string_view field, const std::vector<Mailbox>& mailboxes) {
  for (const Mailbox& mailbox : mailboxes) {
    if (mailbox.address.local_part().empty() || mailbox.address.domain().empty()) {
      return std::string(field) + " has no address";
    }
    if (auto problem = CheckText("the name of " + mailbox.address.Spec(), mailbox.name)) {
      return problem;
    }
  }
  return std::nullopt;
}

Problem CheckAttachments(const std::vector<Attachment>& attachments) {
  std::set<std::string_view> content_ids;
  for (size_t i = 0; i < attachments.size(); ++i) {
    const Attachment& attachment = attachments[i];
    const std::string of = " of attachment " + std::to_string(i + 1);
    if (auto problem = CheckText("the filename" + of, attachment.filename)) return problem;
    if (!attachment.content_type.empty() && !ParseMediaType(attachment.content_type)) {
      return "the content type" + of + " is not a media type";
    }
    if (attachment.content_id.empty()) continue;
    if (!IsBareId(attachment.content_id)) {
      return "the content id" + of + " is not printable ASCII without blanks and brackets";
    }
    if (!content_ids.insert(attachment.content_id).second) {
      return "the content id" + of + " is another attachment's, too";
    }
  }
  return std::nullopt;
}

Problem CheckHeaders(const Message& message) {
  for (const Header& header : message.headers) {
    if (!IsHeaderName(header.name)) return "a header has a name that is not allowed";
    if (IsReservedHeader(header.name)) return "the header " + header.name + " is not for callers";
    if (SetsHeader(message, header.name))
      return "the header " + header.name + " would be there twice";
    if (auto problem = CheckText("the header " + header.name, header.value)) return problem;
  }
  return std::nullopt;
}

Problem CheckUnsubscribe(const Message& message) {
  if (!message.unsubscribe) return std::nullopt;
  const auto& [url, mailbox, one_click] = *message.unsubscribe;
  if (url.empty() ? !mailbox || one_click : !IsUnsubscribeUrl(url)) {
    return "List-Unsubscribe has no https URL";
  }
  return std::nullopt;
}

Problem CheckThread(const Message& message) {
  if (!message.in_reply_to.empty() && !IsMessageId(message.in_reply_to)) {
    return "In-Reply-To is not a message id";
  }
  if (!std::all_of(message.references.begin(), message.references.end(), IsMessageId)) {
    return "References has what is not a message id";
  }
  return std::nullopt;
}

}  // namespace

bool IsHeaderName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxHeaderName &&
         std::all_of(name.begin(), name.end(), [](char c) { return IsVisible(c) && c != ':'; });
}

bool IsUnsubscribeUrl(std::string_view url) {
  constexpr std::string_view kHttps = "https://";
  return url.size() > kHttps.size() && url.size() <= kMaxUrl && url.starts_with(kHttps) &&
         std::all_of(url.begin(), url.end(),
                     [](char c) { return IsVisible(c) && c != '<' && c != '>' && c != ','; });
}

bool IsReservedHeader(std::string_view name) {
  const std::string lower = Lower(name);
  return std::find(kReserved.begin(), kReserved.end(), lower) != kReserved.end() ||
         std::any_of(kReservedPrefixes.begin(), kReservedPrefixes.end(),
                     [&](std::string_view prefix) { return lower.starts_with(prefix); });
}

bool SetsHeader(const Message& message, std::string_view name) {
  const std::string lower = Lower(name);
  if (lower == "list-unsubscribe" || lower == "list-unsubscribe-post") {
    return message.unsubscribe.has_value();
  }
  return message.priority != Priority::kNormal && (lower == "importance" || lower == "x-priority");
}

bool IsMessageId(std::string_view id) {
  return id.size() > 2 && id.front() == '<' && id.back() == '>' &&
         IsBareId(id.substr(1, id.size() - 2));
}

Problem FindProblem(const Message& message) {
  if (auto problem = CheckMailboxes("From", {message.from})) return problem;
  if (message.sender) {
    if (auto problem = CheckMailboxes("Sender", {*message.sender})) return problem;
  }
  if (auto problem = CheckMailboxes("To", message.to)) return problem;
  if (auto problem = CheckMailboxes("Cc", message.cc)) return problem;
  if (auto problem = CheckMailboxes("Reply-To", message.reply_to)) return problem;
  if (auto problem = CheckText("the subject", message.subject)) return problem;
  if (auto problem = CheckBody("the text", message.text)) return problem;
  if (auto problem = CheckBody("the HTML", message.html)) return problem;
  if (auto problem = CheckAttachments(message.attachments)) return problem;
  if (auto problem = CheckHeaders(message)) return problem;
  if (auto problem = CheckUnsubscribe(message)) return problem;
  if (!message.calendar.empty()) {
    const auto method = CalendarMethod(message.calendar);
    if (!method) return "the calendar object: " + method.error().detail;
  }
  return CheckThread(message);
}

}  // namespace sendstep::mime
