#include "transport/smtp/transaction.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <numeric>
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
// Of a server that does not know a command, or does not know it here.
constexpr int kFirstUnknownCommand = 500;
constexpr int kBadSequence = 503;
constexpr int kLastUnknownCommand = 504;
// How long a reply may take that the server sent before it stopped reading.
constexpr std::chrono::seconds kEarlyReplyWait{2};
// Of the text of a reply to RCPT that is kept.
constexpr size_t kMaxRecipientReplyBytes = 2048;

bool NeedsSmtpUtf8(const Envelope& envelope) {
  return (envelope.sender && envelope.sender->NeedsSmtpUtf8()) ||
         std::any_of(envelope.recipients.begin(), envelope.recipients.end(),
                     [](const base::Address& address) { return address.NeedsSmtpUtf8(); });
}

bool UnknownCommand(const Reply& reply) {
  return reply.code >= kFirstUnknownCommand && reply.code <= kLastUnknownCommand;
}

// Servers that were told more than one command at a time say so in words of their own.
bool SpeaksOfPipelining(const Reply& reply) {
  std::string text = reply.Text();
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text.find("pipelining") != text.npos || text.find("synchronization") != text.npos;
}

}  // namespace

Transaction::Transaction(Dialog& dialog, const Capabilities& capabilities,
                         const ServerTraits& traits, const StageTimeouts& timeouts, bool rset_first,
                         const SendOptions& options, base::Deadline deadline)
    : dialog_(dialog),
      capabilities_(capabilities),
      traits_(traits),
      timeouts_(timeouts),
      options_(options),
      deadline_(deadline),
      rset_first_(rset_first),
      refused_(rset_first) {}

asio::awaitable<Result<DeliveryReport>> Transaction::Send(const Envelope& envelope,
                                                          const base::Content& message) {
  dialog_.Enter(Stage::kMailFrom);
  const Result<MailParameters> parameters = Plan(envelope, message);
  if (!parameters) co_return parameters.error();
  MakeCommands(envelope, *parameters);
  refused_ = false;
  flights_ = PlanFlights(capabilities_, traits_, Load(message.size()));
  auto reply = co_await SendMessage(message);
  if (!reply) {
    refused_ = true;
    co_return WithRecipients(reply.error());
  }
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
  MakeCommands(envelope, *parameters);
  refused_ = false;
  flights_.pipelining = capabilities_.pipelining;
  auto accepted = co_await SendEnvelope();
  if (!accepted) {
    refused_ = true;
    co_return WithRecipients(accepted.error());
  }
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
  const auto not_offered = [&impossible](std::string_view extension) {
    return impossible(Cause::kExtensionNotOffered, extension);
  };
  if (envelope.dsn && !capabilities_.dsn) return not_offered("DSN (RFC 3461)");
  parameters.dsn = envelope.dsn;
  if (envelope.require_tls && !capabilities_.require_tls) {
    return not_offered("REQUIRETLS (RFC 8689)");
  }
  parameters.require_tls = envelope.require_tls;
  return parameters;
}

void Transaction::MakeCommands(const Envelope& envelope, const MailParameters& parameters) {
  recipient_count_ = envelope.recipients.size();
  commands_.reserve(recipient_count_ + 3);
  if (rset_first_) commands_.emplace_back(kRsetCommand);
  commands_.push_back(MailCommand(envelope.sender, parameters));
  for (const base::Address& recipient : envelope.recipients) {
    commands_.push_back(RcptCommand(recipient, envelope.dsn));
  }
}

FlightLoad Transaction::Load(size_t message_bytes) const {
  FlightLoad load;
  load.commands = commands_.size();
  load.bytes = message_bytes;
  for (const std::string& command : commands_) load.bytes += command.size();
  load.all_or_nothing = options_.all_or_nothing;
  load.rset_first = rset_first_;
  load.silence = base::Clock::now() - dialog_.heard_at();
  return load;
}

asio::awaitable<Result<Reply>> Transaction::SendMessage(const base::Content& message) {
  if (flights_.message == Flights::Message::kWithEnvelope) {
    DataFraming framing(message, Framing::kChunk);
    std::vector<asio::const_buffer> block;
    if (framing.Next(block)) co_return co_await SendAtOnce(block, message.size());
    flights_.message = Flights::Message::kChunk;  // it is in too many pieces for one block
  }
  if (flights_.message == Flights::Message::kDataAhead) commands_.emplace_back(kDataCommand);
  auto accepted = co_await SendEnvelope();
  if (!accepted) co_return accepted.error();
  if (flights_.message == Flights::Message::kData) dialog_.Enter(Stage::kData);
  if (flights_.message != Flights::Message::kChunk) {
    auto started = co_await StartData();
    if (!started) co_return started.error();
  } else {
    dialog_.Enter(Stage::kData);
  }
  co_return co_await SendBody(message);
}

