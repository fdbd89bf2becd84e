#include "transport/dns/cares_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sendstep::dns {
namespace {

using ::testing::HasSubstr;

TEST(DnsServers, AddressesPortsAndBracketsAreRead) {
  const DnsServers parsed = ParseServers("192.0.2.1,192.0.2.2:5353,2001:db8::1,[::1],[::2]:65535");
  EXPECT_EQ(parsed.problem, "");
  std::vector<std::string> seen;
  for (const DnsServer& server : parsed.servers) {
    seen.push_back(server.address.to_string() + " " + std::to_string(server.port));
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("192.0.2.1 53", "192.0.2.2 5353", "2001:db8::1 53",
                                           "::1 53", "::2 65535"));
}

TEST(DnsServers, NoneAreNoProblem) {
  EXPECT_TRUE(ParseServers("").servers.empty());
  EXPECT_EQ(ParseServers("").problem, "");
}

TEST(DnsServers, NonsenseIsQuoted) {
  for (const char* bad :
       {"dns.example", "1.2.3", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:5x",
        "1.2.3.4:-1", "[::1", "[::1]5", "[::1]:", "[1.2.3.4]:53", "::1]:53", "fe80::1%lo",
        " 1.2.3.4", "1.2.3.4 ", ":53", "[]:53", "udp://1.2.3.4"}) {
    const DnsServers parsed = ParseServers(std::string("192.0.2.1,") + bad);
    EXPECT_TRUE(parsed.servers.empty()) << bad;
    EXPECT_THAT(parsed.problem, HasSubstr("\"" + std::string(bad) + "\" is not a DNS server"));
  }
  EXPECT_THAT(ParseServers("192.0.2.1,").problem, HasSubstr("\"\" is not a DNS server"));
  EXPECT_THAT(ParseServers(",192.0.2.1").problem, HasSubstr("\"\" is not a DNS server"));
  EXPECT_LT(ParseServers(std::string(100000, 'x')).problem.size(), 300u);
}

}  // namespace
}  // namespace sendstep::dns
