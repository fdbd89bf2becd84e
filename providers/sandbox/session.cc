#include "providers/sandbox/session.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "providers/sandbox/data_decoder.h"
#include "providers/sandbox/trace.h"

namespace sendstep::providers::sandbox {
namespace {

std::string IpOf(const asio::ip::tcp::socket& socket) {
  boost::system::error_code gone;
  const asio::ip::tcp::endpoint peer = socket.remote_endpoint(gone);
  return gone ? "unknown" : peer.address().to_string();
}

}  // namespace

Session::Session(asio::ip::tcp::socket socket, std::shared_ptr<Shared> shared)
    : executor_(socket.get_executor()),
      shared_(std::move(shared)),
      client_ip_(IpOf(socket)),
      connection_(std::move(socket), shared_->options.idle_timeout),
      dialog_(shared_->greylist) {}

asio::awaitable<void> Session::Run() {
  const auto watch = [self = shared_from_this()] { return self->connection_.Watch(); };
  asio::co_spawn(executor_, watch, asio::detached);
  connection_.Send(dialog_.Greeting());
  bool goes_on = true;
  while (goes_on) goes_on = co_await Exchange();
  if (connection_.expired()) connection_.Send(Dialog::TimeoutReply());
  co_await connection_.Finish();
}

void Session::Stop() {
  asio::post(executor_, [self = shared_from_this()] { self->connection_.Close(); });
}

asio::awaitable<bool> Session::Exchange() {
  const Line line = co_await ReadLine();
  if (line.kind == Line::Kind::kClosed) co_return false;
  Step step = Answer(line);
  // RSET, EHLO and the like give a half-sent message up.
  if (!dialog_.transaction().chunking) incoming_.reset();
  co_return co_await Perform(std::move(step));
}

Step Session::Answer(const Line& line) {
  if (line.kind == Line::Kind::kTooLong) return dialog_.OnLongLine();
  if (line.kind == Line::Kind::kBareLineFeed) return dialog_.OnBareLineFeed();
  return dialog_.OnLine(line.text);
}

asio::awaitable<bool> Session::Perform(Step step) {
  switch (step.next) {
    case Next::kStartTls:
      co_return co_await StartTls(std::move(step.reply));
    case Next::kChunk:
      co_return co_await ReceiveChunk(step.chunk);
    case Next::kSkipChunk:
      co_return co_await SkipChunk(std::move(step));
    case Next::kData:
      connection_.Send(step.reply);
      co_return co_await ReceiveData();
    case Next::kLine:
    case Next::kClose:
      break;
  }
  connection_.Send(step.reply);
  co_return step.next == Next::kLine;
}

asio::awaitable<bool> Session::StartTls(std::string reply) {
  if (!connection_.input().empty()) {
    Step refusal = dialog_.OnEarlyTlsBytes();
    co_return co_await Perform(std::move(refusal));
  }
  connection_.Send(reply);
  if (!co_await connection_.StartTls(shared_->tls)) co_return false;
  dialog_.OnTlsStarted();
  co_return true;
}

void Session::BeginMessage() {
  incoming_.emplace(shared_->maildir, [this](std::string_view id) {
    return TraceHeaders(dialog_, client_ip_, id, std::chrono::system_clock::now());
  });
}

asio::awaitable<bool> Session::ReceiveData() {
  BeginMessage();
  DataDecoder decoder;
  std::string content;
  while (!decoder.done()) {
    if (connection_.input().empty() && !co_await connection_.Fill()) co_return false;
    content.clear();
    connection_.Consume(decoder.Decode(connection_.input(), content));
    incoming_->Append(content);
  }
  co_return co_await EndMessage();
}

asio::awaitable<bool> Session::ReceiveChunk(Chunk chunk) {
  if (!incoming_) BeginMessage();
  if (!co_await ReadChunk(chunk.size)) co_return false;
  if (chunk.last) co_return co_await EndMessage();
  Step step = dialog_.OnChunk(chunk.size, incoming_->received());
  if (!dialog_.transaction().chunking) incoming_.reset();
  co_return co_await Perform(std::move(step));
}

asio::awaitable<bool> Session::SkipChunk(Step step) {
  if (!co_await ReadChunk(step.chunk.size)) co_return false;
  connection_.Send(step.reply);
  co_return true;
}

asio::awaitable<bool> Session::ReadChunk(uint64_t size) {
  while (size > 0) {
    if (connection_.input().empty() && !co_await connection_.Fill()) co_return false;
    const std::string_view part = connection_.input().substr(0, size);
    if (incoming_) incoming_->Append(part);
    connection_.Consume(part.size());
    size -= part.size();
  }
  co_return true;
}

// One that cannot be stored is lost, as reports may be.
void Session::ReportSuccess(const std::string& id) {
  const Transaction& transaction = dialog_.transaction();
  if (transaction.notify_success.empty() || transaction.sender->empty()) return;
  Incoming report(shared_->maildir, [&](std::string_view report_id) {
    return SuccessReport(transaction, id, report_id, std::chrono::system_clock::now());
  });
  report.Keep();
}

asio::awaitable<bool> Session::EndMessage() {
  const bool keeps = !dialog_.transaction().keeps_nothing;
  const Received received =
      keeps ? incoming_->Keep() : Received{.outcome = Received::Outcome::kForgotten, .id = {}};
  incoming_.reset();
  const bool kept = received.outcome == Received::Outcome::kKept;
  if (kept) ReportSuccess(received.id);
  if (kept && dialog_.transaction().slow &&
      !co_await connection_.Sleep(shared_->options.slow_delay)) {
    co_return false;
  }
  Step step = dialog_.OnMessage(received);
  co_return co_await Perform(std::move(step));
}

asio::awaitable<Session::Line> Session::ReadLine() {
  const size_t limit = dialog_.line_limit();
  bool too_long = false;
  size_t end = connection_.input().find('\n');
  while (end == std::string_view::npos) {
    // A CR may stand before the LF that is still to come.
    if (connection_.input().size() > limit + 1) {
      too_long = true;
      connection_.Consume(connection_.input().size());
    }
    if (!co_await connection_.Fill()) co_return Line{Line::Kind::kClosed, {}};
    end = connection_.input().find('\n');
  }
  std::string_view text = connection_.input().substr(0, end);
  connection_.Consume(end + 1);
  const bool bare = !text.ends_with('\r') && !too_long;
  if (!bare && !text.empty()) text.remove_suffix(1);
  Line line{Line::Kind::kWhole, text};
  if (bare) line.kind = Line::Kind::kBareLineFeed;
  if (too_long || text.size() > limit) line.kind = Line::Kind::kTooLong;
  co_return line;
}

}  // namespace sendstep::providers::sandbox
