#include "clients/cli/render.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "clients/cli/failure.h"
#include "clients/cli/words.h"

namespace sendstep::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using google::protobuf::RepeatedPtrField;
using google::protobuf::util::TimeUtil;

// A named fact; left out where there is none.
void Add(Rows& rows, const char* name, std::string value) {
  if (!value.empty()) rows.push_back({name, std::move(value)});
}

std::string TlsText(const v1::TlsInfo& tls) {
  std::string text = Shown(tls.version());
  if (!tls.cipher().empty()) text += " " + Shown(tls.cipher());
  if (!tls.subject().empty()) text += ", certificate of " + Shown(tls.subject());
  if (tls.has_expires_at()) text += " until " + TimeUtil::ToString(tls.expires_at());
  return text;
}

std::string Mark(v1::CheckStatus status, const Style& style) {
  switch (status) {
    case v1::CHECK_STATUS_PASS:
      return style.Good("ok  ");
    case v1::CHECK_STATUS_WARN:
      return style.Odd("warn");
    case v1::CHECK_STATUS_FAIL:
      return style.Bad("FAIL");
    default:
      return style.Dim("-   ");
  }
}

std::string RenderDiagnostics(const RepeatedPtrField<v1::Diagnostic>& diagnostics,
                              const Style& style) {
  std::string text;
  for (const auto& d : diagnostics) {
    text += d.severity() == v1::SEVERITY_ERROR ? style.Bad("error") : style.Odd("warning");
    if (!d.field().empty()) text += " " + style.Strong(Shown(d.field()));
    text += ": " + Shown(d.message()) + "\n";
    if (!d.hint().empty()) text += "  " + Shown(d.hint()) + "\n";
    if (!d.doc_url().empty()) text += "  see " + Shown(d.doc_url()) + "\n";
  }
  return text;
}

// The findings of a test that its result does not hold too.
RepeatedPtrField<v1::Diagnostic> Unsaid(const v1::TestSendResponse& answer) {
  using google::protobuf::util::MessageDifferencer;
  RepeatedPtrField<v1::Diagnostic> unsaid;
  for (const auto& d : answer.diagnostics()) {
    const auto& said = answer.result().warnings();
    const bool same = std::any_of(said.begin(), said.end(), [&d](const v1::Diagnostic& warning) {
      return MessageDifferencer::Equals(warning, d);
    });
    if (!answer.accepted() || !same) *unsaid.Add() = d;
  }
  return unsaid;
}

std::string Headline(const v1::ExecuteResponse& answer, const Style& style) {
  size_t accepted = 0;
  for (const auto& r : answer.recipients()) accepted += r.status() == v1::RECIPIENT_STATUS_ACCEPTED;
  const std::string of = std::to_string(answer.recipients_size());
  switch (answer.outcome()) {
    case v1::OUTCOME_SENT:
      return style.Good("sent") + " to " + of + (of == "1" ? " recipient" : " recipients");
    case v1::OUTCOME_PARTIALLY_SENT:
      return style.Odd("partially sent") + ": to " + std::to_string(accepted) + " of " + of +
             " recipients";
    default:
      return style.Odd("unknown outcome") + " " + Shown(Word(answer.outcome()));
  }
}

std::string RenderNotAccepted(const v1::TestSendResponse& answer, const Style& style) {
  const bool uncertain = answer.failure().retryable() == v1::RETRYABLE_UNCERTAIN;
  std::string text = uncertain ? style.Odd("uncertain") : style.Bad("not accepted");
  text += ": " + Shown(answer.verdict()) + "\n";
  if (!answer.has_failure()) return text;
  const Failure failure = FromAnswer(answer.failure());
  std::string said = answer.verdict();  // and the next steps, which follow
  for (const auto& step : answer.next_steps()) said += "\n" + step;
  if (said.find(failure.message) == std::string::npos) text += Shown(failure.message) + "\n";
  return text + ExplainFurther(failure, said) +
         RenderRecipients(answer.failure().recipients(), style);
}

// The findings of a stage, and the server's words where they refuse or nothing else is known.
std::vector<std::string> WordsOf(const v1::Check& check) {
  std::vector<std::string> words;
  if (!check.detail().empty()) words.push_back(Shown(check.detail()));
  if (words.empty() && check.has_tls()) words.push_back(TlsText(check.tls()));
  const uint32_t code = check.reply().code();
  if (code >= 400 || (code != 0 && words.empty())) words.push_back(ReplyText(check.reply()));
  return words;
}

