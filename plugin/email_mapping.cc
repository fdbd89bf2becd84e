#include "plugin/email_mapping.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "plugin/limits.h"
#include "transport/base/address.h"
#include "transport/mime/calendar.h"
#include "transport/mime/compose.h"
#include "transport/mime/media_type.h"
#include "transport/smtp/command.h"

namespace sendstep::plugin {
namespace {

using providers::Finding;
using providers::Severity;

class Findings {
 public:
  void Wrong(std::string field, std::string reason, std::string message, std::string hint = {}) {
    list.push_back({Severity::kError,
                    std::move(field),
                    std::move(reason),
                    std::move(message),
                    std::move(hint),
                    {}});
  }

  // Text that a header carries, encoded where it is not ASCII.
  bool CheckLine(const std::string& field, const std::string& text) {
    if (text.size() > kMaxLineBytes) {
      Wrong(field, "LIMIT_EXCEEDED", absl::StrCat("Longer than ", kMaxLineBytes, " bytes."));
      return false;
    }
    if (base::HasControlCharacter(text)) {
      Wrong(field, "CONTROL_CHARACTER", "Holds a line break, NUL or another control character.");
      return false;
    }
    return true;
  }

  // Text that travels as it is: ASCII, in which nothing can be narrowed to a line break either.
  bool CheckRaw(const std::string& field, const std::string& text) {
    if (!CheckLine(field, text)) return false;
    if (base::NarrowsToLineBreak(text)) {
      Wrong(field, "CONTROL_CHARACTER",
            "Holds a character that becomes a line break or NUL in 8 bits.");
      return false;
    }
    if (!base::IsAscii(text)) {
      Wrong(field, "FIELD_INVALID", "Only ASCII is possible here.");
      return false;
    }
    return true;
  }

