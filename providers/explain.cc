#include "providers/explain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "providers/explain_policy.h"
#include "providers/pattern.h"

namespace sendstep::providers {
namespace {

using profile::v1::Explanation;
using std::chrono::milliseconds;

// Patterns are searched in this much of a reply.
constexpr size_t kMaxPatternText = 4096;
constexpr size_t kMaxMessageId = 256;

Fault FaultOf(profile::v1::Fault fault) {
  switch (fault) {
    case profile::v1::FAULT_CONFIG:
      return Fault::kConfig;
    case profile::v1::FAULT_NETWORK:
      return Fault::kNetwork;
    default:
      return Fault::kProvider;
  }
}

// What a refused login says of passwords, where a token was given.
bool IsAboutPasswords(const Explanation& explanation) {
  return explanation.reason() == "AUTH_REFUSED" || explanation.reason() == "APP_PASSWORD_REQUIRED";
}

const Explanation* FindExplanation(const Resolved& resolved, base::Stage stage,
                                   const std::string& text) {
  const std::string stage_name(base::StageName(stage));
  for (const Explanation& explanation : resolved.profile->explanations()) {
    if (HasToken(resolved) && IsAboutPasswords(explanation)) continue;
    const auto& stages = explanation.stages();
    if (!stages.empty() && std::count(stages.begin(), stages.end(), stage_name) == 0) continue;
    if (re2::RE2::PartialMatch(text, CachedPattern(explanation.pattern()))) return &explanation;
  }
  return nullptr;
}

// A profile's row, under the two rules that no profile changes: a 5xx to AUTH is final, and a
// passing failure of AUTH rests for a minute.
Explained FromProfile(const Explanation& explanation, base::Stage stage, const base::Reply& reply) {
  Explained explained = Permanent(explanation.reason(), FaultOf(explanation.fault()),
                                  explanation.meaning(), explanation.what_to_do());
  explained.doc_url = explanation.doc_url();
  const bool auth = stage == base::Stage::kAuth;
  if (!explanation.retryable() || (auth && reply.Permanent())) return explained;
  explained.retryable = Retryable::kTrue;
  explained.retry_after = std::chrono::seconds(explanation.retry_after_seconds());
  if (explained.retry_after.count() == 0) explained.retry_after = kThrottleDelay;
  if (auth) explained.retry_after = std::max<milliseconds>(explained.retry_after, kAuthDelay);
  return explained;
}

Explained Uncertain(const base::Error& error, const Resolved& resolved) {
  Explained explained;
  explained.reason = "DELIVERY_UNCERTAIN";
  explained.fault = Fault::kNetwork;
  explained.retryable = Retryable::kUncertain;
  std::string missing = "its answer never came";
  if (error.cause == base::Cause::kProtocol) {
    explained.fault = Fault::kProvider;
    missing = absl::StrCat("its answer makes no sense (", error.detail, ")");
  } else if (error.cause == base::Cause::kStopped) {
    explained.fault = Fault::kPlugin;
    missing = "sendstep was stopped before its answer came";
  }
  explained.message =
      absl::StrCat("The whole email was sent to ", Endpoint(resolved), ", but ", missing,
                   ": it may have been accepted, and nobody can know from here.");
  explained.what_to_do =
      "Look for the Message-ID in the provider's log or in the mailbox before sending again: "
      "another try "
      "may deliver the email twice.";
  return explained;
}

// The reply that decides: the error's, else that of the first recipient refused.
const base::Reply* DecidingReply(const base::Error& error) {
  if (error.reply) return &*error.reply;
  for (const base::RecipientOutcome& recipient : error.recipients) {
    if (!recipient.accepted) return &recipient.reply;
  }
  return nullptr;
}

Explained ExplainError(const base::Error& error, const Resolved& resolved) {
  if (error.error_class == base::ErrorClass::kUncertain) return Uncertain(error, resolved);
  const bool refused =
      error.cause == base::Cause::kRefused || error.cause == base::Cause::kGreetingRefused;
  const base::Reply* reply = refused ? DecidingReply(error) : nullptr;
  if (reply == nullptr) return ExplainCause(error, resolved);
  if (resolved.profile != nullptr) {
    const std::string text = PatternText(*reply);
    if (const Explanation* known = FindExplanation(resolved, error.stage, text)) {
      return FromProfile(*known, error.stage, *reply);
    }
  }
  return ExplainReply(error, *reply, resolved);
}

}  // namespace

bool HasToken(const Resolved& resolved) {
  const auto& credentials = resolved.settings.credentials;
  return credentials && !credentials->oauth2_token.empty();
}

std::string Endpoint(const Resolved& resolved) {
  const std::string& host = resolved.settings.host;
  const bool v6 = host.find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", host.empty() ? "the server" : host, v6 ? "]" : "", ":",
                      resolved.settings.port);
}

Explained Permanent(std::string reason, Fault fault, std::string message, std::string what_to_do) {
  Explained explained;
  explained.reason = std::move(reason);
  explained.fault = fault;
  explained.message = std::move(message);
  explained.what_to_do = std::move(what_to_do);
  return explained;
}

Explained Passing(std::string reason, Fault fault, milliseconds retry_after, std::string message,
                  std::string what_to_do) {
  Explained explained =
      Permanent(std::move(reason), fault, std::move(message), std::move(what_to_do));
  explained.retryable = Retryable::kTrue;
  explained.retry_after = retry_after;
  return explained;
}

Explained Explain(const base::Error& error, const Resolved& resolved) {
  Explained explained = ExplainError(error, resolved);
  if (explained.doc_url.empty() && resolved.profile != nullptr) {
    explained.doc_url = resolved.profile->doc_url();
  }
  return explained;
}

std::string PatternText(const base::Reply& reply) {
  std::string text = absl::StrCat(reply.code);
  if (!reply.enhanced_code.empty()) absl::StrAppend(&text, " ", reply.enhanced_code);
  absl::StrAppend(&text, " ", reply.Text(kMaxPatternText));
  return text;
}

std::string ProviderMessageId(const Profile& profile, const base::Reply& final_reply) {
  const std::string text = final_reply.Text();
  for (const auto& known : profile.message_ids()) {
    std::string id;
    if (re2::RE2::PartialMatch(text, CachedPattern(known.pattern()), &id) && !id.empty()) {
      return id.size() <= kMaxMessageId ? id : "";
    }
  }
  return "";
}

}  // namespace sendstep::providers
