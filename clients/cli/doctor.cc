// sendstep doctor: can mail from a domain through a provider arrive, and why did it not? Asks DNS
// itself, without a server.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "clients/cli/commands.h"
#include "clients/cli/render.h"
#include "plugin/deliverability_mapping.h"
#include "providers/doctor/run.h"

namespace sendstep::cli {
namespace {

struct DoctorOptions {
  doctor::DomainRequest domain;
  doctor::SpfRequest spf;
  doctor::DnsSettings dns;
};

// --timeout is for a server's answer; DNS that does not answer in kMaxDnsTime never does.
doctor::DnsSettings DnsOf(const DoctorOptions& options, Session& session) {
  constexpr std::chrono::milliseconds kMaxDnsTime{20'000};
  doctor::DnsSettings dns = options.dns;
  const std::chrono::duration<double> allowed(session.options().timeout);
  dns.time = std::min(kMaxDnsTime, std::chrono::duration_cast<std::chrono::milliseconds>(allowed));
  return dns;
}

void Diagnose(const DoctorOptions& options, Session& session) {
  const auto diagnosis = doctor::RunDiagnosis(options.domain, DnsOf(options, session));
  if (!diagnosis.ok()) return session.Report(FromInput(diagnosis.status()), "not diagnosed");
  const v1::Deliverability answer = plugin::ToDeliverability(*diagnosis);
  const bool refused = diagnosis->verdict.dmarc == doctor::CanPass::kNo;
  session.Answer(
      answer, [&] { return RenderDeliverability(answer, session.style()); },
      refused ? ExitCode::kInvalidInput : ExitCode::kOk);
}

// One line for scripts: the result, and for people why.
void CheckSpf(const DoctorOptions& options, Session& session) {
  const auto verdict = doctor::RunSpf(options.spf, DnsOf(options, session));
  if (!verdict.ok()) return session.Report(FromInput(verdict.status()), "not checked");
  const std::string& why = verdict->explanation.empty() ? verdict->reason : verdict->explanation;
  session.environment().out << mailauth::SpfResultName(verdict->result) << " " << Shown(why)
                            << "\n";
  session.Exit(ExitCode::kOk);
}

void AddDnsServer(CLI::App& verb, DoctorOptions& options) {
  verb.add_option(
          "--dns-server", options.dns.servers,
          "DNS server to ask, ADDR, ADDR:PORT or [V6]:PORT, several by comma; else those of "
          "resolv.conf")
      ->type_name("ADDR:PORT");
}

void AddSpf(CLI::App& group, const std::shared_ptr<DoctorOptions>& options, Session& session) {
  CLI::App* verb = group.add_subcommand(
      "spf", "The result of SPF for one sending address (RFC 7208), as one line for scripts");
  verb->add_option("--ip", options->spf.ip, "Address of the sending host")
      ->type_name("IP")
      ->required();
  verb->add_option("--sender", options->spf.sender, "Envelope sender; empty: postmaster@HELO")
      ->type_name("ADDRESS");
  verb->add_option("--helo", options->spf.helo, "What the host says in HELO or EHLO")
      ->type_name("NAME");
  AddDnsServer(*verb, *options);
  verb->callback([options, &session] { CheckSpf(*options, session); });
}

}  // namespace

void AddDoctor(CLI::App& app, Session& session) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* group = app.add_subcommand(
      "doctor", "Can mail from a domain arrive, and what is to be changed in DNS; asks DNS itself");
  CLI::Option* domain =
      group->add_option("DOMAIN", options->domain.domain, "Domain of the From address");
  group->add_option("--provider", options->domain.provider, "Provider, e.g. sendgrid")
      ->type_name("NAME");
  group->add_option("--selector", options->domain.selectors, "DKIM selector the account shows")
      ->type_name("NAME");
  group
      ->add_option("--envelope-domain", options->domain.envelope_domain,
                   "Domain of the envelope sender, where it is another")
      ->type_name("DOMAIN");
  group->add_option("--ip", options->domain.ip, "Address that mail leaves from, where known")
      ->type_name("IP");
  group->add_option("--helo", options->domain.helo, "HELO name of that address")->type_name("NAME");
  AddDnsServer(*group, *options);
  group->require_subcommand(0, 1);
  AddSpf(*group, options, session);
  AddDoctorExplain(*group, session);
  group->callback([options, group, domain, &session] {
    if (!group->get_subcommands().empty()) return;
    if (domain->empty()) throw CLI::RequiredError("DOMAIN, or one of: spf, explain");
    Diagnose(*options, session);
  });
}

}  // namespace sendstep::cli
