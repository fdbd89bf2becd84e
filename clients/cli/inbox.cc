// sendstep inbox list|show: the mail that the sandbox kept, read from its Maildir on this machine.
#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "clients/cli/commands.h"
#include "clients/cli/mail_text.h"
#include "clients/cli/maildir.h"

namespace sendstep::cli {
namespace {

constexpr size_t kMaxHeaderBytes = 256 * 1024;
constexpr size_t kMaxMailBytes = 64 * 1024 * 1024;
// Of the table: what a terminal shows. JSON has all of it.
constexpr size_t kMaxColumn = 40;
constexpr size_t kMaxSubject = 60;

struct InboxOptions {
  std::string maildir;  // empty: ask the server
  std::string id = "last";
  bool headers = false;
  bool raw = false;
};

std::string LocalTime(std::chrono::system_clock::time_point at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts = {};
  char text[32] = "";
  if (localtime_r(&seconds, &parts)) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

// As many recipients as fit the column, then how many more there are.
std::string RecipientsText(const std::vector<std::string>& recipients) {
  std::string text;
  for (size_t i = 0; i < recipients.size(); ++i) {
    const size_t after = recipients.size() - i - 1;
    const std::string more = after == 0 ? "" : ", +" + std::to_string(after) + " more";
    if (i == 0) {
      text = Clipped(Shown(recipients[i]), kMaxColumn - more.size());
      continue;
    }
    const std::string longer = text + ", " + Shown(recipients[i]);
    if (Width(longer + more) > kMaxColumn) {
      return text + ", +" + std::to_string(after + 1) + " more";
    }
    text = longer;
  }
  return text;
}

std::string Dump(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Where the mail is; empty: the failure is reported.
std::string FindMaildir(const InboxOptions& options, Session& session) {
  if (!options.maildir.empty()) return options.maildir;
  v1::DescribeResponse server;
  if (!session.Call(&v1::EmailAction::Stub::Describe, v1::DescribeRequest(), &server, "no inbox")) {
    return "";
  }
  if (!server.sandbox().maildir().empty()) return server.sandbox().maildir();
  session.Report(
      FromInput(absl::NotFoundError("this server keeps no sandbox (sendstepd --sandbox)")),
      "no inbox");
  return "";
}

// The mails, oldest first; nothing: the failure is reported.
absl::StatusOr<std::vector<StoredMail>> List(const InboxOptions& options, Session& session) {
  const std::string maildir = FindMaildir(options, session);
  if (maildir.empty()) return absl::AbortedError("reported");
  auto mails = ListMaildir(maildir);
  if (!mails.ok()) session.Report(FromInput(mails.status()), "no inbox");
  return mails;
}

void ListInbox(const InboxOptions& options, Session& session) {
  const auto mails = List(options, session);
  if (!mails.ok()) return;
  std::vector<std::vector<std::string>> rows = {{"ID", "DATE", "FROM", "TO", "SUBJECT"}};
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const StoredMail& mail : *mails) {
    const absl::StatusOr<std::string> head = ReadMail(mail, kMaxHeaderBytes);
    if (!head.ok()) continue;  // gone since
    const auto fields = HeaderFields(*head);
    const std::string from = HeaderValue(fields, "From");
    const std::string to = HeaderValue(fields, "To");
    const std::string subject = HeaderValue(fields, "Subject");
    rows.push_back({Shown(mail.id), LocalTime(mail.stored_at), Clipped(Shown(from), kMaxColumn),
                    RecipientsText(HeaderList(fields, "To")),
                    Clipped(Shown(subject), kMaxSubject)});
    json.push_back({{"id", mail.id},
                    {"date", HeaderValue(fields, "Date")},
                    {"from", from},
                    {"to", to},
                    {"subject", subject},
                    {"path", mail.path.string()},
                    {"size", mail.size}});
  }
  Environment& environment = session.environment();
  if (session.options().json) {
    environment.out << Dump(json);
  } else if (rows.size() == 1) {
    environment.err << "no mail yet\n";
  } else {
    environment.out << Table(rows);
  }
}

std::string ShowJson(const StoredMail& mail, const std::string& source) {
  nlohmann::ordered_json headers = nlohmann::ordered_json::array();
  for (const auto& [name, value] : HeaderFields(source)) {
    headers.push_back({{"name", name}, {"value", DecodeWords(value)}});
  }
  return Dump(
      {{"id", mail.id}, {"path", mail.path.string()}, {"headers", headers}, {"source", source}});
}

void ShowMail(const InboxOptions& options, Session& session) {
  const auto mails = List(options, session);
  if (!mails.ok()) return;
  const absl::StatusOr<StoredMail> mail = FindMail(*mails, options.id);
  if (!mail.ok()) return session.Report(FromInput(mail.status()), "no mail");
  absl::StatusOr<std::string> source = ReadMail(*mail, kMaxMailBytes);
  if (!source.ok()) return session.Report(FromInput(source.status()), "no mail");
  if (options.headers) source = std::string(HeaderSection(*source));
  std::ostream& out = session.environment().out;
  if (session.options().json) {
    out << ShowJson(*mail, *source);
  } else {
    out << (options.raw ? *source : ShownLines(*source));
  }
}

}  // namespace

void AddInbox(CLI::App& app, Session& session) {
  auto options = std::make_shared<InboxOptions>();
  CLI::App* inbox = app.add_subcommand("inbox", "Read the mail that the sandbox kept");
  inbox->require_subcommand(1);
  inbox->add_option("--maildir", options->maildir, "Read this Maildir and ask no server")
      ->type_name("PATH");
  CLI::App* list = inbox->add_subcommand("list", "One line per mail, newest last");
  list->fallthrough();
  list->callback([options, &session] { ListInbox(*options, session); });
  CLI::App* show = inbox->add_subcommand("show", "One mail as it was received");
  show->fallthrough();
  show->add_option("id", options->id, "Mail, or the start of its id; else the last")
      ->type_name("ID|last");
  show->add_flag("--headers", options->headers, "Only the header section");
  show->add_flag("--raw", options->raw, "The bytes as they are, control characters and all");
  show->callback([options, &session] { ShowMail(*options, session); });
}

}  // namespace sendstep::cli
