// sendstep doctor explain: what a bounce, a received message or a reply says, and what to do.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "clients/cli/commands.h"
#include "providers/doctor/aftermath.h"

namespace sendstep::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const doctor::Aftermath& aftermath) {
  Json events = Json::array();
  for (const doctor::Event& event : aftermath.events) {
    events.push_back({{"recipient", event.recipient},
                      {"reply", event.reply},
                      {"saidBy", event.said_by},
                      {"meaning", event.meaning},
                      {"side", doctor::SideName(event.side)},
                      {"final", event.final},
                      {"whatToDo", event.what_to_do},
                      {"docUrl", event.doc_url}});
  }
  Json authentication = Json::array();
  for (const doctor::Authentication& found : aftermath.authentication) {
    authentication.push_back({{"method", found.method},
                              {"result", found.result},
                              {"domain", found.domain},
                              {"why", found.why}});
  }
  return {{"kind", doctor::KindName(aftermath.kind)},
          {"summary", aftermath.summary},
          {"receiver", aftermath.receiver},
          {"events", std::move(events)},
          {"authentication", std::move(authentication)}};
}

std::string Render(const doctor::Event& event, const Style& style) {
  std::string out;
  if (!event.recipient.empty()) out += style.Strong(Shown(event.recipient)) + "\n";
  if (!event.reply.empty()) {
    out += "  " + Shown(event.reply);
    if (!event.said_by.empty()) out += style.Dim("  (" + Shown(event.said_by) + ")");
    out += "\n";
  }
  out += "  " + Shown(event.meaning) + "\n";
  out += "  whose it is: " + doctor::SideName(event.side) + "\n";
  out += "  what to do: " + Shown(event.what_to_do) + "\n";
  if (!event.doc_url.empty()) out += "  " + style.Dim(Shown(event.doc_url)) + "\n";
  return out;
}

std::string Render(const doctor::Aftermath& aftermath, const Style& style) {
  std::string out = Shown(aftermath.summary) + "\n";
  if (!aftermath.authentication.empty()) {
    out += "  found by " +
           (aftermath.receiver.empty() ? "the receiver" : Shown(aftermath.receiver)) + ":\n";
  }
  for (const doctor::Authentication& found : aftermath.authentication) {
    const std::string result = found.result.empty() ? "not said" : Shown(found.result);
    out += "    " + Padded(found.method, 6) +
           (found.result == "pass" ? style.Good(result) : style.Odd(result));
    if (!found.domain.empty()) out += "  " + Shown(found.domain);
    if (!found.why.empty()) out += style.Dim("  " + Shown(found.why));
    out += "\n";
  }
  for (const doctor::Event& event : aftermath.events) out += "\n" + Render(event, style);
  return out;
}

void Explain(const std::string& file, Session& session) {
  Environment& environment = session.environment();
  absl::StatusOr<std::string> text =
      ReadFile(environment, file, "FILE", doctor::kMaxAftermathBytes);
  if (!text.ok()) return session.Report(FromInput(text.status()), "not explained");
  const absl::StatusOr<doctor::Aftermath> aftermath = doctor::ExplainAftermath(*text);
  if (!aftermath.ok()) return session.Report(FromInput(aftermath.status()), "not explained");
  if (session.options().json) {
    environment.out << ToJson(*aftermath).dump(2, ' ', false, Json::error_handler_t::replace)
                    << "\n";
  } else {
    environment.out << Render(*aftermath, session.style());
  }
  session.Exit(ExitCode::kOk);
}

}  // namespace

void AddDoctorExplain(CLI::App& group, Session& session) {
  auto file = std::make_shared<std::string>();
  CLI::App* verb = group.add_subcommand("explain",
                                        "What a bounce, a received message (with its headers) or a "
                                        "pasted SMTP reply says, and what to "
                                        "do");
  verb->add_option("FILE", *file, "The email or the reply; - reads standard input")->required();
  verb->callback([file, &session] { Explain(*file, session); });
}

}  // namespace sendstep::cli
