// The use case: compose the message, sign it, hand it to the mailer, say how it went. Execute and
// TestSend both run this and nothing else.
#ifndef SENDSTEP_PLUGIN_SEND_EMAIL_H_
#define SENDSTEP_PLUGIN_SEND_EMAIL_H_

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "plugin/command.h"
#include "plugin/timeline.h"
#include "transport/base/deadline.h"
#include "transport/base/result.h"
#include "transport/net/mailer.h"
#include "transport/smtp/envelope.h"

namespace sendstep::plugin {

// The email is with the provider, for one recipient at least.
struct SentEmail {
  smtp::DeliveryReport report;
  std::chrono::system_clock::time_point accepted_at;
};

// To those of `envelope`, which may be some of the command's. Runs on a strand. All references and
// what `options` points to outlive the call. Errors are the mailer's, those of the account's
// TokenSource, and Stage::kConfig where the message cannot be composed or signed, or is larger than
// the server or provider takes.
boost::asio::awaitable<base::Result<SentEmail>> SendEmail(
    const SendCommand& command, const smtp::Envelope& envelope, const smtp::SendOptions& options,
    std::string message_id, base::Deadline deadline, net::Mailer& mailer, Timeline& timeline);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_SEND_EMAIL_H_
