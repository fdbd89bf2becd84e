// The provider of the crash tests: an SMTP server on loopback that writes down what it takes, and
// has that on disk before it says so.
//
//   crash_sink LOG SEED DELAY
//
// Prints "listening PORT". LOG gets a JSON line for each (key, recipient) taken and for each
// connection dropped; the key is the message's subject. DELAY is the most milliseconds that pass
// between the end of a message and its line, and once more between its line and the reply.
//
// Recipients behave as the word before the first dot of their address says. With a number k it
// concerns the first k times alone, without one the word given at "always":
//   hard         550 to RCPT, always
//   soft<k>      451 to RCPT
//   bad          554 to the end of the message, always
//   busy<k>      451 to the end of the message
//   before<k>    drops the connection after the end of the message, which is not taken
//   after<k>     the same, but it is taken
//   anything     taken
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using nlohmann::json;

constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxMessage = 1 << 20;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

// The log. Lines of one turn of the loop go to disk together.
class Journal {
 public:
  Journal(asio::io_context& context, const char* path)
      : context_(context), file_(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    if (file_ < 0) Fail(path);
  }

  // Returns when `lines` are on disk.
  awaitable<void> Append(std::string lines) {
    pending_ += lines;
    if (!round_) {
      round_ = std::make_shared<asio::steady_timer>(context_);
      round_->expires_at(asio::steady_timer::time_point::max());
      asio::post(context_, [this] { Flush(); });
    }
    const std::shared_ptr<asio::steady_timer> mine = round_;
    co_await mine->async_wait(kQuiet);
  }

 private:
  void Flush() {
    for (size_t done = 0; done < pending_.size();) {
      const ssize_t wrote = ::write(file_, pending_.data() + done, pending_.size() - done);
      if (wrote < 0) Fail("write");
      done += static_cast<size_t>(wrote);
    }
    if (::fdatasync(file_) != 0) Fail("fdatasync");
    pending_.clear();
    round_->cancel();
    round_.reset();
  }

  asio::io_context& context_;
  const int file_;
  std::string pending_;
  std::shared_ptr<asio::steady_timer> round_;  // those who wait for the next flush
};

class Sink {
 public:
  Sink(asio::io_context& context, const char* log, uint64_t seed, int delay_ms)
      : journal_(context, log), random_(seed), delay_(0, delay_ms) {}

  awaitable<void> Accept(tcp::acceptor acceptor) {
    for (;;) {
      auto [error, socket] = co_await acceptor.async_accept(kQuiet);
      if (error) Fail("accept");
      asio::co_spawn(acceptor.get_executor(), Serve(std::move(socket)), asio::detached);
    }
  }

 private:
  struct Envelope {
    std::vector<std::string> recipients;
    std::string message;
  };
  enum class End { kTaken, kBusy, kBad, kDropBefore, kDropAfter };

  static std::string Word(const std::string& address) {
    return address.substr(0, address.find_first_of("0123456789.@"));
  }

  // Whether `address` behaves as `word` this time; counts the times.
  bool Behaves(const std::string& address, const std::string& word) {
    if (Word(address) != word) return false;
    const char* number = address.c_str() + word.size();
    if (*number < '0' || *number > '9') return true;
    return ++times_[address] <= std::atoi(number);
  }

  std::string ReplyToRcpt(const std::string& address) {
    if (Behaves(address, "hard")) return "550 5.1.1 No such mailbox\r\n";
    if (Behaves(address, "soft")) return "451 4.2.1 Try again later\r\n";
    return "250 2.1.5 OK\r\n";
  }

  End EndOf(const std::vector<std::string>& recipients) {
    End end = End::kTaken;
    for (const std::string& address : recipients) {
      if (Behaves(address, "before")) end = std::max(end, End::kDropBefore);
      if (Behaves(address, "after")) end = std::max(end, End::kDropAfter);
      if (Behaves(address, "busy")) end = std::max(end, End::kBusy);
      if (Behaves(address, "bad")) end = std::max(end, End::kBad);
    }
    return end;
  }

  // A header field's value.
  static std::string Field(const std::string& message, const std::string& name) {
    const size_t start = message.find("\r\n" + name + ": ");
    if (start == message.npos) return "";
    const size_t value = start + name.size() + 4;
    return message.substr(value, message.find("\r\n", value) - value);
  }

