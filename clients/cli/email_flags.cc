#include "clients/cli/email_flags.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <utility>
#include <vector>

#include "clients/cli/mailbox.h"
#include "clients/cli/request.h"

namespace sendstep::cli {
namespace {

using Mailboxes = google::protobuf::RepeatedPtrField<v1::Address>;

absl::StatusOr<v1::Address> ReadMailbox(const std::string& flag, const std::string& text) {
  absl::StatusOr<v1::Address> address = ParseMailbox(text);
  if (address.ok()) return address;
  return absl::InvalidArgumentError(flag + " \"" + text +
                                    "\": " + std::string(address.status().message()));
}

absl::Status ReplaceMailboxes(const std::string& flag, const std::vector<std::string>& texts,
                              Mailboxes& list) {
  if (texts.empty()) return absl::OkStatus();
  list.Clear();
  for (const std::string& text : texts) {
    absl::StatusOr<v1::Address> address = ReadMailbox(flag, text);
    if (!address.ok()) return address.status();
    *list.Add() = *std::move(address);
  }
  return absl::OkStatus();
}

absl::Status ApplyAddresses(const EmailFlags& flags, v1::Email& email) {
  if (flags.from) {
    absl::StatusOr<v1::Address> from = ReadMailbox("--from", *flags.from);
    if (!from.ok()) return from.status();
    *email.mutable_from() = *std::move(from);
  }
  if (flags.sender) {
    absl::StatusOr<v1::Address> sender = ReadMailbox("--sender", *flags.sender);
    if (!sender.ok()) return sender.status();
    *email.mutable_sender() = *std::move(sender);
  }
  absl::Status status = ReplaceMailboxes("--to", flags.to, *email.mutable_to());
  if (status.ok()) status = ReplaceMailboxes("--cc", flags.cc, *email.mutable_cc());
  if (status.ok()) status = ReplaceMailboxes("--bcc", flags.bcc, *email.mutable_bcc());
  if (status.ok()) {
    status = ReplaceMailboxes("--reply-to", flags.reply_to, *email.mutable_reply_to());
  }
  return status;
}

// A body from its flag or its file.
absl::Status ApplyBody(const std::optional<std::string>& text,
                       const std::optional<std::string>& file, const std::string& flag,
                       Environment& environment, std::string& body) {
  if (text && file) return absl::NotFoundError(flag + " excludes the same body as a text");
  if (text) body = *text;
  if (!file) return absl::OkStatus();
  absl::StatusOr<std::string> bytes = ReadFile(environment, *file, flag, kMaxRequestBytes);
  if (!bytes.ok()) return bytes.status();
  body = *std::move(bytes);
  return absl::OkStatus();
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// "FILE" or "FILE:type/subtype"; a file whose whole name has the colon wins.
std::pair<std::string, std::string> SplitType(const std::string& text) {
  std::error_code ignored;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(text, ignored)) return {text, ""};
  const std::string_view type = std::string_view(text).substr(colon + 1);
  const size_t slash = type.find('/');
  if (slash == std::string_view::npos || !IsToken(type.substr(0, slash)) ||
      !IsToken(type.substr(slash + 1))) {
    return {text, ""};
  }
  return {text.substr(0, colon), std::string(type)};
}

absl::Status AddFile(const std::string& flag, const std::string& text,
                     const std::string& content_id, Environment& environment, v1::Email& email) {
  const auto [path, type] = SplitType(text);
  absl::StatusOr<std::string> bytes = ReadFile(environment, path, flag, kMaxRequestBytes);
  if (!bytes.ok()) return bytes.status();
  v1::Attachment& attachment = *email.add_attachments();
  attachment.set_filename(std::filesystem::path(path).filename().string());
  attachment.set_content_type(type.empty() ? GuessContentType(path) : type);
  attachment.set_content(*std::move(bytes));
  attachment.set_content_id(content_id);
  return absl::OkStatus();
}

absl::Status AddInline(const std::string& text, Environment& environment, v1::Email& email) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return absl::InvalidArgumentError("--inline \"" + text + "\": wants CID=FILE");
  }
  return AddFile("--inline", text.substr(equals + 1), text.substr(0, equals), environment, email);
}

