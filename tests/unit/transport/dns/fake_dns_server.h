// A DNS server on a free port of 127.0.0.1, UDP and TCP, that answers A and AAAA as told, or with
// whatever bytes a test makes (RFC 1035 4). Threads: lives on one executor; give names before the
// first query.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_DNS_FAKE_DNS_SERVER_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_DNS_FAKE_DNS_SERVER_H_

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sendstep::testing {

struct DnsAnswer {
  std::vector<boost::asio::ip::address> addresses;
  int rcode = 0;                // 2 SERVFAIL, 3 NXDOMAIN; applies to every type
  bool truncated = false;       // over UDP: comes without its records, to be asked for over TCP
  bool silent = false;          // no answer at all
  bool silent_on_aaaa = false;  // answers A only
  // In place of all above: the messages to send, whatever they are.
  std::function<std::vector<std::string>(const std::string& query, bool over_tcp)> messages;
};

class FakeDnsServer {
 public:
  using udp = boost::asio::ip::udp;
  using tcp = boost::asio::ip::tcp;

  explicit FakeDnsServer(const boost::asio::any_io_executor& executor) : state_(Open(executor)) {
    boost::asio::co_spawn(executor, Serve(state_), boost::asio::detached);
    boost::asio::co_spawn(executor, Accept(state_), boost::asio::detached);
  }
  ~FakeDnsServer() {
    state_->socket.close();
    state_->acceptor.close();
  }

  // Names that were never added are NXDOMAIN.
  void Add(const std::string& name, DnsAnswer answer) { state_->answers[name] = std::move(answer); }

  // For CaresOptions::servers.
  std::string address() const {
    return "127.0.0.1:" + std::to_string(state_->socket.local_endpoint().port());
  }

  int queries() const { return state_->queries; }
  int tcp_queries() const { return state_->tcp_queries; }

 private:
  struct State {
    explicit State(const boost::asio::any_io_executor& executor)
        : socket(executor, udp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
          acceptor(executor, tcp::endpoint(boost::asio::ip::address_v4::loopback(),
                                           socket.local_endpoint().port())) {}
    udp::socket socket;
    tcp::acceptor acceptor;
    std::map<std::string, DnsAnswer> answers;
    std::atomic<int> queries = 0;
    std::atomic<int> tcp_queries = 0;
  };

  // A port that is free for UDP may be taken for TCP.
  static std::shared_ptr<State> Open(const boost::asio::any_io_executor& executor) {
    for (int tries = 0; tries < 10; ++tries) {
      try {
        return std::make_shared<State>(executor);
      } catch (const boost::system::system_error&) {
      }
    }
    return std::make_shared<State>(executor);
  }

  static boost::asio::awaitable<void> Serve(std::shared_ptr<State> state) {
    std::array<unsigned char, 512> query;
    for (;;) {
      udp::endpoint from;
      boost::system::error_code ec;
      auto token = boost::asio::redirect_error(boost::asio::use_awaitable, ec);
      const size_t size =
          co_await state->socket.async_receive_from(boost::asio::buffer(query), from, token);
      if (ec) co_return;
      ++state->queries;
      const std::string asked(query.begin(), query.begin() + size);
      for (const std::string& reply : Replies(*state, asked, false)) {
        state->socket.send_to(boost::asio::buffer(reply), from, 0, ec);
      }
    }
  }

  static boost::asio::awaitable<void> Accept(std::shared_ptr<State> state) {
    for (;;) {
      boost::system::error_code ec;
      auto token = boost::asio::redirect_error(boost::asio::use_awaitable, ec);
      tcp::socket client = co_await state->acceptor.async_accept(token);
      if (ec) co_return;
      auto executor = client.get_executor();
      boost::asio::co_spawn(executor, ServeTcp(state, std::move(client)), boost::asio::detached);
    }
  }

  // Messages with their length in front (RFC 1035 4.2.2).
  static boost::asio::awaitable<void> ServeTcp(std::shared_ptr<State> state, tcp::socket client) {
    for (;;) {
      boost::system::error_code ec;
      auto token = boost::asio::redirect_error(boost::asio::use_awaitable, ec);
      std::array<unsigned char, 2> length;
      co_await boost::asio::async_read(client, boost::asio::buffer(length), token);
      if (ec) co_return;
      std::string query(length[0] * 256 + length[1], '\0');
      co_await boost::asio::async_read(client, boost::asio::buffer(query), token);
      if (ec) co_return;
      ++state->tcp_queries;
      for (std::string reply : Replies(*state, query, true)) {
        const char size[] = {static_cast<char>(reply.size() / 256),
                             static_cast<char>(reply.size() % 256)};
        reply.insert(0, size, 2);
        co_await boost::asio::async_write(client, boost::asio::buffer(reply), token);
      }
      if (ec) co_return;
    }
  }

  static constexpr size_t kHeader = 12;

  // Of the question; `end` is behind its root label.
  static std::string Name(const std::string& query, size_t& end) {
    std::string name;
    end = kHeader;
    while (end < query.size() && query[end] != 0) {
      const size_t length = static_cast<unsigned char>(query[end]);
      name += (name.empty() ? "" : ".") + query.substr(end + 1, length);
      end += 1 + length;
    }
    ++end;
    return name;
  }

  static std::vector<std::string> Replies(const State& state, const std::string& query,
                                          bool over_tcp) {
    size_t name_end;
    auto found = state.answers.find(Name(query, name_end));
    if (found != state.answers.end() && found->second.messages) {
      return found->second.messages(query, over_tcp);
    }
    DnsAnswer nowhere;
    nowhere.rcode = 3;
    const std::string reply =
        Reply(found == state.answers.end() ? nowhere : found->second, query, name_end, over_tcp);
    if (reply.empty()) return {};
    return {reply};
  }

  static std::string Reply(DnsAnswer answer, const std::string& query, size_t name_end,
                           bool over_tcp) {
    const bool aaaa = query.at(name_end + 1) == 28;
    const size_t question_end = name_end + 4;
    if (answer.silent || (aaaa && answer.silent_on_aaaa)) return {};

    const bool truncated = answer.truncated && !over_tcp;
    if (truncated) answer.addresses.clear();
    std::string records;
    char count = 0;
    for (const boost::asio::ip::address& address : answer.addresses) {
      if (address.is_v6() != aaaa) continue;
      ++count;
      records += std::string("\xc0\x0c\x00", 3) + (aaaa ? '\x1c' : '\x01');
      records += std::string("\x00\x01\x00\x00\x00\x3c\x00", 7);
      if (aaaa) {
        const auto bytes = address.to_v6().to_bytes();
        records += '\x10' + std::string(bytes.begin(), bytes.end());
      } else {
        const auto bytes = address.to_v4().to_bytes();
        records += '\x04' + std::string(bytes.begin(), bytes.end());
      }
    }
    std::string reply = query.substr(0, 2);
    reply += truncated ? '\x83' : '\x81';
    reply += static_cast<char>(0x80 | answer.rcode);
    reply += std::string("\x00\x01\x00", 3) + count + std::string(4, '\0');
    return reply + query.substr(kHeader, question_end - kHeader) + records;
  }

  std::shared_ptr<State> state_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_DNS_FAKE_DNS_SERVER_H_
