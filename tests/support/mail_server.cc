#include "tests/support/mail_server.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>
#include <utility>

namespace sendstep::testing {

namespace asio = boost::asio;

struct MailServer::State {
  explicit State(const asio::any_io_executor& on)
      : executor(on), go(on, asio::steady_timer::time_point::max()) {}

  const asio::any_io_executor executor;
  Rules rules;
  asio::steady_timer go;
  std::set<Peer*> peers;

  mutable std::mutex mutex;  // for the rest
  std::string hold_at;
  int held = 0;
  int connections = 0;
  int open = 0;
  int most_open = 0;
  int resumed = 0;
  std::vector<std::string> commands;
  std::map<std::string, int> messages;
};

// One connection.
class MailServer::Session {
 public:
  Session(std::shared_ptr<State> state, Peer& peer) : state_(std::move(state)), peer_(peer) {
    const std::lock_guard lock(state_->mutex);
    command_.connection = ++state_->connections;
    state_->most_open = std::max(state_->most_open, ++state_->open);
    turned_away_ = state_->rules.max_open > 0 && state_->open > state_->rules.max_open;
    state_->peers.insert(&peer_);
  }
  ~Session() {
    const std::lock_guard lock(state_->mutex);
    --state_->open;
    state_->peers.erase(&peer_);
  }

  asio::awaitable<void> Run() {
    const Rules& rules = state_->rules;
    if (turned_away_) {
      co_await peer_.Write(rules.turns_away);
      co_return;
    }
    if (rules.tls) {
      co_await peer_.StartTls(*rules.tls);
      const std::lock_guard lock(state_->mutex);
      state_->resumed += peer_.resumed();
    }
    if (!co_await Answer("greeting", "220 mx.example ESMTP\r\n")) co_return;
    while (rules.max_mails == 0 || command_.mails < rules.max_mails) {
      command_.line = co_await peer_.ReadLine();
      const std::string verb = command_.line.substr(0, command_.line.find(' '));
      Note(verb);
      bool goes_on = true;
      if (verb == "EHLO") {
        goes_on = co_await Answer(verb, Extensions());
      } else if (verb == "AUTH") {
        goes_on = co_await Answer(verb, "235 2.7.0 welcome\r\n");
      } else if (verb == "DATA") {
        goes_on = co_await Answer(verb, "354 go on\r\n");
        if (goes_on && !refused_) goes_on = co_await TakeMessage();
      } else if (verb == "BDAT") {
        goes_on = co_await TakeChunk();
      } else if (verb == "QUIT") {
        co_await Answer(verb, "221 2.0.0 bye\r\n");
        goes_on = false;
      } else if (verb == "MAIL" || verb == "RCPT" || verb == "RSET") {
        goes_on = co_await Answer(verb, "250 2.0.0 ok\r\n");
      } else {
        co_await peer_.Write("500 5.5.1 what?\r\n");
      }
      if (!goes_on) co_return;
    }
  }

 private:
  void Note(const std::string& verb) {
    const std::lock_guard lock(state_->mutex);
    state_->commands.push_back(std::to_string(command_.connection) + " " + verb);
  }

  std::string Extensions() const {
    std::string reply = "250-mx.example\r\n";
    for (const std::string& name : state_->rules.extensions) reply += "250-" + name + "\r\n";
    return reply + "250 AUTH PLAIN\r\n";
  }

  // False where the connection is over. `message`: taken, unless it is refused.
  asio::awaitable<bool> Answer(std::string verb, std::string reply, std::string message = {}) {
    bool held = false;
    {
      const std::lock_guard lock(state_->mutex);
      held = state_->hold_at == verb;
      state_->held += held;
    }
    if (held) {
      boost::system::error_code ec;
      auto token = asio::redirect_error(asio::use_awaitable, ec);
      co_await state_->go.async_wait(token);
    }
    command_.verb = verb;
    refused_ = false;
    if (state_->rules.answer) {
      const std::optional<std::string> other = state_->rules.answer(command_);
      if (other && other->empty()) co_return false;
      if (other) {
        refused_ = other->front() >= '4';
        reply = *other;
      }
    }
    if (!message.empty() && !refused_) Took(message);
    co_await peer_.Write(reply);
    co_return true;
  }

  void Took(const std::string& message) {
    ++command_.mails;
    const std::lock_guard lock(state_->mutex);
    ++state_->messages[message.substr(0, message.find('\r'))];
  }

  asio::awaitable<bool> TakeMessage() {
    std::string message;
    for (;;) {
      const std::string line = co_await peer_.ReadLine();
      if (line == ".") break;
      message += line + "\r\n";
    }
    co_return co_await Answer(".", "250 2.0.0 queued\r\n", message);
  }

  asio::awaitable<bool> TakeChunk() {
    const size_t size = std::stoul(command_.line.substr(5));
    std::string message;
    // Else the chunk is refused for certain, and not taken in.
    if (state_->rules.swallows_refused_chunk) {
      while (message.size() < size) message += co_await peer_.ReadLine() + "\r\n";
    }
    co_return co_await Answer("BDAT", "250 2.0.0 queued\r\n", message);
  }

  const std::shared_ptr<State> state_;
  Peer& peer_;
  Command command_;
  bool turned_away_ = false;
  bool refused_ = false;
};

MailServer::MailServer(const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(executor)),
      server_(executor, [state = state_](Peer& peer) -> asio::awaitable<void> {
        Session session(state, peer);
        co_await session.Run();
      }) {}

MailServer::~MailServer() = default;

MailServer::Rules& MailServer::rules() { return state_->rules; }

uint16_t MailServer::port() const { return server_.port(); }

void MailServer::Hold(const std::string& verb) {
  const std::lock_guard lock(state_->mutex);
  state_->hold_at = verb;
}

void MailServer::Go() {
  asio::post(state_->executor, [state = state_] {
    {
      const std::lock_guard lock(state->mutex);
      state->hold_at.clear();
      state->held = 0;
    }
    state->go.cancel();
  });
}

int MailServer::held() const {
  const std::lock_guard lock(state_->mutex);
  return state_->held;
}

void MailServer::CloseAll(const std::string& farewell) {
  asio::post(state_->executor, [state = state_, farewell] {
    boost::system::error_code ignored;
    for (Peer* peer : state->peers) {
      if (!farewell.empty()) asio::write(peer->socket(), asio::buffer(farewell), ignored);
      peer->socket().shutdown(boost::asio::ip::tcp::socket::shutdown_both, ignored);
    }
  });
}

int MailServer::connections() const {
  const std::lock_guard lock(state_->mutex);
  return state_->connections;
}

int MailServer::open() const {
  const std::lock_guard lock(state_->mutex);
  return state_->open;
}

int MailServer::most_open() const {
  const std::lock_guard lock(state_->mutex);
  return state_->most_open;
}

int MailServer::resumed() const {
  const std::lock_guard lock(state_->mutex);
  return state_->resumed;
}

std::vector<std::string> MailServer::commands() const {
  const std::lock_guard lock(state_->mutex);
  return state_->commands;
}

int MailServer::Count(const std::string& verb) const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int>(
      std::count_if(state_->commands.begin(), state_->commands.end(),
                    [&](const std::string& command) { return command.ends_with(" " + verb); }));
}

std::map<std::string, int> MailServer::messages() const {
  const std::lock_guard lock(state_->mutex);
  return state_->messages;
}

}  // namespace sendstep::testing
