// Builds DNS messages byte by byte, right and wrong ones (RFC 1035 4).
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_DNS_DNS_WIRE_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_DNS_DNS_WIRE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "transport/dns/lookup.h"

namespace sendstep::testing {

inline std::string Number(size_t bytes, uint64_t number) {
  std::string out;
  while (bytes-- > 0) out += static_cast<char>(number >> (8 * bytes));
  return out;
}

// Its labels, uncompressed.
inline std::string WireName(const std::string& name) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    out += Number(1, end - at) + name.substr(at, end - at);
    at = end + 1;
  }
  return out + Number(1, 0);
}

// A pointer to `offset`; 12 is the question's name.
inline std::string Pointer(uint16_t offset) { return Number(2, 0xc000 | offset); }

// A record whose owner is given as bytes.
inline std::string RawRecord(const std::string& owner, uint16_t type, uint32_t ttl,
                             const std::string& data, uint16_t dns_class = 1) {
  return owner + Number(2, type) + Number(2, dns_class) + Number(4, ttl) + Number(2, data.size()) +
         data;
}

inline std::string WireRecord(const std::string& owner, dns::RecordType type, uint32_t ttl,
                              const std::string& data) {
  return RawRecord(WireName(owner), static_cast<uint16_t>(type), ttl, data);
}

// A TXT record's strings.
inline std::string Strings(const std::vector<std::string>& strings) {
  std::string out;
  for (const std::string& one : strings) out += Number(1, one.size()) + one;
  return out;
}

inline std::string Soa(const std::string& zone, uint32_t ttl, uint32_t minimum) {
  constexpr uint16_t kSoa = 6;
  const std::string data = WireName("ns." + zone) + WireName("hostmaster." + zone) + Number(4, 1) +
                           Number(4, 2) + Number(4, 3) + Number(4, 4) + Number(4, minimum);
  return RawRecord(WireName(zone), kSoa, ttl, data);
}

struct WireMessage {
  std::string name;
  dns::RecordType type = dns::RecordType::kTxt;
  std::vector<std::string> answers = {};
  std::vector<std::string> authorities = {};
  std::vector<std::string> additionals = {};
  int rcode = 0;
  uint16_t flags = 0x8180;  // a response, recursion desired and available

  // `id`: the first two bytes of the query.
  std::string Bytes(const std::string& id = std::string(2, '\0')) const {
    std::string out = id.substr(0, 2) + Number(2, flags | rcode) + Number(2, 1) +
                      Number(2, answers.size()) + Number(2, authorities.size()) +
                      Number(2, additionals.size()) + WireName(name) +
                      Number(2, static_cast<uint16_t>(type)) + Number(2, 1);
    for (const auto* section : {&answers, &authorities, &additionals}) {
      for (const std::string& record : *section) out += record;
    }
    return out;
  }
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_DNS_DNS_WIRE_H_
