// sendstep providers [NAME]: the mail providers that the server knows.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "clients/cli/commands.h"
#include "clients/cli/render.h"
#include "providers/edit_distance.h"

namespace sendstep::cli {
namespace {

// The provider or alias that `name` may have been meant to be; empty: none is near.
std::string Nearest(const v1::DescribeResponse& answer, const std::string& name) {
  const std::string wanted = absl::AsciiStrToLower(name.substr(0, 64));
  std::string nearest;
  size_t least = std::min<size_t>(3, wanted.size());
  const auto consider = [&](const std::string& known) {
    const size_t distance = providers::EditDistance(wanted, known);
    if (distance >= least) return;
    least = distance;
    nearest = known;
  };
  for (const auto& p : answer.providers()) {
    consider(p.id());
    for (const std::string& alias : p.aliases()) consider(alias);
  }
  return nearest;
}

const v1::ProviderInfo* Find(const v1::DescribeResponse& answer, const std::string& name) {
  for (const auto& p : answer.providers()) {
    const auto& aliases = p.aliases();
    if (p.id() == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end()) {
      return &p;
    }
  }
  return nullptr;
}

void Providers(const std::string& name, Session& session) {
  v1::DescribeResponse answer;
  if (!session.Call(&v1::EmailAction::Stub::Describe, v1::DescribeRequest(), &answer,
                    "no providers")) {
    return;
  }
  if (name.empty()) {
    v1::DescribeResponse providers;  // the JSON of this verb holds nothing else
    *providers.mutable_providers() = answer.providers();
    session.Answer(
        session.options().json ? providers : answer,
        [&] { return RenderProviders(answer, session.style()); }, ExitCode::kOk);
    return;
  }
  const v1::ProviderInfo* provider = Find(answer, name);
  if (!provider) {
    const std::string nearest = Nearest(answer, name);
    const std::string hint =
        nearest.empty() ? "see: sendstep providers" : "did you mean \"" + nearest + "\"?";
    return session.Report(FromInput(absl::NotFoundError("no provider \"" + name + "\"; " + hint)),
                          "unknown");
  }
  session.Answer(
      *provider, [&] { return RenderProvider(*provider, session.style()); }, ExitCode::kOk);
}

}  // namespace

void AddProviders(CLI::App& app, Session& session) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("providers", "List the mail providers, or show one");
  verb->add_option("name", *name, "Provider or alias")->type_name("NAME");
  verb->callback([name, &session] { Providers(*name, session); });
}

}  // namespace sendstep::cli