// MAIL and RCPT.

size_t Transaction::WindowEnd(size_t begin) const {
  if (!flights_.pipelining) return begin + 1;
  size_t end = begin;
  for (size_t bytes = 0; end < commands_.size() && end - begin < kWindowCommands; ++end) {
    bytes += commands_[end].size();
    if (bytes > kWindowBytes && end > begin) break;
  }
  return end;
}

asio::awaitable<Result<void>> Transaction::SendEnvelope() {
  auto answered = co_await SendWindows();
  // A refused MAIL explains more than what follows it, even the loss of the connection.
  if (!answered && !mail_refusal_) co_return answered;
  Result<void> accepted;
  if (mail_refusal_) {
    accepted = *mail_refusal_;
  } else {
    accepted = CheckRecipients();
  }
  if (distrust_.pipelining) co_return NoPipelining();
  const bool wants_message = data_reply_ && data_reply_->code == kStartMailInput;
  if (!accepted && wants_message && !accepted_without_mail_) co_await EndEmptyMessage();
  co_return accepted;
}

asio::awaitable<Result<void>> Transaction::SendWindows() {
  const size_t data = (rset_first_ ? 2 : 1) + recipient_count_;
  for (size_t next = 0; next < commands_.size() && !mail_refusal_;) {
    if (next == data && !SomeoneAccepted()) break;
    const size_t begin = next;
    const size_t end = WindowEnd(next);
    dialog_.Expire(deadline_.Within(timeouts_.mail));
    auto written = co_await dialog_.Write(std::span(commands_).subspan(next, end - next));
    if (!written) co_return written;
    for (; next < end; ++next) {
      auto answered = co_await ReadReply(next, deadline_);
      if (answered) continue;
      const Cause cause = answered.error().cause;
      // It answered the first of several commands and lost the others.
      const bool lost =
          cause == Cause::kConnectionLost || (cause == Cause::kTimeout && !deadline_.Passed());
      if (next > begin && !refused_ && lost) distrust_.pipelining = true;
      co_return answered;
    }
  }
  co_return Result<void>();
}

asio::awaitable<Result<void>> Transaction::ReadReply(size_t command, base::Deadline deadline) {
  const size_t mail = rset_first_ ? 1 : 0;
  const size_t data = mail + 1 + recipient_count_;
  if (command == mail + 1 && !mail_refusal_) dialog_.Enter(Stage::kRcptTo);
  if (command == data && SomeoneAccepted()) dialog_.Enter(Stage::kData);
  dialog_.Expire(deadline.Within(command == data  ? timeouts_.data_start
                                 : command > mail ? timeouts_.rcpt
                                                  : timeouts_.mail));
  auto reply = co_await dialog_.Read();
  if (!reply) co_return reply.error();
  if (command == data) {
    LookForBrokenPipelining(*reply, SomeoneAccepted());
    data_reply_ = std::move(*reply);
    co_return Result<void>();
  }
  if (command > mail) co_return AcceptRcpt(command - mail - 1, std::move(*reply));
  if (command == mail) co_return AcceptMail(std::move(*reply));
  if (Completed(*reply)) co_return Result<void>();
  // RSET cannot be refused; a server that does so is not in a known state.
  const base::Error unexpected = dialog_.Unexpected(*reply);
  if (Refusing(*reply)) co_return Refused(Stage::kMailFrom, std::move(*reply));
  co_return unexpected;
}

// `expected`: the commands before it were accepted, so that there is no bad sequence.
void Transaction::LookForBrokenPipelining(const Reply& reply, bool expected) {
  if (!flights_.pipelining || !Refusing(reply)) return;
  if ((expected && reply.code == kBadSequence) || SpeaksOfPipelining(reply)) {
    distrust_.pipelining = true;
  }
}

Result<void> Transaction::AcceptMail(Reply reply) {
  if (Completed(reply)) return {};
  if (!Refusing(reply)) return dialog_.Unexpected(reply);
  const bool closing = reply.code == kServiceClosing;
  LookForBrokenPipelining(reply, false);
  const bool out_of_sequence = reply.code == kBadSequence;
  mail_refusal_ = Refused(Stage::kMailFrom, std::move(reply));
  // It sees a transaction that we do not: what follows could become a part of that.
  if (out_of_sequence) dialog_.Broken(*mail_refusal_);
  if (closing) return *mail_refusal_;
  return {};
}

