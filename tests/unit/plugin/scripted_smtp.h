// An SMTP server in process, on a thread of its own, that says what a test tells it to.
#ifndef SENDSTEP_TESTS_UNIT_PLUGIN_SCRIPTED_SMTP_H_
#define SENDSTEP_TESTS_UNIT_PLUGIN_SCRIPTED_SMTP_H_

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/loopback_server.h"

namespace sendstep::plugin {

// Speaks in clear, offers PIPELINING and AUTH PLAIN, takes everything. Threads: thread-safe.
class ScriptedSmtp {
 public:
  ScriptedSmtp()
      : server_(context_.get_executor(), [this](testing::Peer& peer) { return Serve(peer); }),
        port_(server_.port()),
        thread_([this] { context_.run(); }) {}
  ~ScriptedSmtp() {
    context_.stop();
    thread_.join();
  }

  uint16_t port() const { return port_; }

  // The reply to a command, told by its beginning ("RCPT TO:<b@"), or to the end of the message
  // ("."). Empty: the connection is closed instead.
  void Reply(const std::string& to, const std::string& reply) {
    const std::lock_guard lock(mutex_);
    replies_[to] = reply;
  }
  void Forget() {
    const std::lock_guard lock(mutex_);
    replies_.clear();
  }
  // Such replies wait until Release().
  void Hold(const std::string& to) {
    const std::lock_guard lock(mutex_);
    held_.insert(to);
  }
  void Release() {
    {
      const std::lock_guard lock(mutex_);
      held_.clear();
    }
    boost::asio::post(context_, [this] { released_.cancel(); });
  }

  int connections() const {
    const std::lock_guard lock(mutex_);
    return connections_;
  }
  // How many lines that clients sent begin so: commands, and the lone "." that ends a message.
  int heard(const std::string& beginning) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::ranges::count_if(
        heard_, [&](const std::string& line) { return line.starts_with(beginning); }));
  }
  // Whose end came.
  std::vector<std::string> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  boost::asio::awaitable<void> Serve(testing::Peer& peer) {
    {
      const std::lock_guard lock(mutex_);
      ++connections_;
    }
    co_await peer.Write("220 mx.example ESMTP\r\n");
    for (std::string line = "";;) {
      line = co_await peer.ReadLine();
      Note(line);
      std::string reply = "250 2.0.0 ok\r\n";
      if (line.starts_with("EHLO")) {
        reply = "250-mx.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n";
      } else if (line.starts_with("AUTH")) {
        reply = "235 2.7.0 welcome\r\n";
      } else if (line == "DATA") {
        reply = "354 go on\r\n";
      }
      if (!co_await Answer(peer, line, reply) || line == "QUIT") co_return;
      if (line != "DATA") continue;
      std::string message;
      while ((line = co_await peer.ReadLine()) != ".") message += line + "\r\n";
      {
        const std::lock_guard lock(mutex_);
        messages_.push_back(message);
      }
      Note(line);
      if (!co_await Answer(peer, line, "250 2.0.0 queued as 4711\r\n")) co_return;
    }
  }

  void Note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    heard_.push_back(line);
  }

  // False: the connection is to be closed.
  boost::asio::awaitable<bool> Answer(testing::Peer& peer, std::string line, std::string reply) {
    while (Held(line)) {
      co_await released_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [to, instead] : replies_) {
        if (line.starts_with(to)) reply = instead.empty() ? "" : instead + "\r\n";
      }
    }
    if (!reply.empty()) co_await peer.Write(reply);
    co_return !reply.empty();
  }

  bool Held(const std::string& line) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(held_, [&](const std::string& to) { return line.starts_with(to); });
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::string> replies_;
  std::set<std::string> held_;
  int connections_ = 0;
  std::vector<std::string> heard_;
  std::vector<std::string> messages_;

  boost::asio::io_context context_;
  boost::asio::steady_timer released_{context_, boost::asio::steady_timer::time_point::max()};
  testing::LoopbackServer server_;
  const uint16_t port_;
  std::thread thread_;
};

}  // namespace sendstep::plugin

#endif  // SENDSTEP_TESTS_UNIT_PLUGIN_SCRIPTED_SMTP_H_
