#include <string>
#include <vector>

#include "clients/cli/render.h"
#include "clients/cli/words.h"

namespace sendstep::cli {
namespace {

using google::protobuf::RepeatedPtrField;

// A tree as lines: every branch is a line and what hangs below it.
struct Branch {
  std::string line;
  std::vector<Branch> children;
};

void Draw(const std::vector<Branch>& branches, const std::string& indent, std::string& out) {
  for (size_t i = 0; i < branches.size(); ++i) {
    const bool last = i + 1 == branches.size();
    out += indent + (last ? "└─ " : "├─ ") + branches[i].line + "\n";
    Draw(branches[i].children, indent + (last ? "   " : "│  "), out);
  }
}

std::string Mark(v1::CanPass can, const Style& style) {
  switch (can) {
    case v1::CAN_PASS_YES:
      return style.Good("can pass");
    case v1::CAN_PASS_NO:
      return style.Bad("cannot pass");
    default:
      return style.Odd("unknown");
  }
}

std::string Quoted(const std::string& text) { return "\"" + Shown(text) + "\""; }

Branch SpfBranch(const v1::SpfNode& node, const Style& style) {
  Branch branch;
  branch.line = Shown(node.via().empty() ? node.domain() : node.via());
  branch.line +=
      "  " + (node.record().empty() ? style.Odd("no SPF record") : Quoted(node.record()));
  if (node.lookups() > 0) {
    const std::string count =
        std::to_string(node.lookups()) + (node.via().empty()    ? " of 10 lookups"
                                          : node.lookups() == 1 ? " lookup"
                                                                : " lookups");
    branch.line += "  " + (node.lookups() > 10 ? style.Bad(count) : style.Dim(count));
  }
  if (node.dead()) branch.line += "  " + style.Odd("never reached");
  for (const v1::SpfNode& child : node.children()) {
    branch.children.push_back(SpfBranch(child, style));
  }
  return branch;
}

Branch DkimBranch(const v1::DkimSelectorSeen& key, const Style& style) {
  std::string line = Shown(key.name());
  for (const std::string& alias : key.aliases()) line += " -> " + Shown(alias);
  line += "  " + (key.usable()  ? style.Good("a usable key")
                  : key.found() ? style.Bad("no usable key")
                                : style.Odd("nothing there"));
  return {line, {}};
}

Branch PolicyBranch(const v1::Deliverability& answer, const Style& style) {
  const v1::DmarcSeen& policy = answer.dmarc_policy();
  Branch branch{style.Strong("DMARC") + " " + Mark(answer.dmarc(), style), {}};
  branch.children.push_back({policy.name().empty()
                                 ? style.Odd("no policy")
                                 : Shown(policy.name()) + "  " + Quoted(policy.record()),
                             {}});
  if (!policy.organizational_domain().empty() &&
      policy.organizational_domain() != answer.domain()) {
    branch.children.push_back(
        {"organizational domain " + Shown(policy.organizational_domain()), {}});
  }
  return branch;
}

Branch FindingBranch(const v1::DnsFinding& finding, const Style& style) {
  const std::string word = finding.severity() == v1::DNS_SEVERITY_ERROR     ? style.Bad("error")
                           : finding.severity() == v1::DNS_SEVERITY_WARNING ? style.Odd("warning")
                                                                            : style.Dim("info");
  Branch branch{word + " " + Shown(finding.id()) + ": " + Shown(finding.message()), {}};
  if (!finding.what_to_do().empty()) branch.children.push_back({Shown(finding.what_to_do()), {}});
  return branch;
}

std::string FixText(const v1::DnsFix& fix, const Style& style) {
  std::string out = "  " + style.Strong(LowerWord(fix.action())) + " " + Shown(fix.type()) + "\n";
  out += "    name   " + Shown(fix.name()) + "\n";
  out += "    value  " + Shown(fix.value()) + "\n";
  out += "    " + Shown(fix.why());
  if (fix.from_account()) {
    const bool star = (fix.name() + fix.value()).find('*') != std::string::npos;
    out += star ? " Your account shows what * stands for." : " Your account shows the key.";
  }
  out += "\n";
  if (!fix.doc_url().empty()) out += "    " + style.Dim(Shown(fix.doc_url())) + "\n";
  return out;
}

}  // namespace

std::string RenderDeliverability(const v1::Deliverability& answer, const Style& style) {
  std::string out = Shown(answer.summary()) + "\n";
  std::vector<Branch> branches;
  for (const v1::AuthenticatedIdentifier& identifier : answer.identifiers()) {
    const bool spf = identifier.mechanism() == "spf";
    Branch branch{style.Strong(spf ? "SPF" : "DKIM") + " " + Mark(identifier.can_pass(), style) +
                      ": " + Shown(identifier.why()),
                  {}};
    if (spf) branch.children.push_back(SpfBranch(answer.spf(), style));
    if (!spf) {
      for (const v1::DkimSelectorSeen& key : answer.dkim()) {
        branch.children.push_back(DkimBranch(key, style));
      }
    }
    branches.push_back(branch);
  }
  branches.push_back(PolicyBranch(answer, style));
  Branch findings{style.Strong("Findings"), {}};
  for (const v1::DnsFinding& finding : answer.findings()) {
    findings.children.push_back(FindingBranch(finding, style));
  }
  if (!findings.children.empty()) branches.push_back(findings);
  Draw(branches, "", out);
  if (!answer.fixes().empty()) out += "\nTo publish:\n";
  for (const v1::DnsFix& fix : answer.fixes()) out += FixText(fix, style);
  out += style.Dim("\n" + std::to_string(answer.queries()) + " DNS questions") + "\n";
  return out;
}

}  // namespace sendstep::cli
