#include "transport/mailauth/delivery_status.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "transport/mailauth/tag_list.h"

namespace sendstep::mailauth {
namespace {

constexpr size_t kMaxBytes = 256 * 1024;
constexpr size_t kMaxRecipients = 1000;

struct Field {
  std::string name;  // lower case
  std::string value;
};

// "rfc822; a@b" -> "a@b".
std::string WithoutType(std::string_view value) {
  const size_t semicolon = value.find(';');
  return std::string(
      Trimmed(semicolon == std::string_view::npos ? value : value.substr(semicolon + 1)));
}

// One line off the front of `text`, without its line break.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// Groups of fields with an empty line between them (RFC 3464 2.1).
std::vector<std::vector<Field>> ParseGroups(std::string_view text) {
  std::vector<std::vector<Field>> groups(1);
  while (!text.empty() && groups.size() <= kMaxRecipients + 1) {
    const std::string_view line = TakeLine(text);
    std::vector<Field>& group = groups.back();
    if (Trimmed(line).empty()) {
      if (!group.empty()) groups.emplace_back();
    } else if ((line.front() == ' ' || line.front() == '\t') && !group.empty()) {
      group.back().value += ' ';
      group.back().value += Trimmed(line);
    } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      group.push_back({LowerAscii(Trimmed(line.substr(0, colon))),
                       std::string(Trimmed(line.substr(colon + 1)))});
    }
  }
  return groups;
}

std::string ValueOf(const std::vector<Field>& group, std::string_view name) {
  const auto found = std::ranges::find(group, name, &Field::name);
  return found == group.end() ? "" : found->value;
}

std::optional<RecipientStatus> ToRecipient(const std::vector<Field>& group) {
  RecipientStatus status;
  status.recipient = WithoutType(ValueOf(group, "final-recipient"));
  if (status.recipient.empty())
    status.recipient = WithoutType(ValueOf(group, "original-recipient"));
  status.action = LowerAscii(ValueOf(group, "action"));
  // Some servers add words.
  const std::string code = ValueOf(group, "status");
  status.status = code.substr(0, code.find_first_of(" \t("));
  status.remote_mta = WithoutType(ValueOf(group, "remote-mta"));
  status.diagnostic = WithoutType(ValueOf(group, "diagnostic-code"));
  if (status.action.empty() && status.status.empty()) return std::nullopt;
  return status;
}

struct Meaning {
  std::string_view code;  // without its class
  std::string_view text;
};

constexpr Meaning kMeanings[] = {
    {"1.0", "the address is wrong"},
    {"1.1", "there is no such mailbox"},
    {"1.2", "the recipient's domain does not exist, or takes no mail"},
    {"1.3", "the recipient's address is malformed"},
    {"1.4", "the recipient's address is ambiguous"},
    {"1.6", "the mailbox has moved"},
    {"1.7", "the sender's address is malformed"},
    {"1.8", "the sender's domain does not exist, or takes no mail"},
    {"1.10", "the recipient's domain takes no mail (null MX)"},
    {"2.0", "the mailbox cannot take the message"},
    {"2.1", "the mailbox is disabled"},
    {"2.2", "the mailbox is full"},
    {"2.3", "the message is larger than the mailbox takes"},
    {"2.4", "the mailing list cannot be expanded"},
    {"3.0", "the recipient's mail system has a fault"},
    {"3.1", "the recipient's mail system is full"},
    {"3.2", "the recipient's mail system takes no mail at the moment"},
    {"3.3", "the recipient's mail system cannot do what the message asks for"},
    {"3.4", "the message is larger than the recipient's mail system takes"},
    {"4.0", "the network or the route had a fault"},
    {"4.1", "the recipient's server did not answer"},
    {"4.2", "the connection broke"},
    {"4.3", "a directory or DNS server did not answer"},
    {"4.4", "there is no route to the recipient's server"},
    {"4.5", "the recipient's mail system is congested"},
    {"4.6", "the message went round in a circle"},
    {"4.7", "the message was not delivered in time"},
    {"5.0", "the servers did not understand each other"},
    {"5.3", "the message has too many recipients"},
    {"6.0", "the content was not accepted"},
    {"6.1", "the kind of content is not accepted"},
    {"7.0", "a rule of the recipient's mail system refused it"},
    {"7.1", "a rule of the recipient's mail system refused it"},
    {"7.2", "the sender may not write to this mailing list"},
    {"7.8", "the login was refused"},
    {"7.9", "the login or the domain's authentication was refused"},
    {"7.20", "no DKIM signature passed"},
    {"7.21", "no acceptable DKIM signature"},
    {"7.22", "no DKIM signature of the author's domain passed"},
    {"7.23", "SPF failed"},
    {"7.24", "SPF had an error"},
    {"7.25", "the sending address has no name that leads back to it"},
    {"7.26", "several authentication checks failed"},
    {"7.27", "the sender's domain takes no mail (null MX)"},
    {"7.28", "too much mail came from this sender"},
    {"7.29", "ARC failed"},
};

constexpr std::string_view kSubjects[] = {
    "something that has no code",
    "the address",
    "the mailbox",
    "the recipient's mail system",
    "the network or the route",
    "the dialog between the servers",
    "the content",
    "security or a rule",
};

}  // namespace

DeliveryStatus ParseDeliveryStatus(std::string_view body) {
  const auto groups = ParseGroups(body.substr(0, kMaxBytes));
  DeliveryStatus out;
  out.reporting_mta = WithoutType(ValueOf(groups.front(), "reporting-mta"));
  for (const std::vector<Field>& group : groups) {
    if (out.recipients.size() >= kMaxRecipients) break;
    if (std::optional<RecipientStatus> status = ToRecipient(group)) {
      out.recipients.push_back(*std::move(status));
    }
  }
  return out;
}

std::string StatusMeaning(std::string_view status) {
  const size_t dot = status.find('.');
  const std::string_view rest =
      dot == std::string_view::npos ? std::string_view() : status.substr(dot + 1);
  const auto found = std::ranges::find(kMeanings, rest, &Meaning::code);
  if (found != std::end(kMeanings)) return std::string(found->text);
  const bool subject = rest.size() > 1 && rest[1] == '.' && rest[0] >= '0' && rest[0] <= '7';
  const std::string about(kSubjects[subject ? rest[0] - '0' : 0]);
  if (status.starts_with('2')) return "delivered";
  return "it failed because of " + about;
}

}  // namespace sendstep::mailauth
