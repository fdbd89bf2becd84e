// One mail transaction (RFC 5321 3.3) on an open session: MAIL, RCPT, then DATA or RSET.
//
// With PIPELINING, MAIL and every RCPT go in one write, or in several of at most kWindowBytes and
// kWindowCommands; every reply of a write is read before the next is made, so that two full socket
// buffers cannot deadlock and no reply is taken for another's. Without it, one command at a time.
//
// The end of the message is the point of no return. An error before it is never uncertain: a server
// must drop a message whose end never came (RFC 5321 4.1.1.4). A reply that arrives before it ends
// the session without it: taken later, it would pass for the verdict. From its first byte on
// cancellation is disabled, the server's reply decides, and an error without a reply is
// ErrorClass::kUncertain.
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

namespace sendstep::smtp {

// Used for one Send or one Probe. All arguments must outlive it.
class Transaction {
 public:
  static constexpr size_t kWindowBytes = 8 * 1024;
  static constexpr size_t kWindowCommands = 100;

  // `rset_first`: RSET leads, because the transaction before was refused something.
  Transaction(Dialog& dialog, const Capabilities& capabilities, const StageTimeouts& timeouts,
              bool rset_first, const SendOptions& options, base::Deadline deadline);

  // Refusals of some recipients are in the report; of all, or with all_or_nothing of any, an Error
  // of Stage::kRcptTo made of one of them. That is a transient one where there is any, since one
  // that may be taken later makes another try worthwhile; with all_or_nothing a permanent one,
  // since that fails each try. The message must be canonical (see MessageTraits). Leaves the
  // coroutine with terminal cancellation enabled.
  asio::awaitable<base::Result<DeliveryReport>> Send(const Envelope& envelope,
                                                     const base::Content& message);
  // MAIL, RCPT, RSET. A failing RSET changes nothing: final_reply is then empty.
  asio::awaitable<base::Result<DeliveryReport>> Probe(const Envelope& envelope);

  // The server refused something: RSET leads the next transaction.
  bool refused() const { return refused_; }

 private:
  // Refuses, before a byte is sent, what the server has said it cannot take.
  base::Result<MailParameters> Plan(const Envelope& envelope, const base::Content& message) const;
  asio::awaitable<base::Result<void>> SendEnvelope(const Envelope& envelope,
                                                   MailParameters parameters);
  asio::awaitable<base::Result<void>> ReadReply(size_t command);
  base::Result<void> AcceptMail(base::Reply reply);
  base::Result<void> AcceptRcpt(size_t index, base::Reply reply);
  base::Result<void> CheckRecipients() const;
  base::Error RecipientsRefused() const;
  size_t WindowEnd(size_t begin) const;

  asio::awaitable<base::Result<base::Reply>> SendData(const base::Content& message);
  asio::awaitable<base::Result<base::Reply>> SendBody(const base::Content& message);
  asio::awaitable<base::Result<void>> PassGate();
  asio::awaitable<base::Result<base::Reply>> Commit(std::span<const asio::const_buffer> last_block,
                                                    size_t message_bytes);
  base::Error Refused(base::Stage stage, base::Reply reply);
  base::Error WithRecipients(base::Error error) const;

  Dialog& dialog_;
  const Capabilities& capabilities_;
  const StageTimeouts& timeouts_;
  const SendOptions options_;
  const base::Deadline deadline_;
  const bool rset_first_;
  bool refused_ = false;
  std::vector<std::string> commands_;  // RSET?, MAIL, RCPT...
  std::vector<base::RecipientOutcome> recipients_;
  std::optional<base::Error> mail_refusal_;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_TRANSACTION_H_
