#include "plugin/send_email.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/limits.h"
#include "plugin/logging.h"
#include "plugin/message_id.h"
#include "plugin/with_server.h"
#include "transport/mime/compose.h"
#include "transport/mime/dkim.h"

namespace sendstep::plugin {
namespace {

// The smaller of what the server and what the provider is known to take.
size_t MessageLimit(const SendCommand& command) {
  const auto* profile = command.account.resolved.profile;
  if (profile == nullptr || profile->max_message_bytes() == 0) return kMaxEmailBytes;
  return std::min<size_t>(kMaxEmailBytes, profile->max_message_bytes());
}

// The message as it is sent.
base::Result<base::Content> Write(const SendCommand& command, std::string message_id) {
  mime::ComposeOptions compose;
  compose.date = std::chrono::system_clock::now();
  compose.message_id = std::move(message_id);
  compose.boundary_seed = RandomHex(16);
  auto composed = mime::Compose(command.message, compose);
  if (!composed) return composed.error();
  const Account& account = command.account;
  if (account.no_dkim_key_fits) {
    Log(Level::kInfo, "dkim_unsigned",
        {{"relay", account.relay}, {"message_id", compose.message_id}});
  }
  if (account.dkim.empty()) return std::move(composed->content);
  return mime::DkimSigned(std::move(composed->content), account.dkim, compose.date);
}

}  // namespace

boost::asio::awaitable<base::Result<SentEmail>> SendEmail(
    const SendCommand& command, const smtp::Envelope& envelope, const smtp::SendOptions& options,
    std::string message_id, base::Deadline deadline, net::Mailer& mailer, Timeline& timeline) {
  const auto written = Write(command, std::move(message_id));
  if (!written) {
    timeline.Failed(written.error());
    co_return written.error();
  }
  const size_t limit = MessageLimit(command);
  const base::Content& message = *written;
  if (message.size() > limit) {
    base::Error error = base::Failed(
        base::Stage::kConfig, base::Cause::kMessageTooLarge, base::ErrorClass::kPermanent,
        absl::StrCat("the message has ", message.size(), " bytes, the limit is ", limit));
    timeline.Failed(error);
    co_return error;
  }
  auto send = [&](const smtp::SmtpSettings& settings) {
    return mailer.Send(settings, envelope, message, options, deadline, timeline);
  };
  auto report = co_await WithServer(command.account, deadline, timeline, send);
  if (!report) co_return report.error();
  SentEmail sent{std::move(*report), std::chrono::system_clock::now()};
  co_return sent;
}

}  // namespace sendstep::plugin
