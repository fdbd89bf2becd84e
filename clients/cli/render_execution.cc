// What the ledger knows, for people.
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "clients/cli/failure.h"
#include "clients/cli/render.h"
#include "clients/cli/words.h"

namespace sendstep::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using google::protobuf::util::TimeUtil;

std::string RecipientText(const v1::RecipientResult& recipient) {
  return recipient.email().empty() ? "recipient " + std::to_string(recipient.index())
                                   : Shown(recipient.email());
}

std::string Paint(v1::RecipientStatus status, const std::string& text, const Style& style) {
  if (status == v1::RECIPIENT_STATUS_ACCEPTED) return style.Good(text);
  return status == v1::RECIPIENT_STATUS_REJECTED ? style.Bad(text) : style.Odd(text);
}

int CountAccepted(const v1::Execution& execution) {
  const auto& all = execution.recipients();
  return static_cast<int>(std::count_if(all.begin(), all.end(), [](const auto& recipient) {
    return recipient.status() == v1::RECIPIENT_STATUS_ACCEPTED;
  }));
}

std::string Headline(const v1::Execution& execution, const Style& style) {
  const int accepted = CountAccepted(execution);
  const int all = execution.recipients_size();
  const std::string of = std::to_string(accepted) + " of " + std::to_string(all) + " recipients";
  switch (execution.state()) {
    case v1::EXECUTION_STATE_RESERVED:
      return style.Odd("in progress") + ": nothing of this attempt was delivered yet";
    case v1::EXECUTION_STATE_COMMITTING:
      return style.Odd("in progress") + ": the end of the message may have been sent, the " +
             "provider's answer is awaited";
    case v1::EXECUTION_STATE_SENT:
      if (accepted < all) return style.Odd("partially sent") + ": to " + of;
      return style.Good("sent") + " to " + std::to_string(all) +
             (all == 1 ? " recipient" : " recipients");
    case v1::EXECUTION_STATE_PENDING:
      return style.Odd("not sent to everyone yet") + ": to " + of;
    case v1::EXECUTION_STATE_FAILED:
      return style.Bad("not sent") + ": nobody has it";
    case v1::EXECUTION_STATE_UNCERTAIN:
      return style.Odd("uncertain") + ": it may have been sent";
    default:
      return style.Odd("unknown state") + " " + Shown(Word(execution.state()));
  }
}

// What another call with the request_id comes to, where that is not just the stored outcome.
std::string NextCall(v1::ExecutionState state) {
  switch (state) {
    case v1::EXECUTION_STATE_RESERVED:
    case v1::EXECUTION_STATE_COMMITTING:
      return "waits for the end of this one and gets its outcome";
    case v1::EXECUTION_STATE_PENDING:
      return "sends to those who were refused for now, and to nobody twice";
    case v1::EXECUTION_STATE_FAILED:
      return "sends, with whatever settings and email it brings";
    default:
      return "";
  }
}

}  // namespace

std::string RenderRecipients(
    const google::protobuf::RepeatedPtrField<v1::RecipientResult>& recipients, const Style& style) {
  size_t status_width = 0;
  size_t width = 0;
  for (const auto& r : recipients) {
    status_width = std::max(status_width, LowerWord(r.status()).size());
    width = std::max(width, Width(RecipientText(r)));
  }
  std::string text;
  for (const auto& r : recipients) {
    const bool replied = r.has_reply() && r.reply().code() != 0;
    text += "  " + Paint(r.status(), Padded(LowerWord(r.status()), status_width), style) + "  " +
            Padded(RecipientText(r), width) + (replied ? "  " + ReplyText(r.reply()) : "") + "\n";
  }
  return text;
}

std::string RenderExecution(const v1::Execution& execution, const Style& style) {
  Rows rows;
  const auto row = [&rows](const char* name, std::string value) {
    if (!value.empty()) rows.push_back({name, std::move(value)});
  };
  const auto time = [&row](const char* name, bool known, const google::protobuf::Timestamp& at) {
    if (known) row(name, TimeUtil::ToString(at));
  };
  row("request id", Shown(execution.request_id()));
  row("attempts", std::to_string(execution.attempts()));
  time("first seen", execution.has_created_at(), execution.created_at());
  time("last change", execution.has_updated_at(), execution.updated_at());
  time("accepted", execution.has_accepted_at(), execution.accepted_at());
  row("message id", Shown(execution.message_id()));
  row("provider's id", Shown(execution.provider_message_id()));
  if (execution.has_last_reply()) row("server said", ReplyText(execution.last_reply()));
  if (execution.size_bytes() > 0) row("size", std::to_string(execution.size_bytes()) + " bytes");
  row("reason", Shown(execution.reason()));
  row("next call", NextCall(execution.state()));
  if (execution.state() == v1::EXECUTION_STATE_UNCERTAIN) {
    for (auto& way : WaysOutOfUncertain(execution.request_id())) rows.push_back(std::move(way));
  }
  return Headline(execution, style) + "\n" + RenderRecipients(execution.recipients(), style) +
         Table(rows, "  ");
}

std::string RenderExecutions(const v1::ListExecutionsResponse& answer) {
  Rows rows = {{"STATE", "LAST CHANGE", "ATTEMPTS", "ACCEPTED", "REASON", "REQUEST ID"}};
  for (const auto& e : answer.executions()) {
    rows.push_back({LowerWord(e.state()), TimeUtil::ToString(e.updated_at()),
                    std::to_string(e.attempts()),
                    std::to_string(CountAccepted(e)) + "/" + std::to_string(e.recipients_size()),
                    e.reason().empty() ? "-" : Shown(e.reason()), Shown(e.request_id())});
  }
  return Table(rows);
}

}  // namespace sendstep::cli