  awaitable<void> Delay() {
    const int ms = delay_(random_);
    if (ms == 0) co_return;
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(std::chrono::milliseconds(ms));
    co_await timer.async_wait(kQuiet);
  }

  // The reply to the end of a message; empty: the connection is dropped.
  awaitable<std::string> Take(Envelope envelope, int connection) {
    const std::string head = "\r\n" + envelope.message;
    json line = {{"key", Field(head, "Subject")},
                 {"message_id", Field(head, "Message-ID")},
                 {"connection", connection}};
    const End end = EndOf(envelope.recipients);
    if (end == End::kBusy) co_return "451 4.3.0 Busy\r\n";
    if (end == End::kBad) co_return "554 5.6.0 Not this\r\n";
    co_await Delay();
    std::string lines;
    line["at"] = NowMs();
    if (end != End::kDropBefore) {
      line["event"] = "accepted";
      for (const std::string& recipient : envelope.recipients) {
        line["recipient"] = recipient;
        lines += line.dump() + "\n";
      }
    }
    if (end != End::kTaken) {
      line["event"] = "dropped";
      line.erase("recipient");
      lines += line.dump() + "\n";
    }
    co_await journal_.Append(std::move(lines));
    if (end != End::kTaken) co_return "";
    co_await Delay();
    co_return "250 2.0.0 Kept\r\n";
  }

  awaitable<void> Serve(tcp::socket socket) {
    const int connection = ++connections_;
    std::string input;
    std::string reply = "220 sink.example ESMTP\r\n";
    Envelope envelope;
    bool body = false;
    for (;;) {
      const auto [unsent, sent] = co_await asio::async_write(socket, asio::buffer(reply), kQuiet);
      if (unsent || reply.starts_with("221")) co_return;
      auto buffer = asio::dynamic_buffer(input, kMaxMessage);
      const std::string ending = body ? "\r\n.\r\n" : "\r\n";
      const auto [error, size] = co_await asio::async_read_until(socket, buffer, ending, kQuiet);
      if (error) co_return;
      const std::string text = input.substr(0, size);
      input.erase(0, size);
      if (body) {
        body = false;
        envelope.message = text;
        Envelope whole = std::exchange(envelope, {});
        reply = co_await Take(std::move(whole), connection);
        if (reply.empty()) co_return;
      } else {
        reply = ReplyTo(text, envelope, body);
      }
    }
  }

  // The address between the brackets of MAIL or RCPT.
  static std::string AddressIn(const std::string& command) {
    const size_t start = command.find('<') + 1;
    return command.substr(start, command.find('>') - start);
  }

  std::string ReplyTo(const std::string& command, Envelope& envelope, bool& body) {
    std::string verb = command.substr(0, 4);
    for (char& c : verb) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (verb == "EHLO") {
      return "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
             "250 SIZE 1000000\r\n";
    }
    if (verb == "RCPT") {
      const std::string address = AddressIn(command);
      std::string reply = ReplyToRcpt(address);
      if (reply.starts_with("250")) envelope.recipients.push_back(address);
      return reply;
    }
    if (verb == "DATA") {
      if (envelope.recipients.empty()) return "554 5.5.1 No valid recipients\r\n";
      body = true;
      return "354 Go ahead\r\n";
    }
    if (verb == "QUIT") return "221 2.0.0 Bye\r\n";
    if (verb == "HELO" || verb == "NOOP") return "250 2.0.0 OK\r\n";
    if (verb == "MAIL" || verb == "RSET") {
      envelope = {};
      return "250 2.0.0 OK\r\n";
    }
    return "502 5.5.1 Unknown command\r\n";
  }

  Journal journal_;
  std::mt19937_64 random_;
  std::uniform_int_distribution<int> delay_;
  std::unordered_map<std::string, int> times_;
  int connections_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: crash_sink LOG SEED DELAY_MS\n";
    return 2;
  }
  asio::io_context context(1);
  Sink sink(context, argv[1], std::strtoull(argv[2], nullptr, 10), std::atoi(argv[3]));
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  std::cout << "listening " << acceptor.local_endpoint().port() << std::endl;
  asio::co_spawn(context, sink.Accept(std::move(acceptor)), asio::detached);
  context.run();
}