  std::vector<Finding> list;
};

std::string Indexed(std::string_view list, int index, std::string_view member = {}) {
  std::string path =
      absl::StrCat("email.", absl::string_view(list.data(), list.size()), "[", index, "]");
  if (!member.empty()) absl::StrAppend(&path, ".", absl::string_view(member.data(), member.size()));
  return path;
}

std::optional<mime::Mailbox> MapMailbox(const v1::Address& in, const std::string& field,
                                        Findings& findings) {
  if (in.email().empty()) {
    findings.Wrong(field + ".email", "FIELD_REQUIRED", "The address is empty.");
    return std::nullopt;
  }
  const bool name_ok = findings.CheckLine(field + ".name", in.name());
  if (base::HasControlCharacter(in.email()) ||
      base::NarrowsToLineBreak(base::LocalPartOf(in.email()))) {
    findings.Wrong(
        field + ".email", "CONTROL_CHARACTER",
        "Holds a line break, NUL or another control character, or one that becomes it in 8 bits.");
    return std::nullopt;
  }
  const auto address = base::ParseAddress(in.email());
  if (!address) {
    findings.Wrong(field + ".email", "ADDRESS_INVALID",
                   absl::StrCat("Not a mail address: ", address.error().detail, "."));
    return std::nullopt;
  }
  if (!name_ok) return std::nullopt;
  return mime::Mailbox{*address, in.name()};
}

// An address whose field is a string.
std::optional<base::Address> MapAddress(const std::string& text, const std::string& field,
                                        Findings& findings) {
  v1::Address wrapped;
  wrapped.set_email(text);
  const size_t before = findings.list.size();
  std::optional<mime::Mailbox> mailbox = MapMailbox(wrapped, field, findings);
  for (size_t i = before; i < findings.list.size(); ++i) findings.list[i].field = field;
  if (!mailbox) return std::nullopt;
  return std::move(mailbox->address);
}

using AddressList = google::protobuf::RepeatedPtrField<v1::Address>;

std::vector<mime::Mailbox> MapList(const AddressList& in, std::string_view list,
                                   Findings& findings) {
  std::vector<mime::Mailbox> out;
  for (int i = 0; i < in.size(); ++i) {
    if (auto mailbox = MapMailbox(in[i], Indexed(list, i), findings))
      out.push_back(std::move(*mailbox));
  }
  return out;
}

void MapReplyTo(const v1::Email& email, mime::Message& out, Findings& findings) {
  if (email.reply_to_size() > static_cast<int>(kMaxReplyTo)) {
    findings.Wrong("email.reply_to", "LIMIT_EXCEEDED",
                   absl::StrCat("More than ", kMaxReplyTo, " addresses."));
    return;
  }
  out.reply_to = MapList(email.reply_to(), "reply_to", findings);
}

// "<id>" of "id" or "<id>"; nothing when it is no msg-id (RFC 5322 3.6.4).
std::optional<std::string> MapMessageId(const std::string& text) {
  std::string_view id = text;
  if (id.starts_with('<') && id.ends_with('>')) id = id.substr(1, id.size() - 2);
  const size_t at = id.find('@');
  const bool clean = std::ranges::all_of(
      id, [](char c) { return c > ' ' && c < 0x7f && c != '<' && c != '>' && c != ','; });
  if (!clean || at == std::string_view::npos || at == 0 || at + 1 == id.size()) return std::nullopt;
  return "<" + std::string(id) + ">";
}

void MapThread(const v1::Email& email, mime::Message& out, Findings& findings) {
  const auto map = [&](const std::string& text, const std::string& field) -> std::string {
    if (!findings.CheckRaw(field, text)) return {};
    if (auto id = MapMessageId(text)) return *id;
    findings.Wrong(field, "FIELD_INVALID", "Not a Message-ID: it looks like <id@domain>.");
    return {};
  };
  if (!email.in_reply_to().empty()) out.in_reply_to = map(email.in_reply_to(), "email.in_reply_to");
  if (email.references_size() > static_cast<int>(kMaxReferences)) {
    findings.Wrong("email.references", "LIMIT_EXCEEDED",
                   absl::StrCat("More than ", kMaxReferences, " references."));
    return;
  }
  for (int i = 0; i < email.references_size(); ++i) {
    out.references.push_back(map(email.references(i), Indexed("references", i)));
  }
}

void MapAttachments(v1::Email& email, mime::Message& out, Findings& findings) {
  if (email.attachments_size() > static_cast<int>(kMaxAttachments)) {
    findings.Wrong("email.attachments", "LIMIT_EXCEEDED",
                   absl::StrCat("More than ", kMaxAttachments, " attachments."));
    return;
  }
  std::set<std::string> content_ids;
  for (int i = 0; i < email.attachments_size(); ++i) {
    v1::Attachment& in = *email.mutable_attachments(i);
    const auto field = [i](std::string_view member) { return Indexed("attachments", i, member); };
    if (findings.CheckLine(field("filename"), in.filename()) &&
        in.filename().find_first_of("/\\") != std::string::npos) {
      findings.Wrong(field("filename"), "FIELD_INVALID", "A file name has no \"/\" and no \"\\\".");
    }
    if (!in.content_type().empty() && findings.CheckRaw(field("content_type"), in.content_type()) &&
        !mime::ParseMediaType(in.content_type())) {
      findings.Wrong(field("content_type"), "FIELD_INVALID",
                     "Not a media type: it looks like application/pdf.");
    }
    std::string_view id = in.content_id();
    if (id.starts_with('<') && id.ends_with('>')) id = id.substr(1, id.size() - 2);
    if (!in.content_id().empty() && findings.CheckRaw(field("content_id"), in.content_id())) {
      if (id.empty() || id.find_first_of(" <>\"\t") != std::string_view::npos) {
        findings.Wrong(field("content_id"), "FIELD_INVALID",
                       "A content id has no blanks, quotes or brackets.");
      } else if (!content_ids.emplace(id).second) {
        findings.Wrong(field("content_id"), "CONTENT_ID_DUPLICATE",
                       "Another attachment has this content id.");
      }
    }
    out.attachments.push_back(
        {in.filename(), in.content_type(), std::move(*in.mutable_content()), std::string(id)});
  }
}

void MapHeaders(const v1::Email& email, mime::Message& out, Findings& findings) {
  if (email.headers_size() > static_cast<int>(kMaxHeaders)) {
    findings.Wrong("email.headers", "LIMIT_EXCEEDED",
                   absl::StrCat("More than ", kMaxHeaders, " headers."));
    return;
  }
  for (int i = 0; i < email.headers_size(); ++i) {
    const v1::Header& in = email.headers(i);
    const std::string name_field = Indexed("headers", i, "name");
    if (in.name().empty()) {
      findings.Wrong(name_field, "FIELD_REQUIRED", "The header has no name.");
    } else if (base::HasControlCharacter(in.name()) || base::NarrowsToLineBreak(in.name())) {
      findings.Wrong(name_field, "CONTROL_CHARACTER",
                     "Holds a line break, NUL or another control character, or one that becomes it "
                     "in 8 bits.");
    } else if (!mime::IsHeaderName(in.name())) {
      findings.Wrong(
          name_field, "HEADER_REFUSED",
          "A header's name is printable ASCII without blank and \":\", at most 76 characters.");
    } else if (mime::IsReservedHeader(in.name()) || mime::SetsHeader(out, in.name())) {
      findings.Wrong(name_field, "HEADER_REFUSED",
                     "sendstep or the transport sets this header itself.",
                     "Use the field of the email that it stands for.");
    }
    findings.CheckLine(Indexed("headers", i, "value"), in.value());
    out.headers.push_back({in.name(), in.value()});
  }
}

void MapSender(const v1::Email& email, mime::Message& out, Findings& findings) {
  if (!email.has_sender()) return;
  out.sender = MapMailbox(email.sender(), "email.sender", findings);
}

void MapUnsubscribe(const v1::Email& email, mime::Message& out, Findings& findings) {
  if (!email.has_unsubscribe()) return;
  const v1::Unsubscribe& in = email.unsubscribe();
  const std::string field = "email.unsubscribe";
  if (in.url().empty() && in.email().empty()) {
    findings.Wrong(field, "FIELD_REQUIRED", "Neither url nor email is set.");
    return;
  }
  mime::Unsubscribe unsubscribe{in.url(), {}, in.one_click()};
  if (!in.url().empty() && findings.CheckRaw(field + ".url", in.url()) &&
      !mime::IsUnsubscribeUrl(in.url())) {
    findings.Wrong(field + ".url", "FIELD_INVALID",
                   "Not an https URL of at most 900 bytes without blanks, commas and brackets.",
                   "Mail programs take https only; write other characters as their %XX.");
  }
  if (in.one_click() && in.url().empty()) {
    findings.Wrong(field + ".one_click", "SETTINGS_CONTRADICT", "One click wants a url.",
                   "Set unsubscribe.url to the page that takes the POST.");
  }
  if (!in.email().empty()) {
    unsubscribe.mailbox = MapAddress(in.email(), field + ".email", findings);
  }
  out.unsubscribe = std::move(unsubscribe);
}

mime::Priority MapPriority(v1::Priority priority) {
  switch (priority) {
    case v1::PRIORITY_HIGH:
      return mime::Priority::kHigh;
    case v1::PRIORITY_LOW:
      return mime::Priority::kLow;
    default:
      return mime::Priority::kNormal;
  }
}

uint8_t NotifyBit(int notify) {
  switch (notify) {
    case v1::NOTIFY_ON_SUCCESS:
      return smtp::Dsn::kSuccess;
    case v1::NOTIFY_ON_FAILURE:
      return smtp::Dsn::kFailure;
    case v1::NOTIFY_ON_DELAY:
      return smtp::Dsn::kDelay;
    case v1::NOTIFY_ON_NEVER:
      return smtp::Dsn::kNever;
    default:
      return 0;
  }
}

smtp::Dsn MapDsn(const v1::Dsn& in, Findings& findings) {
  smtp::Dsn out;
  for (int i = 0; i < in.notify_size(); ++i) {
    const uint8_t bit = NotifyBit(in.notify(i));
    if (bit == 0) findings.Wrong(Indexed("dsn.notify", i), "FIELD_INVALID", "No such occasion.");
    out.notify |= bit;
  }
  if ((out.notify & smtp::Dsn::kNever) != 0 && out.notify != smtp::Dsn::kNever) {
    findings.Wrong("email.dsn.notify", "SETTINGS_CONTRADICT", "Never excludes other occasions.");
  }
  using Return = smtp::Dsn::Return;
  if (!v1::ReturnContent_IsValid(in.content())) {
    findings.Wrong("email.dsn.content", "FIELD_INVALID", "No such content.");
  }
  if (in.content() == v1::RETURN_CONTENT_FULL) out.content = Return::kFull;
  if (in.content() == v1::RETURN_CONTENT_HEADERS) out.content = Return::kHeaders;
  const std::string id_field = "email.dsn.envelope_id";
  if (findings.CheckRaw(id_field, in.envelope_id()) &&
      smtp::Xtext(in.envelope_id()).size() > kMaxEnvelopeId) {
    findings.Wrong(id_field, "LIMIT_EXCEEDED",
                   absl::StrCat("Longer than ", kMaxEnvelopeId, " characters as SMTP writes it."));
  }
  out.envelope_id = in.envelope_id();
  if (out.notify == 0 && out.content == Return::kUnset && out.envelope_id.empty()) {
    findings.Wrong("email.dsn", "FIELD_REQUIRED", "Asks for nothing: set notify, for example.");
  }
  return out;
}

void MapCalendar(v1::Email& email, mime::Message& out, Findings& findings) {
  if (email.calendar().empty()) return;
  const auto method = mime::CalendarMethod(email.calendar());
  if (!method) {
    findings.Wrong(
        "email.calendar", "FIELD_INVALID",
        absl::StrCat("Not a calendar object with a method: ", method.error().detail, "."),
        "Give the whole object, from BEGIN:VCALENDAR to END:VCALENDAR.");
  }
  out.calendar = std::move(*email.mutable_calendar());
}

// A body may hold any line break, but no NUL (RFC 5322 2.3, RFC 2045 2.7).
void CheckBody(const std::string& field, const std::string& body, Findings& findings) {
  if (body.find('\0') != std::string::npos) {
    findings.Wrong(field, "CONTROL_CHARACTER", "Holds a NUL.");
  }
}

}  // namespace

Checked<MappedRecipients> MapRecipients(const v1::Email& email) {
  Findings findings;
  Checked<MappedRecipients> result;
  const size_t count = email.to_size() + email.cc_size() + email.bcc_size();
  if (count == 0) {
    findings.Wrong("email.to", "FIELD_REQUIRED", "The email has no recipient.");
  } else if (count > kMaxRecipients) {
    findings.Wrong("email.to", "LIMIT_EXCEEDED",
                   absl::StrCat(count, " recipients; the limit is ", kMaxRecipients,
                                " of To, Cc and Bcc together."));
  } else {
    MappedRecipients& out = result.value;
    out.to = MapList(email.to(), "to", findings);
    out.cc = MapList(email.cc(), "cc", findings);
    const std::vector<mime::Mailbox> bcc = MapList(email.bcc(), "bcc", findings);
    std::set<std::string> seen;
    const auto add = [&](const std::vector<mime::Mailbox>& mapped, const AddressList& named) {
      // A list with a fault is shorter than its source: nothing is sent then anyway.
      if (mapped.size() != static_cast<size_t>(named.size())) return;
      for (size_t i = 0; i < mapped.size(); ++i) {
        if (!seen.insert(mapped[i].address.Spec()).second) continue;
        out.envelope.push_back(mapped[i].address);
        out.names.push_back(named[static_cast<int>(i)].email());
      }
    };
    add(out.to, email.to());
    add(out.cc, email.cc());
    add(bcc, email.bcc());
  }
  result.findings = std::move(findings.list);
  return result;
}

Checked<smtp::Envelope> MapEnvelope(const v1::Email& email, const base::Address& from,
                                    const smtp::TlsSettings& tls) {
  Checked<smtp::Envelope> result;
  Findings findings;
  result.value.sender = from;
  if (!email.envelope_sender().empty()) {
    result.value.sender = MapAddress(email.envelope_sender(), "email.envelope_sender", findings);
  }
  if (email.has_dsn()) result.value.dsn = MapDsn(email.dsn(), findings);
  result.value.require_tls = email.require_tls();
  if (email.require_tls() && (tls.policy == smtp::TlsPolicy::kNone || !tls.verify)) {
    findings.Wrong("email.require_tls", "SETTINGS_CONTRADICT",
                   "The SMTP settings do without TLS or without checking the certificate.",
                   "Switch TLS and the check on, or do not require TLS.");
  }
  result.findings = std::move(findings.list);
  return result;
}

Checked<mime::Message> MapContent(v1::Email& email) {
  Findings findings;
  Checked<mime::Message> result;
  mime::Message& out = result.value;
  findings.CheckLine("email.from.name", email.from().name());
  findings.CheckLine("email.subject", email.subject());
  out.subject = email.subject();
  if (email.html().empty() && email.text().empty()) {
    findings.Wrong("email.html", "FIELD_REQUIRED",
                   "The email has no body: set html, text or both.");
  }
  CheckBody("email.html", email.html(), findings);
  CheckBody("email.text", email.text(), findings);
  out.html = std::move(*email.mutable_html());
  out.text = std::move(*email.mutable_text());
  MapReplyTo(email, out, findings);
  MapSender(email, out, findings);
  MapUnsubscribe(email, out, findings);
  if (!v1::Priority_IsValid(email.priority())) {
    findings.Wrong("email.priority", "FIELD_INVALID", "No such priority.");
  }
  out.priority = MapPriority(email.priority());
  MapCalendar(email, out, findings);
  MapAttachments(email, out, findings);
  MapHeaders(email, out, findings);
  MapThread(email, out, findings);
  result.findings = std::move(findings.list);
  return result;
}

void CheckProviderLimits(const providers::Profile* profile, size_t count,
                         std::vector<Finding>& findings) {
  if (profile == nullptr || profile->max_recipients() == 0 || count <= profile->max_recipients())
    return;
  findings.push_back({Severity::kError, "email.to", "LIMIT_EXCEEDED",
                      absl::StrCat(count, " recipients; ", profile->title(), " takes ",
                                   profile->max_recipients(), " in one email."),
                      "Send several emails.", profile->doc_url()});
}

}  // namespace sendstep::plugin