// What the settings come to, one line: "gmail: smtp.gmail.com port 587, starttls, as
// ann@example.com".
std::string EffectiveText(const v1::SmtpConfig& smtp) {
  std::string text = Shown(smtp.provider()) + (smtp.provider().empty() ? "" : ": ");
  text += Shown(smtp.host()) + " port " + std::to_string(smtp.port()) + ", ";
  text += smtp.tls() == v1::TLS_MODE_OFF ? "plaintext" : LowerWord(smtp.tls());
  if (!smtp.username().empty()) text += ", as " + Shown(smtp.username());
  if (!smtp.domain().empty()) text += ", EHLO " + Shown(smtp.domain());
  return text;
}

}  // namespace

std::string RenderSent(const v1::ExecuteResponse& answer, const Style& style) {
  std::string text = Headline(answer, style);
  if (answer.dedupe() == v1::DEDUPE_REPLAYED) text += " by an earlier call with this request id";
  text += "\n" + RenderRecipients(answer.recipients(), style);
  Rows rows;
  Add(rows, "request id", Shown(answer.request_id()));
  Add(rows, "message id", Shown(answer.message_id()));
  Add(rows, "provider's id", Shown(answer.provider_message_id()));
  if (answer.has_from_used()) Add(rows, "from", MailboxText(answer.from_used()));
  if (answer.has_final_reply()) Add(rows, "server said", ReplyText(answer.final_reply()));
  if (answer.has_tls()) Add(rows, "tls", TlsText(answer.tls()));
  if (answer.size_bytes() > 0) Add(rows, "size", std::to_string(answer.size_bytes()) + " bytes");
  return text + Table(rows, "  ") + RenderDiagnostics(answer.warnings(), style);
}

std::string RenderTimeline(const RepeatedPtrField<v1::Check>& checks, const Style& style) {
  size_t stage_width = 0;
  size_t took_width = 0;
  std::vector<std::string> took;
  for (const auto& check : checks) {
    took.push_back(check.has_took() ? Took(std::chrono::nanoseconds(
                                          TimeUtil::DurationToNanoseconds(check.took())))
                                    : "");
    stage_width = std::max(stage_width, LowerWord(check.stage()).size());
    took_width = std::max(took_width, took.back().size());
  }
  // Where the words start; a second line of them starts there too.
  const std::string indent(2 + stage_width + 2 + 4 + 2 + took_width + 2, ' ');
  std::string text;
  for (int i = 0; i < checks.size(); ++i) {
    const v1::Check& check = checks[i];
    const std::vector<std::string> words = WordsOf(check);
    const std::string& time = took[static_cast<size_t>(i)];
    std::string line = "  " + Padded(LowerWord(check.stage()), stage_width) + "  " +
                       Mark(check.status(), style) + "  " +
                       std::string(took_width - time.size(), ' ') + time;
    for (size_t k = 0; k < words.size(); ++k) {
      line += k == 0 ? "  " + words[k] : "\n" + indent + words[k];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string RenderTest(const v1::TestSendResponse& answer, bool transcript, const Style& style) {
  std::string text = RenderTimeline(answer.checks(), style);
  if (!text.empty()) text += "\n";
  if (answer.accepted()) {
    text += style.Good("accepted") + ": " + Shown(answer.verdict()) + "\n";
    if (answer.has_result()) text += RenderSent(answer.result(), style);
  } else {
    text += RenderNotAccepted(answer, style);
  }
  text += RenderDiagnostics(Unsaid(answer), style);
  if (answer.next_steps_size() > 0) text += "\n" + style.Strong("next steps") + "\n";
  for (int i = 0; i < answer.next_steps_size(); ++i) {
    text += "  " + std::to_string(i + 1) + ". " + Shown(answer.next_steps(i)) + "\n";
  }
  if (answer.has_deliverability()) {
    text += "\n" + style.Strong("deliverability") + "\n" +
            RenderDeliverability(answer.deliverability(), style);
  }
  if (transcript) {
    text += "\n" + style.Strong("dialog") + "\n";
    for (const auto& line : answer.transcript()) text += "  " + Shown(line) + "\n";
  }
  return text;
}

std::string RenderValidation(const v1::ValidateConfigResponse& answer, const Style& style) {
  std::string text = answer.valid() ? style.Good("valid") : style.Bad("not valid");
  if (answer.has_effective() && !answer.effective().host().empty()) {
    text += "  " + EffectiveText(answer.effective());
  }
  text += "\n" + RenderDiagnostics(answer.diagnostics(), style);
  text += RenderTimeline(answer.checks(), style);
  if (answer.has_failure()) {
    text += Explain(FromAnswer(answer.failure()), "failed", style);
    text += RenderRecipients(answer.failure().recipients(), style);
  }
  if (answer.has_deliverability()) {
    text += "\n" + RenderDeliverability(answer.deliverability(), style);
  }
  return text;
}

std::string RenderJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return "{}\n";
  return json;
}

}  // namespace sendstep::cli
