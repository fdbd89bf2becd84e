#include "providers/doctor/aftermath.h"

#include <re2/re2.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "providers/doctor/mail_file.h"
#include "providers/explain.h"
#include "providers/pattern.h"
#include "providers/registry.h"
#include "transport/mailauth/authentication_results.h"
#include "transport/mailauth/delivery_status.h"

namespace sendstep::doctor {
namespace {

using mailauth::AuthenticationResults;
using mailauth::AuthResult;

constexpr size_t kMaxReplyText = 4096;
constexpr size_t kMaxEvents = 50;

// A code, perhaps an enhanced code, and words; each of several lines begins with the code.
constexpr char kReplyStart[] =
    "(?:^|[^0-9.])([245][0-9]{2})[ -]+([245]\\.[0-9]{1,3}\\.[0-9]{1,3})?";

struct Said {
  int code = 0;
  std::string enhanced;
  std::string text;  // without the codes, one line

  std::string PatternText() const {
    return absl::StrCat(code, enhanced.empty() ? "" : " ", enhanced, " ", text);
  }
};

// "550-5.7.1 a 550 5.7.1 b" -> "a b".
std::string WithoutRepeatedCodes(std::string text, const Said& said) {
  const std::string code = absl::StrCat(said.code);
  const std::string enhanced =
      said.enhanced.empty() ? "" : absl::StrCat("(?:", re2::RE2::QuoteMeta(said.enhanced), ")?");
  re2::RE2::GlobalReplace(&text, absl::StrCat("(^|\\s)", code, "[- ]\\s*", enhanced), " ");
  re2::RE2::GlobalReplace(&text, "\\s+", " ");
  return std::string(absl::StripAsciiWhitespace(text));
}

// The first reply within `text`.
std::optional<Said> FindReply(std::string text) {
  text.resize(std::min(text.size(), kMaxReplyText));
  static const re2::RE2 start(kReplyStart);
  re2::StringPiece rest(text);
  std::string code, enhanced;
  if (!re2::RE2::FindAndConsume(&rest, start, &code, &enhanced)) return std::nullopt;
  Said said;
  said.code = std::stoi(code);
  said.enhanced = enhanced;
  said.text = WithoutRepeatedCodes(std::string(rest.data(), rest.size()), said);
  return said;
}

const providers::Registry& Profiles() {
  static const providers::Registry registry = providers::Registry::Embedded();
  return registry;
}

// A provider's reply, by the tables of the profiles.
bool ExplainAsProvider(const std::string& reply, Event& event) {
  for (const auto& profile : Profiles().profiles()) {
    for (const auto& known : profile->explanations()) {
      if (!re2::RE2::PartialMatch(reply, providers::CachedPattern(known.pattern()))) continue;
      event.said_by = profile->title();
      event.meaning = known.meaning();
      event.what_to_do = known.what_to_do();
      event.doc_url = known.doc_url().empty() ? profile->doc_url() : known.doc_url();
      event.side = Side::kAccount;
      event.final = !known.retryable();
      return true;
    }
  }
  return false;
}

void ExplainByStatus(const Said& said, Event& event) {
  const std::string status =
      said.enhanced.empty() ? absl::StrCat(said.code / 100, ".0.0") : said.enhanced;
  event.meaning =
      said.code < 300
          ? "The server took the message."
          : absl::StrCat("The server refused it: ", mailauth::StatusMeaning(status), ".");
  const bool address = absl::StartsWith(absl::string_view(status).substr(2), "1.");
  event.side = address ? Side::kRecipient : Side::kReceiver;
  event.final = said.code >= 500;
  event.what_to_do = said.code < 300   ? "Look in the mailbox, and in its spam folder."
                     : said.code < 500 ? "Wait: it is tried again for some days."
                     : address         ? "Check the address with the recipient."
                                       : "Ask the receiver what the words of its reply mean.";
}

// Words that only a login brings.
bool IsLogin(const Said& said) {
  return said.code == 535 || said.code == 534 || said.code == 530 || said.enhanced == "5.7.8" ||
         said.enhanced == "5.7.9";
}

Event Explain(const Said& said) {
  Event event;
  event.reply = said.PatternText();
  event.final = said.code >= 500;
  // Providers and receivers share codes; the provider's are those of a login.
  if (IsLogin(said) && ExplainAsProvider(event.reply, event)) return event;
  if (const ReceiverReply* known = FindReceiverReply(event.reply); known && said.code >= 400) {
    event.said_by = known->receiver;
    event.meaning = known->meaning;
    event.side = known->side;
    event.what_to_do = known->what_to_do;
    event.doc_url = known->doc_url;
    return event;
  }
  if (said.code >= 400 && ExplainAsProvider(event.reply, event)) return event;
  ExplainByStatus(said, event);
  return event;
}

Event ExplainStatus(const mailauth::RecipientStatus& status) {
  Event event;
  const std::optional<Said> said = FindReply(status.diagnostic);
  if (status.action == "delivered" || status.action == "relayed" || status.action == "expanded") {
    event.meaning = status.action == "relayed"
                        ? "It was passed on to a server that sends no reports."
                        : "It was delivered.";
    event.what_to_do = "Nothing: if it is not seen, look in the spam folder.";
    event.reply = status.diagnostic;
  } else if (said) {
    event = Explain(*said);
  } else {
    Said by_status;
    by_status.code = absl::StartsWith(status.status, "4") ? 450 : 550;
    by_status.enhanced = status.status;
    ExplainByStatus(by_status, event);
    event.reply = status.diagnostic;
  }
  event.recipient = status.recipient;
  if (!status.remote_mta.empty()) event.said_by = status.remote_mta;
  if (status.action == "delayed") {
    event.final = false;
    event.what_to_do = "Wait: it is tried again. If it fails for good, another report comes.";
  }
  return event;
}

Aftermath OfBounce(const MailFile& mail) {
  Aftermath out;
  out.kind = Aftermath::Kind::kBounce;
  const mailauth::DeliveryStatus status = mailauth::ParseDeliveryStatus(mail.delivery_status);
  size_t failed = 0, delayed = 0;
  for (const mailauth::RecipientStatus& recipient : status.recipients) {
    if (recipient.action == "failed") ++failed;
    if (recipient.action == "delayed") ++delayed;
    if (out.events.size() < kMaxEvents) out.events.push_back(ExplainStatus(recipient));
  }
  out.summary =
      absl::StrCat("A report about ", status.recipients.size(), " recipient",
                   status.recipients.size() == 1 ? "" : "s", ": ", failed, " failed, ", delayed,
                   " delayed, ", status.recipients.size() - failed - delayed, " otherwise.");
  return out;
}

// Which domain a method authenticated.
std::string DomainOf(const AuthResult& result) {
  std::string_view value;
  for (const char* property :
       {"header.d", "smtp.mailfrom", "smtp.helo", "header.from", "header.i"}) {
    value = result.Property(property);
    if (!value.empty()) break;
  }
  const size_t at = value.rfind('@');
  return std::string(at == std::string_view::npos ? value : value.substr(at + 1));
}

Event ExplainDmarc(const AuthenticationResults& results, const std::string& from) {
  Event event;
  event.side = Side::kDomain;
  event.said_by = results.authserv_id;
  const AuthResult* dmarc = results.Find("dmarc");
  const AuthResult* spf = results.Find("spf");
  const AuthResult* dkim = results.Find("dkim");
  const auto passed = [](const AuthResult* result) { return result && result->result == "pass"; };
  if (passed(dmarc)) {
    event.meaning = "DMARC passed: what receivers do with the message has other reasons.";
    event.what_to_do =
        "Look in the spam folder; there content, links and the sender's reputation count.";
    event.final = false;
    return event;
  }
  std::vector<std::string> unaligned;
  if (passed(spf)) unaligned.push_back(absl::StrCat("SPF passed for ", DomainOf(*spf)));
  if (passed(dkim)) unaligned.push_back(absl::StrCat("DKIM passed for ", DomainOf(*dkim)));
  const std::string who = from.empty() ? "the From domain" : from;
  if (!dmarc || dmarc->result == "none") {
    event.meaning = absl::StrCat("No DMARC policy was found for ", who, ".");
    event.what_to_do = "Publish one with p=none to begin with; sendstep doctor writes it.";
  } else if (dmarc->result == "temperror" || dmarc->result == "permerror") {
    event.meaning = absl::StrCat("The DMARC record of ", who, " could not be evaluated.");
    event.what_to_do = "Check the domain with sendstep doctor.";
  } else {
    event.meaning =
        unaligned.empty()
            ? absl::StrCat("DMARC failed for ", who, ": neither SPF nor DKIM passed.")
            : absl::StrCat("DMARC failed for ", who, ": ", absl::StrJoin(unaligned, " and "),
                           ", which does not align with it.");
    event.what_to_do =
        "Have your provider sign with a key of the From domain; sendstep doctor says which records "
        "are missing.";
  }
  return event;
}

Aftermath OfReceived(const MailFile& mail) {
  Aftermath out;
  out.kind = Aftermath::Kind::kReceived;
  // The receiver writes its own on top; those below came along and prove nothing (RFC 8601 5).
  const AuthenticationResults results =
      mailauth::ParseAuthenticationResults(mail.authentication_results.front());
  out.receiver = results.authserv_id;
  for (const char* method : {"spf", "dkim", "dmarc"}) {
    Authentication found;
    found.method = method;
    if (const AuthResult* result = results.Find(method)) {
      found.result = result->result;
      found.domain = DomainOf(*result);
      found.why = result->reason;
    }
    out.authentication.push_back(std::move(found));
  }
  out.events.push_back(ExplainDmarc(results, mail.from));
  out.summary = out.events.front().meaning;
  return out;
}

absl::StatusOr<Aftermath> OfReply(const std::string& text) {
  const std::optional<Said> said = FindReply(text);
  if (!said) {
    return absl::InvalidArgumentError(
        "this is neither an email with its headers nor a reply of an SMTP server; save a bounce or "
        "a "
        "received message with all of its headers, or paste a reply such as 550 5.7.26 ...");
  }
  Aftermath out;
  out.events.push_back(Explain(*said));
  out.summary = out.events.front().meaning;
  return out;
}

}  // namespace

std::string KindName(Aftermath::Kind kind) {
  switch (kind) {
    case Aftermath::Kind::kBounce:
      return "bounce";
    case Aftermath::Kind::kReceived:
      return "received";
    case Aftermath::Kind::kReply:
      break;
  }
  return "reply";
}

absl::StatusOr<Aftermath> ExplainAftermath(const std::string& text) {
  if (text.size() > kMaxAftermathBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file is larger than ", kMaxAftermathBytes >> 20, " MiB"));
  }
  const MailFile mail = ReadMailFile(text);
  if (!mail.is_mail) return OfReply(text);
  if (!mail.delivery_status.empty()) return OfBounce(mail);
  if (!mail.authentication_results.empty()) return OfReceived(mail);
  // Bounces of old, in plain words.
  absl::StatusOr<Aftermath> reply = OfReply(mail.text);
  if (!reply.ok()) {
    return absl::InvalidArgumentError(
        "the email has no Authentication-Results field, no delivery status and no reply of an SMTP "
        "server in its text: save it as the receiver has it, with all of its headers");
  }
  reply->kind = Aftermath::Kind::kBounce;
  return reply;
}

}  // namespace sendstep::doctor
