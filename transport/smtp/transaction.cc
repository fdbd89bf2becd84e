#include "transport/smtp/transaction.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "transport/base/failpoint.h"
#include "transport/smtp/gate.h"

namespace sendstep::smtp {

using base::Cause;
using base::ErrorClass;
using base::Reply;
using base::Result;
using base::Stage;

namespace {

constexpr int kServiceClosing = 421;
constexpr int kStartMailInput = 354;
// How long a reply may take that the server sent before it stopped reading.
constexpr std::chrono::seconds kEarlyReplyWait{2};
// Of the text of a reply to RCPT that is kept.
constexpr size_t kMaxRecipientReplyBytes = 2048;

bool NeedsSmtpUtf8(const Envelope& envelope) {
  return (envelope.sender && envelope.sender->NeedsSmtpUtf8()) ||
         std::any_of(envelope.recipients.begin(), envelope.recipients.end(),
                     [](const base::Address& address) { return address.NeedsSmtpUtf8(); });
}

}  // namespace

Transaction::Transaction(Dialog& dialog, const Capabilities& capabilities,
                         const StageTimeouts& timeouts, bool rset_first, const SendOptions& options,
                         base::Deadline deadline)
    : dialog_(dialog),
      capabilities_(capabilities),
      timeouts_(timeouts),
      options_(options),
      deadline_(deadline),
      rset_first_(rset_first) {}

asio::awaitable<Result<DeliveryReport>> Transaction::Send(const Envelope& envelope,
                                                          const base::Content& message) {
  dialog_.Enter(Stage::kMailFrom);
  const Result<MailParameters> parameters = Plan(envelope, message);
  if (!parameters) co_return parameters.error();
  auto accepted = co_await SendEnvelope(envelope, *parameters);
  if (!accepted) co_return WithRecipients(accepted.error());
  auto reply = co_await SendData(message);
  if (!reply) co_return WithRecipients(reply.error());
  DeliveryReport report;
  report.recipients = std::move(recipients_);
  report.final_reply = std::move(*reply);
  report.message_bytes = message.size();
  co_return report;
}

asio::awaitable<Result<DeliveryReport>> Transaction::Probe(const Envelope& envelope) {
  dialog_.Enter(Stage::kMailFrom);
  Result<MailParameters> parameters = Plan(envelope, {});
  if (!parameters) co_return parameters.error();
  parameters->size.reset();
  auto accepted = co_await SendEnvelope(envelope, *parameters);
  if (!accepted) co_return WithRecipients(accepted.error());
  DeliveryReport report;
  report.recipients = std::move(recipients_);
  dialog_.Expire(deadline_.Within(timeouts_.rcpt));
  auto reply = co_await dialog_.Ask(std::string(kRsetCommand));
  if (reply) report.final_reply = std::move(*reply);
  refused_ = !Completed(report.final_reply);
  co_return report;
}

Result<MailParameters> Transaction::Plan(const Envelope& envelope,
                                         const base::Content& message) const {
  const MessageTraits traits = Inspect(message);
  const auto impossible = [this](Cause cause, std::string_view detail) {
    return dialog_.Failure(cause, ErrorClass::kPermanent, detail);
  };
  if (envelope.recipients.empty()) return impossible(Cause::kInvalid, "there is no recipient");
  if (!traits.canonical) {
    return impossible(Cause::kInvalid, "the message holds a CR or LF that is not part of a CRLF");
  }
  if (capabilities_.max_message_bytes != 0 && message.size() > capabilities_.max_message_bytes) {
    return impossible(Cause::kMessageTooLarge, "the message has " + std::to_string(message.size()) +
                                                   " bytes, the server takes at most " +
                                                   std::to_string(capabilities_.max_message_bytes));
  }
  MailParameters parameters;
  parameters.smtputf8 = NeedsSmtpUtf8(envelope) || traits.eight_bit_headers;
  parameters.eight_bit_mime = traits.eight_bit;
  if (capabilities_.size) parameters.size = message.size();
  if (parameters.smtputf8 && !capabilities_.smtputf8) {
    return impossible(Cause::kSmtpUtf8NotOffered,
                      "an address is not ASCII and the server does not offer SMTPUTF8");
  }
  if (parameters.eight_bit_mime && !capabilities_.eight_bit_mime) {
    return impossible(Cause::kInvalid,
                      "the message is not 7-bit and the server does not offer 8BITMIME");
  }
  return parameters;
}

// MAIL and RCPT.

size_t Transaction::WindowEnd(size_t begin) const {
  if (!capabilities_.pipelining) return begin + 1;
  size_t end = begin;
  for (size_t bytes = 0; end < commands_.size() && end - begin < kWindowCommands; ++end) {
    bytes += commands_[end].size();
    if (bytes > kWindowBytes && end > begin) break;
  }
  return end;
}

asio::awaitable<Result<void>> Transaction::SendEnvelope(const Envelope& envelope,
                                                        MailParameters parameters) {
  if (rset_first_) commands_.emplace_back(kRsetCommand);
  commands_.push_back(MailCommand(envelope.sender, parameters));
  for (const base::Address& recipient : envelope.recipients) {
    commands_.push_back(RcptCommand(recipient));
  }
  for (size_t next = 0; next < commands_.size() && !mail_refusal_;) {
    const size_t end = WindowEnd(next);
    dialog_.Expire(deadline_.Within(timeouts_.mail));
    auto written = co_await dialog_.Write(std::span(commands_).subspan(next, end - next));
    if (!written) co_return written.error();
    for (; next < end; ++next) {
      auto answered = co_await ReadReply(next);
      // A refused MAIL explains more than what follows it, even the loss of the connection.
      if (!answered) co_return mail_refusal_ ? *mail_refusal_ : answered.error();
    }
  }
  if (mail_refusal_) co_return *mail_refusal_;
  co_return CheckRecipients();
}

asio::awaitable<Result<void>> Transaction::ReadReply(size_t command) {
  const size_t mail = rset_first_ ? 1 : 0;
  if (command == mail + 1 && !mail_refusal_) dialog_.Enter(Stage::kRcptTo);
  dialog_.Expire(deadline_.Within(command > mail ? timeouts_.rcpt : timeouts_.mail));
  auto reply = co_await dialog_.Read();
  if (!reply) co_return reply.error();
  if (command > mail) co_return AcceptRcpt(command - mail - 1, std::move(*reply));
  if (command == mail) co_return AcceptMail(std::move(*reply));
  if (Completed(*reply)) co_return Result<void>();
  // RSET cannot be refused; a server that does so is not in a known state.
  const base::Error unexpected = dialog_.Unexpected(*reply);
  if (Refusing(*reply)) co_return Refused(Stage::kMailFrom, std::move(*reply));
  co_return unexpected;
}

Result<void> Transaction::AcceptMail(Reply reply) {
  if (Completed(reply)) return {};
  if (!Refusing(reply)) return dialog_.Unexpected(reply);
  const bool closing = reply.code == kServiceClosing;
  mail_refusal_ = Refused(Stage::kMailFrom, std::move(reply));
  if (closing) return *mail_refusal_;
  return {};
}

Result<void> Transaction::AcceptRcpt(size_t index, Reply reply) {
  if (mail_refusal_) return {};
  if (!Completed(reply) && !Refusing(reply)) return dialog_.Unexpected(reply);
  reply.Shorten(kMaxRecipientReplyBytes);
  base::RecipientOutcome outcome;
  outcome.index = index;
  outcome.accepted = Completed(reply);
  outcome.reply = reply;
  recipients_.push_back(std::move(outcome));
  if (Completed(reply)) return {};
  refused_ = true;
  if (reply.code != kServiceClosing) return {};
  if (options_.all_or_nothing) return RecipientsRefused();
  return Refused(Stage::kRcptTo, std::move(reply));
}

Result<void> Transaction::CheckRecipients() const {
  const auto accepted = std::count_if(recipients_.begin(), recipients_.end(),
                                      [](const auto& outcome) { return outcome.accepted; });
  const auto needed = options_.all_or_nothing ? recipients_.size() : 1;
  if (static_cast<size_t>(accepted) >= needed) return {};
  return RecipientsRefused();
}

// At least one was refused.
base::Error Transaction::RecipientsRefused() const {
  const auto decides = [this](const base::RecipientOutcome& outcome) {
    return outcome.reply.Permanent() == options_.all_or_nothing;
  };
  const base::RecipientOutcome* refusal = nullptr;
  for (const base::RecipientOutcome& outcome : recipients_) {
    if (outcome.accepted) continue;
    if (refusal == nullptr || (decides(outcome) && !decides(*refusal))) refusal = &outcome;
  }
  return base::Refused(Stage::kRcptTo, refusal->reply);
}

// DATA.

asio::awaitable<Result<Reply>> Transaction::SendData(const base::Content& message) {
  dialog_.Enter(Stage::kData);
  dialog_.Expire(deadline_.Within(timeouts_.data_start));
  auto reply = co_await dialog_.Ask(std::string(kDataCommand));
  if (!reply) co_return reply.error();
  if (Refusing(*reply)) co_return Refused(Stage::kData, std::move(*reply));
  if (reply->code != kStartMailInput) co_return dialog_.Unexpected(*reply);
  auto silent = co_await dialog_.ExpectSilence();
  if (!silent) co_return silent.error();
  co_return co_await SendBody(message);
}

asio::awaitable<Result<Reply>> Transaction::SendBody(const base::Content& message) {
  DataFraming framing(message, Framing::kData);
  std::vector<asio::const_buffer> block;
  for (;;) {
    const bool last = framing.Next(block);
    dialog_.Expire(deadline_.Within(timeouts_.data_block));
    // A reply now cannot be one to the message, whose end has not been sent.
    auto silent = co_await dialog_.ExpectSilenceOnWire();
    if (!silent) co_return silent.error();
    if (last) break;
    auto written = co_await dialog_.WriteData(block);
    if (!written) {
      dialog_.Expire(deadline_.Within(kEarlyReplyWait));
      co_return co_await dialog_.LastWords(written.error());
    }
  }
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return dialog_.Failure(Cause::kCancelled, ErrorClass::kTransient, "cancelled");
  }
  if (deadline_.Passed()) {
    co_return dialog_.Failure(Cause::kTimeout, ErrorClass::kTransient, "the deadline has passed");
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  auto reply = co_await Commit(block, message.size());
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  co_return reply;
}

asio::awaitable<Result<void>> Transaction::PassGate() {
  std::vector<size_t> accepted;
  for (const base::RecipientOutcome& outcome : recipients_) {
    if (outcome.accepted) accepted.push_back(outcome.index);
  }
  const bool open = co_await options_.gate->Pass(accepted);
  if (!open) {
    co_return dialog_.Failure(Cause::kGateClosed, ErrorClass::kTransient,
                              "the end of the message was held back");
  }
  // The gate may have taken long.
  dialog_.Expire(base::Deadline::After(kEarlyReplyWait));
  auto silent = co_await dialog_.ExpectSilenceOnWire();
  if (silent) base::Failpoint("gated");
  co_return silent;
}

asio::awaitable<Result<Reply>> Transaction::Commit(std::span<const asio::const_buffer> last_block,
                                                   size_t message_bytes) {
  if (options_.gate) {
    auto passed = co_await PassGate();
    if (!passed) co_return passed.error();
  }
  const base::Deadline deadline = options_.gate ? base::Deadline::Never() : deadline_;
  dialog_.DataWritten(message_bytes);
  dialog_.Expire(deadline.Within(timeouts_.data_block));
  auto written = co_await dialog_.WriteData(last_block);
  if (written) {
    base::Failpoint("end_sent");
    dialog_.Expire(deadline.Within(timeouts_.data_done));
  } else {
    dialog_.Expire(deadline.Within(kEarlyReplyWait));
  }
  auto reply = co_await dialog_.Read();
  if (reply) base::Failpoint("verdict");
  // Where the end was not written whole, no 2xx is about it.
  if (written && reply && Completed(*reply)) co_return reply;
  if (reply && Refusing(*reply)) co_return Refused(Stage::kData, std::move(*reply));
  base::Error error = !written ? written.error()
                      : !reply ? reply.error()
                               : dialog_.Unexpected(*reply);
  error.error_class = ErrorClass::kUncertain;
  co_return error;
}

base::Error Transaction::Refused(Stage stage, Reply reply) {
  refused_ = true;
  return base::Refused(stage, std::move(reply));
}

base::Error Transaction::WithRecipients(base::Error error) const {
  error.recipients = recipients_;
  return error;
}

}  // namespace sendstep::smtp
