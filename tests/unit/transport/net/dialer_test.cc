#include "transport/net/dialer.h"

#include <gmock/gmock.h>

#include <boost/asio/post.hpp>
#include <deque>
#include <map>
#include <string>

#include "tests/support/loopback_server.h"
#include "tests/unit/transport/net/coroutine_test.h"

namespace sendstep::net {
namespace {

namespace asio = boost::asio;
using asio::ip::make_address;
using base::Cause;
using base::Deadline;
using base::Result;
using boost::system::error_code;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using Addresses = std::vector<asio::ip::address>;

const auto kNow = base::Clock::now;

Addresses Make(std::initializer_list<const char*> texts) {
  Addresses addresses;
  for (const char* text : texts) addresses.push_back(make_address(text));
  return addresses;
}

TEST(Interleave, FamiliesTakeTurnsBeginningWithTheFirst) {
  EXPECT_EQ(Interleave(Make({"2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"})),
            Make({"2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"}));
  EXPECT_EQ(Interleave(Make({"192.0.2.1", "192.0.2.2", "2001:db8::1"})),
            Make({"192.0.2.1", "2001:db8::1", "192.0.2.2"}));
  EXPECT_EQ(Interleave({}), Addresses{});
}

TEST(EndpointText, BracketsIpv6) {
  EXPECT_EQ(EndpointText({make_address("192.0.2.1"), 587}), "192.0.2.1:587");
  EXPECT_EQ(EndpointText({make_address("2001:db8::1"), 465}), "[2001:db8::1]:465");
}

// Dial against a network of which the test decides what every address does.
class DialTest : public testing::CoroutineTest {
 protected:
  struct Seen {
    std::string address;
    tcp::socket* socket;
    std::function<void(error_code)> done;
    base::Clock::time_point at;
  };

  DialOptions Options(milliseconds delay) {
    DialOptions options;
    options.attempt_delay = delay;
    options.connector = [this](tcp::socket& socket, const tcp::endpoint& endpoint,
                               std::function<void(error_code)> done) {
      const std::string address = endpoint.address().to_string();
      seen_.push_back({address, &socket, done, kNow()});
      auto outcome = outcomes_.find(address);
      if (outcome == outcomes_.end()) return;  // hangs
      asio::post(socket.get_executor(), [done, ec = outcome->second] { done(ec); });
    };
    return options;
  }

  std::shared_ptr<testing::Running<Result<tcp::socket>>> StartDial(
      Addresses addresses, milliseconds delay = hours(1), Deadline deadline = Deadline::Never()) {
    auto body = [this, addresses, delay, deadline]() -> asio::awaitable<Result<tcp::socket>> {
      DialOptions options = Options(delay);
      co_return co_await Dial(addresses, 587, deadline, std::move(options));
    };
    return Start<Result<tcp::socket>>(body);
  }

  std::vector<std::string> Tried() const {
    std::vector<std::string> tried;
    for (const Seen& seen : seen_) tried.push_back(seen.address);
    return tried;
  }

  std::map<std::string, error_code> outcomes_;
  std::deque<Seen> seen_;
};

TEST_F(DialTest, FirstAddressThatConnectsEndsIt) {
  outcomes_["192.0.2.1"] = {};
  Result<tcp::socket> socket = Finish(StartDial(Make({"192.0.2.1", "192.0.2.2"})));
  ASSERT_TRUE(socket);
  EXPECT_TRUE(socket->is_open());
  EXPECT_THAT(Tried(), ElementsAre("192.0.2.1"));
}

TEST_F(DialTest, FailedAttemptIsFollowedAtOnce) {
  outcomes_["192.0.2.1"] = asio::error::network_unreachable;
  outcomes_["192.0.2.2"] = asio::error::connection_refused;
  outcomes_["192.0.2.3"] = {};
  Result<tcp::socket> socket =
      Finish(StartDial(Make({"192.0.2.1", "192.0.2.2", "192.0.2.3"}), hours(1)));
  ASSERT_TRUE(socket);
  EXPECT_THAT(Tried(), ElementsAre("192.0.2.1", "192.0.2.2", "192.0.2.3"));
}

TEST_F(DialTest, FamiliesTakeTurns) {
  outcomes_["2001:db8::1"] = asio::error::network_unreachable;
  outcomes_["192.0.2.1"] = {};
  ASSERT_TRUE(Finish(StartDial(Make({"2001:db8::1", "2001:db8::2", "192.0.2.1"}))));
  // Where no IPv6 socket can be made, IPv6 fails before the connector is asked.
  EXPECT_THAT(Tried(), AnyOf(ElementsAre("2001:db8::1", "192.0.2.1"), ElementsAre("192.0.2.1")));
}

TEST_F(DialTest, FailedAttemptKeepsNoDescriptor) {
  outcomes_["192.0.2.1"] = asio::error::connection_refused;
  auto running = StartDial(Make({"192.0.2.1", "192.0.2.2"}));
  RunUntil([&] { return seen_.size() == 2; });
  EXPECT_FALSE(seen_[0].socket->is_open());
  seen_[1].done({});
  EXPECT_TRUE(Finish(running));
}

TEST_F(DialTest, OfManyAddressesSixteenAreTried) {
  Addresses many;
  for (int i = 0; i < 100; ++i) {
    const std::string address = "192.0.2." + std::to_string(i);
    outcomes_[address] = asio::error::connection_refused;
    many.push_back(make_address(address));
  }
  Result<tcp::socket> socket = Finish(StartDial(many));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, base::Cause::kConnectionRefused);
  EXPECT_EQ(seen_.size(), 16u);
}

TEST_F(DialTest, ResetByTheServerIsConnectionLost) {
  outcomes_["192.0.2.1"] = asio::error::connection_reset;
  Result<tcp::socket> socket = Finish(StartDial(Make({"192.0.2.1"})));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, base::Cause::kConnectionLost);
}

