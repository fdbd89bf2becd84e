// One mail transaction (RFC 5321 3.3) on an open session: MAIL, RCPT, then the message or RSET, in
// as few flights as flights.h allows.
//
// Commands that share a flight go in writes of at most kWindowBytes and kWindowCommands; every
// reply to a write is read before the next is made, so that two full socket buffers cannot deadlock
// and no reply is taken for another's.
//
// The end of the message is the point of no return; in one flight it begins with the first byte. An
// error before it is never uncertain: a server
// must drop a message whose end never came (RFC 5321 4.1.1.4). A reply that arrives before it ends
// the session without it: taken later, it would pass for the verdict. From its first byte on
// cancellation is disabled, the server's reply to it decides, and an error without that reply is
// ErrorClass::kUncertain; in one flight, unless the replies before it have refused everyone or said
// 421.
//
// A gate (gate.h) is asked right before it. From there on the deadline, too, has no say any more:
// the last block has timeouts.data_block and the reply timeouts.data_done (RFC 5321 4.5.3.2.6).
#ifndef SENDSTEP_TRANSPORT_SMTP_TRANSACTION_H_
#define SENDSTEP_TRANSPORT_SMTP_TRANSACTION_H_

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/content.h"
#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/smtp/capabilities.h"
#include "transport/smtp/command.h"
#include "transport/smtp/data_framing.h"
#include "transport/smtp/dialog.h"
#include "transport/smtp/envelope.h"
#include "transport/smtp/flights.h"

namespace sendstep::smtp {

// Used for one Send or one Probe. All arguments must outlive it.
class Transaction {
 public:
  // `rset_first`: RSET leads, because the transaction before was refused something.
  Transaction(Dialog& dialog, const Capabilities& capabilities, const ServerTraits& traits,
              const StageTimeouts& timeouts, bool rset_first, const SendOptions& options,
              base::Deadline deadline);

  // Refusals of some recipients are in the report; of all, or with all_or_nothing of any, an Error
  // of Stage::kRcptTo made of one of them. That is a transient one where there is any, since one
  // that may be taken later makes another try worthwhile; with all_or_nothing a permanent one,
  // since that fails each try. The message must be canonical (see MessageTraits). Leaves the
  // coroutine with terminal cancellation enabled.
  asio::awaitable<base::Result<DeliveryReport>> Send(const Envelope& envelope,
                                                     const base::Content& message);
  // MAIL, RCPT, RSET. A failing RSET changes nothing: final_reply is then empty.
  asio::awaitable<base::Result<DeliveryReport>> Probe(const Envelope& envelope);

  // The server refused something, or may still hold an envelope whose message never came: RSET
  // leads the next transaction.
  bool refused() const { return refused_; }
  // After an error: what the server offers and does not know. Without it the message may go well;
  // one whose delivery is uncertain teaches for the next.
  const Distrust& distrust() const { return distrust_; }

 private:
  // Refuses, before a byte is sent, what the server has said it cannot take.
  base::Result<MailParameters> Plan(const Envelope& envelope, const base::Content& message) const;
  void MakeCommands(const Envelope& envelope, const MailParameters& parameters);
  FlightLoad Load(size_t message_bytes) const;

  asio::awaitable<base::Result<void>> SendEnvelope();
  asio::awaitable<base::Result<void>> SendWindows();
  size_t WindowEnd(size_t begin) const;
  asio::awaitable<base::Result<void>> ReadReply(size_t command, base::Deadline deadline);
  base::Result<void> AcceptMail(base::Reply reply);
  base::Result<void> AcceptRcpt(size_t index, base::Reply reply);
  base::Result<void> CheckRecipients() const;
  base::Error RecipientsRefused() const;
  bool SomeoneAccepted() const;
  base::Error NoPipelining();
  asio::awaitable<void> EndEmptyMessage();

  asio::awaitable<base::Result<base::Reply>> SendMessage(const base::Content& message);
  asio::awaitable<base::Result<void>> StartData();
  asio::awaitable<base::Result<base::Reply>> SendBody(const base::Content& message);
  // `block` is all of the message.
  asio::awaitable<base::Result<base::Reply>> SendAtOnce(std::span<const asio::const_buffer> block,
                                                        size_t message_bytes);
  // With cancellation disabled: the gate, then `commit`, which sends the end.
  template <class Commit>
  asio::awaitable<base::Result<base::Reply>> PassGate(std::vector<size_t> accepted, Commit commit);
  asio::awaitable<base::Result<base::Reply>> Commit(std::span<const asio::const_buffer> last_block,
                                                    const base::Content& message);
  asio::awaitable<base::Result<base::Reply>> CommitAtOnce(std::span<const asio::const_buffer> block,
                                                          size_t message_bytes);
  asio::awaitable<base::Result<void>> WriteBlock(std::span<const asio::const_buffer> block,
                                                 const base::Content& message);
  asio::awaitable<base::Result<base::Reply>> ReadVerdict(base::Result<void> written,
                                                         base::Deadline deadline);
  void LookForBrokenPipelining(const base::Reply& reply, bool expected);
  base::Error Refused(base::Stage stage, base::Reply reply);
  base::Error WithRecipients(base::Error error) const;

  Dialog& dialog_;
  const Capabilities& capabilities_;
  const ServerTraits& traits_;
  const StageTimeouts& timeouts_;
  const SendOptions options_;
  const base::Deadline deadline_;
  const bool rset_first_;
  Flights flights_;
  bool refused_;
  Distrust distrust_;
  std::vector<std::string> commands_;  // RSET?, MAIL, RCPT..., DATA or BDAT?
  size_t recipient_count_ = 0;
  std::vector<base::RecipientOutcome> recipients_;
  std::optional<base::Error> mail_refusal_;
  std::optional<base::Reply> data_reply_;
  bool accepted_without_mail_ = false;  // a recipient, after MAIL was refused
  bool chunk_begun_ = false;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_TRANSACTION_H_