absl::Status AddHeader(const std::string& text, v1::Email& email) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string::npos) {
    return absl::InvalidArgumentError("--header \"" + text + "\": wants 'Name: value'");
  }
  v1::Header& header = *email.add_headers();
  header.set_name(text.substr(0, colon));
  const size_t value = text.find_first_not_of(' ', colon + 1);
  if (value != std::string::npos) header.set_value(text.substr(value));
  return absl::OkStatus();
}

void ApplyDsn(const EmailFlags& flags, v1::Dsn& dsn) {
  if (!flags.notify.empty()) dsn.clear_notify();
  for (const std::string& word : flags.notify) {
    dsn.add_notify(word == "success"   ? v1::NOTIFY_ON_SUCCESS
                   : word == "failure" ? v1::NOTIFY_ON_FAILURE
                   : word == "delay"   ? v1::NOTIFY_ON_DELAY
                                       : v1::NOTIFY_ON_NEVER);
  }
  if (flags.return_content) {
    dsn.set_content(*flags.return_content == "full" ? v1::RETURN_CONTENT_FULL
                                                    : v1::RETURN_CONTENT_HEADERS);
  }
  if (flags.envelope_id) dsn.set_envelope_id(*flags.envelope_id);
}

}  // namespace

absl::Status ApplyEmailFlags(const EmailFlags& flags, Environment& environment, v1::Email& email) {
  absl::Status status = ApplyAddresses(flags, email);
  if (!status.ok()) return status;
  if (flags.subject) email.set_subject(*flags.subject);
  if (flags.envelope_sender) email.set_envelope_sender(*flags.envelope_sender);
  if (flags.in_reply_to) email.set_in_reply_to(*flags.in_reply_to);
  if (flags.unsubscribe_url) email.mutable_unsubscribe()->set_url(*flags.unsubscribe_url);
  if (flags.unsubscribe_email) email.mutable_unsubscribe()->set_email(*flags.unsubscribe_email);
  if (flags.one_click) email.mutable_unsubscribe()->set_one_click(true);
  if (flags.priority) {
    email.set_priority(*flags.priority == "high" ? v1::PRIORITY_HIGH : v1::PRIORITY_LOW);
  }
  ApplyDsn(flags, *email.mutable_dsn());
  if (email.dsn().ByteSizeLong() == 0) email.clear_dsn();
  if (flags.require_tls) email.set_require_tls(true);
  if (flags.calendar_file) {
    absl::StatusOr<std::string> object =
        ReadFile(environment, *flags.calendar_file, "--calendar", kMaxRequestBytes);
    if (!object.ok()) return object.status();
    email.set_calendar(*std::move(object));
  }
  status =
      ApplyBody(flags.text, flags.text_file, "--text-file", environment, *email.mutable_text());
  if (!status.ok()) return status;
  status =
      ApplyBody(flags.html, flags.html_file, "--html-file", environment, *email.mutable_html());
  for (const std::string& text : flags.attach) {
    if (status.ok()) status = AddFile("--attach", text, "", environment, email);
  }
  for (const std::string& text : flags.inline_files) {
    if (status.ok()) status = AddInline(text, environment, email);
  }
  for (const std::string& text : flags.header) {
    if (status.ok()) status = AddHeader(text, email);
  }
  return status;
}

std::string GuessContentType(std::string_view filename) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".csv", "text/csv"},
      {".gif", "image/gif"},
      {".gz", "application/gzip"},
      {".htm", "text/html"},
      {".html", "text/html"},
      {".ics", "text/calendar"},
      {".jpeg", "image/jpeg"},
      {".jpg", "image/jpeg"},
      {".json", "application/json"},
      {".md", "text/markdown"},
      {".mp4", "video/mp4"},
      {".pdf", "application/pdf"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"},
      {".txt", "text/plain"},
      {".webp", "image/webp"},
      {".xml", "application/xml"},
      {".zip", "application/zip"},
      {".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
      {".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
      {".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
  };
  std::string extension = std::filesystem::path(filename).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const auto& [known, type] : kTypes) {
    if (extension == known) return std::string(type);
  }
  return "";
}

}  // namespace sendstep::cli