TEST_F(DialTest, SilentAttemptIsFollowedAfterTheDelay) {
  outcomes_["192.0.2.2"] = {};
  Result<tcp::socket> socket =
      Finish(StartDial(Make({"192.0.2.1", "192.0.2.2"}), milliseconds(30)));
  ASSERT_TRUE(socket);
  ASSERT_THAT(Tried(), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_GE(seen_[1].at - seen_[0].at, milliseconds(30));
  EXPECT_FALSE(seen_[0].socket->is_open()) << "the loser is closed";
}

TEST_F(DialTest, SlowFirstAttemptCanStillWin) {
  auto running = StartDial(Make({"192.0.2.1", "192.0.2.2"}), milliseconds(10));
  RunUntil([&] { return seen_.size() == 2; });
  const int handle = seen_[0].socket->native_handle();
  seen_[0].done({});
  Result<tcp::socket> socket = Finish(running);
  ASSERT_TRUE(socket);
  EXPECT_EQ(socket->native_handle(), handle);
  EXPECT_FALSE(seen_[1].socket->is_open());
}

TEST_F(DialTest, RefusedOnlyWhenAllRefused) {
  outcomes_["192.0.2.1"] = asio::error::connection_refused;
  outcomes_["192.0.2.2"] = asio::error::connection_refused;
  Result<tcp::socket> socket = Finish(StartDial(Make({"192.0.2.1", "192.0.2.2"})));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().stage, base::Stage::kTcp);
  EXPECT_EQ(socket.error().cause, Cause::kConnectionRefused);
  EXPECT_EQ(socket.error().error_class, base::ErrorClass::kTransient);
  EXPECT_EQ(socket.error().detail,
            "192.0.2.1:587: connection refused; 192.0.2.2:587: connection refused");
}

TEST_F(DialTest, MissingIpv6DoesNotHideTheRefusal) {
  outcomes_["2001:db8::1"] = asio::error::network_unreachable;
  outcomes_["192.0.2.1"] = asio::error::connection_refused;
  Result<tcp::socket> socket = Finish(StartDial(Make({"2001:db8::1", "192.0.2.1"})));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kConnectionRefused);
  EXPECT_EQ(socket.error().detail,
            "[2001:db8::1]:587: no route to this network; 192.0.2.1:587: connection refused");
}

TEST_F(DialTest, HostUnreachableIsUnreachable) {
  outcomes_["192.0.2.1"] = asio::error::host_unreachable;
  outcomes_["192.0.2.2"] = asio::error::connection_refused;
  Result<tcp::socket> socket = Finish(StartDial(Make({"192.0.2.1", "192.0.2.2"})));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kUnreachable);
}

TEST_F(DialTest, SilenceUntilTheDeadlineIsTimeout) {
  outcomes_["192.0.2.1"] = asio::error::connection_refused;
  auto running = StartDial(Make({"192.0.2.1", "192.0.2.2"}), hours(1), Deadline::After(seconds(2)));
  Result<tcp::socket> socket = Finish(running);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kTimeout);
  EXPECT_EQ(socket.error().detail, "192.0.2.1:587: connection refused; 192.0.2.2:587: no answer");
  ASSERT_EQ(seen_.size(), 2u);
  EXPECT_FALSE(seen_[1].socket->is_open());
}

TEST_F(DialTest, PassedDeadlineTriesNothing) {
  Result<tcp::socket> socket =
      Finish(StartDial(Make({"192.0.2.1"}), hours(1), Deadline::After(milliseconds(-1))));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kTimeout);
  EXPECT_TRUE(seen_.empty());
}

TEST_F(DialTest, CancellationClosesEveryAttempt) {
  auto running = StartDial(Make({"192.0.2.1", "192.0.2.2"}), milliseconds(5));
  RunUntil([&] { return seen_.size() == 2; });
  running->Cancel();
  Result<tcp::socket> socket = Finish(running);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kCancelled);
  EXPECT_FALSE(seen_[0].socket->is_open());
  EXPECT_FALSE(seen_[1].socket->is_open());
}

TEST_F(DialTest, NoAddressIsUnreachable) {
  Result<tcp::socket> socket = Finish(StartDial({}));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kUnreachable);
}

TEST_F(DialTest, ConnectsOverTheNetworkPastAClosedPort) {
  testing::LoopbackServer server(
      context_.get_executor(),
      [](testing::Peer& peer) -> asio::awaitable<void> { co_await peer.ReadAll(); });
  auto body = [&]() -> asio::awaitable<Result<tcp::socket>> {
    co_return co_await Dial(Make({"127.0.0.2", "127.0.0.1"}), server.port(), Deadline::Never());
  };
  Result<tcp::socket> socket = Await<Result<tcp::socket>>(body);
  ASSERT_TRUE(socket) << socket.error().detail;
  EXPECT_EQ(socket->remote_endpoint(), server.endpoint());
  tcp::no_delay no_delay;
  socket->get_option(no_delay);
  EXPECT_TRUE(no_delay.value());
}

TEST_F(DialTest, ClosedPortsOfTheNetworkAreRefused) {
  uint16_t port = 0;
  {
    tcp::acceptor acceptor(context_, {asio::ip::address_v4::loopback(), 0});
    port = acceptor.local_endpoint().port();
  }
  auto body = [&]() -> asio::awaitable<Result<tcp::socket>> {
    co_return co_await Dial(Make({"127.0.0.1", "127.0.0.2"}), port, Deadline::Never());
  };
  Result<tcp::socket> socket = Await<Result<tcp::socket>>(body);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().cause, Cause::kConnectionRefused);
}

}  // namespace
}  // namespace sendstep::net
