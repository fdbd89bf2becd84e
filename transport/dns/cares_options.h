// Which DNS servers are asked, and how patiently.
#ifndef SENDSTEP_TRANSPORT_DNS_CARES_OPTIONS_H_
#define SENDSTEP_TRANSPORT_DNS_CARES_OPTIONS_H_

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sendstep::dns {

struct CaresOptions {
  // Servers instead of those of resolv.conf, see ParseServers.
  std::string servers;
  // For the first answer of a server; doubled with every further round.
  std::chrono::milliseconds timeout{2000};
  // Rounds through the servers.
  int tries = 3;
};

struct DnsServer {
  boost::asio::ip::address address;
  uint16_t port = 53;
};

struct DnsServers {
  std::vector<DnsServer> servers;
  std::string
      problem;  // not empty: one sentence about what cannot be read, and there are no servers
};

// ADDRESS, ADDRESS:PORT or [IPV6]:PORT, several of them with commas between:
// "192.0.2.53,[2001:db8::53]:5353". Of "" there are none.
DnsServers ParseServers(const std::string& text);

}  // namespace sendstep::dns

#endif  // SENDSTEP_TRANSPORT_DNS_CARES_OPTIONS_H_
