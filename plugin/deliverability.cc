#include "plugin/deliverability.h"

#include <boost/asio/this_coro.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "plugin/limits.h"
#include "providers/doctor/diagnose.h"
#include "transport/dns/inquiry.h"

namespace sendstep::plugin {
namespace {

bool IsLiteral(const std::string& domain) { return absl::StartsWith(domain, "["); }

}  // namespace

std::optional<doctor::Question> DeliverabilityOf(const Account& account,
                                                 const providers::Registry& registry,
                                                 const base::Address& from,
                                                 const std::optional<base::Address>& sender) {
  const providers::Profile* profile = account.resolved.profile;
  const bool kept = account.is_sandbox || (profile != nullptr && profile->id() == "sandbox");
  if (kept || IsLiteral(from.domain())) return std::nullopt;
  doctor::Question question;
  question.from_domain = from.domain();
  question.helo = account.resolved.settings.ehlo_name;
  const std::string& envelope = sender ? sender->domain() : question.helo;
  if (!IsLiteral(envelope)) question.envelope_domain = envelope;
  question.profile = profile;
  question.mailbox_provider = registry.FindByMailDomain(from.domain());
  for (const mime::DkimKey& key : account.dkim) question.selectors.push_back(key.selector());
  question.selectors.insert(question.selectors.end(), account.dkim_selectors.begin(),
                            account.dkim_selectors.end());
  question.signs_itself = !account.dkim.empty() && (profile == nullptr || !profile->has_dns());
  return question;
}

boost::asio::awaitable<doctor::Diagnosis> DiagnoseInTime(dns::Lookup& lookup,
                                                         doctor::Question question,
                                                         base::Deadline deadline) {
  const auto executor = co_await boost::asio::this_coro::executor;
  dns::Budget budget;
  budget.deadline = deadline.Within(kDiagnosisTime);
  dns::Inquiry inquiry(executor, lookup, budget);
  doctor::Diagnosis diagnosis = co_await doctor::Diagnose(inquiry, std::move(question));
  co_return diagnosis;
}

}  // namespace sendstep::plugin