Result<void> Transaction::AcceptRcpt(size_t index, Reply reply) {
  if (mail_refusal_) {
    accepted_without_mail_ = accepted_without_mail_ || Completed(reply);
    return {};
  }
  if (!Completed(reply) && !Refusing(reply)) return dialog_.Unexpected(reply);
  LookForBrokenPipelining(reply, true);
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

bool Transaction::SomeoneAccepted() const {
  return std::any_of(recipients_.begin(), recipients_.end(),
                     [](const base::RecipientOutcome& outcome) { return outcome.accepted; });
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

base::Error Transaction::NoPipelining() {
  return dialog_.Broken(dialog_.Failure(Cause::kProtocol, ErrorClass::kTransient,
                                        "the server does not know PIPELINING after all"));
}

// RFC 2920 3.1: DATA may be taken although no recipient was.
asio::awaitable<void> Transaction::EndEmptyMessage() {
  static constexpr std::string_view kDot = ".\r\n";
  const asio::const_buffer dot = asio::buffer(kDot);
  dialog_.Expire(deadline_.Within(timeouts_.data_start));
  auto written = co_await dialog_.WriteData(std::span(&dot, 1));
  if (written) co_await dialog_.Read();
}

// The message.

asio::awaitable<Result<void>> Transaction::StartData() {
  if (!data_reply_) {
    dialog_.Expire(deadline_.Within(timeouts_.data_start));
    auto reply = co_await dialog_.Ask(std::string(kDataCommand));
    if (!reply) co_return reply.error();
    data_reply_ = std::move(*reply);
  }
  if (Refusing(*data_reply_)) co_return Refused(Stage::kData, std::move(*data_reply_));
  if (data_reply_->code != kStartMailInput) co_return dialog_.Unexpected(*data_reply_);
  co_return co_await dialog_.ExpectSilence();
}

asio::awaitable<Result<Reply>> Transaction::SendBody(const base::Content& message) {
  const bool chunk = flights_.message == Flights::Message::kChunk;
  DataFraming framing(message, chunk ? Framing::kChunk : Framing::kData);
  std::vector<asio::const_buffer> block;
  for (;;) {
    const bool last = framing.Next(block);
    dialog_.Expire(deadline_.Within(timeouts_.data_block));
    // A reply now cannot be one to the message, whose end has not been sent.
    auto silent = co_await dialog_.ExpectSilenceOnWire();
    if (!silent) co_return silent.error();
    if (last) break;
    auto written = co_await WriteBlock(block, message);
    if (!written) {
      dialog_.Expire(deadline_.Within(kEarlyReplyWait));
      co_return co_await dialog_.LastWords(written.error());
    }
  }
  std::vector<size_t> accepted;
  for (const base::RecipientOutcome& outcome : recipients_) {
    if (outcome.accepted) accepted.push_back(outcome.index);
  }
  auto commit = [this, &block, &message] { return Commit(block, message); };
  co_return co_await PassGate(std::move(accepted), commit);
}

asio::awaitable<Result<Reply>> Transaction::SendAtOnce(std::span<const asio::const_buffer> block,
                                                       size_t message_bytes) {
  // A server that has said farewell takes nothing, and nobody needs to be asked.
  dialog_.Expire(deadline_.Within(timeouts_.mail));
  auto silent = co_await dialog_.ExpectSilenceOnWire();
  if (!silent) co_return silent.error();
  commands_.push_back(LastChunkCommand(message_bytes));
  std::vector<size_t> everyone(recipient_count_);
  std::iota(everyone.begin(), everyone.end(), size_t{0});
  auto commit = [this, block, message_bytes] { return CommitAtOnce(block, message_bytes); };
  co_return co_await PassGate(std::move(everyone), commit);
}

template <class Commit>
asio::awaitable<Result<Reply>> Transaction::PassGate(std::vector<size_t> accepted, Commit commit) {
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return dialog_.Failure(Cause::kCancelled, ErrorClass::kTransient, "cancelled");
  }
  if (deadline_.Passed()) {
    co_return dialog_.Failure(Cause::kTimeout, ErrorClass::kTransient, "the deadline has passed");
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  Result<void> passed;
  if (options_.gate) {
    const bool open = co_await options_.gate->Pass(accepted);
    // The gate may have taken long.
    dialog_.Expire(base::Deadline::After(kEarlyReplyWait));
    if (!open) {
      passed = dialog_.Failure(Cause::kGateClosed, ErrorClass::kTransient,
                               "the end of the message was held back");
    } else {
      passed = co_await dialog_.ExpectSilenceOnWire();
    }
    if (passed) base::Failpoint("gated");
  }
  Result<Reply> reply = base::Error();
  if (passed) {
    reply = co_await commit();
  } else {
    reply = passed.error();
  }
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  co_return reply;
}

// A chunk's command goes with its first bytes.
asio::awaitable<Result<void>> Transaction::WriteBlock(std::span<const asio::const_buffer> block,
                                                      const base::Content& message) {
  if (flights_.message != Flights::Message::kChunk || chunk_begun_) {
    co_return co_await dialog_.WriteData(block);
  }
  chunk_begun_ = true;
  const std::string command = LastChunkCommand(message.size());
  co_return co_await dialog_.Write(std::span(&command, 1), block);
}

asio::awaitable<Result<Reply>> Transaction::Commit(std::span<const asio::const_buffer> last_block,
                                                   const base::Content& message) {
  const base::Deadline deadline = options_.gate ? base::Deadline::Never() : deadline_;
  dialog_.Expire(deadline.Within(timeouts_.data_block));
  auto written = co_await WriteBlock(last_block, message);
  dialog_.DataWritten(message.size(), chunk_begun_);
  co_return co_await ReadVerdict(std::move(written), deadline);
}

asio::awaitable<Result<Reply>> Transaction::CommitAtOnce(std::span<const asio::const_buffer> block,
                                                         size_t message_bytes) {
  const base::Deadline deadline = options_.gate ? base::Deadline::Never() : deadline_;
  dialog_.Expire(deadline.Within(timeouts_.data_block));
  chunk_begun_ = true;
  auto written = co_await dialog_.Write(commands_, block);
  dialog_.DataWritten(message_bytes, true);
  const base::Deadline reply_by = written ? deadline : deadline.Within(kEarlyReplyWait);
  Result<void> answered;
  size_t replies = 0;
  for (; replies <= recipient_count_; ++replies) {
    answered = co_await ReadReply(replies, reply_by);
    if (!answered) break;
  }
  const bool nobody =
      mail_refusal_ || (recipients_.size() == recipient_count_ && !SomeoneAccepted());
  const base::Error refused = mail_refusal_ ? *mail_refusal_
                              : nobody      ? RecipientsRefused()
                                            : base::Error();
  if (!answered) {
    base::Error error = answered.error();
    // A transaction that only the server sees may have taken a recipient of whom it did not say.
    const bool hidden = mail_refusal_ && mail_refusal_->reply->code == kBadSequence;
    if (nobody && !accepted_without_mail_ && !hidden) co_return refused;
    // 421 in the place of an earlier reply: it takes no more.
    if (!error.reply) error.error_class = ErrorClass::kUncertain;
    distrust_.at_once = replies == 0 && error.cause == Cause::kConnectionLost;
    co_return error;
  }
  if (!nobody) dialog_.Enter(Stage::kData);
  auto reply = co_await ReadVerdict(std::move(written), deadline);
  if (!nobody) co_return reply;
  // A recipient was accepted for a transaction that only the server sees.
  const bool untold = !reply && reply.error().error_class == ErrorClass::kUncertain;
  if (untold && accepted_without_mail_) co_return reply;
  if (reply) {
    // It took the message, and for whom it does not say.
    base::Error error = dialog_.Unexpected(*reply);
    error.error_class = ErrorClass::kUncertain;
    co_return error;
  }
  if (distrust_.pipelining) co_return NoPipelining();
  co_return refused;
}

asio::awaitable<Result<Reply>> Transaction::ReadVerdict(Result<void> written,
                                                        base::Deadline deadline) {
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
  if (reply && Refusing(*reply)) {
    // After refused recipients a bad sequence is in order.
    const bool in_sequence = reply->code != kBadSequence || SomeoneAccepted();
    const bool unknown = chunk_begun_ && UnknownCommand(*reply) && in_sequence;
    const base::Error refusal = Refused(Stage::kData, std::move(*reply));
    if (!unknown) co_return refusal;
    // It may be running the lines of the message as commands, and answering them.
    distrust_.chunking = true;
    co_return dialog_.Broken(refusal);
  }
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
