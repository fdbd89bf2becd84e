// Macros of SPF records and explanations: their syntax and what they become (RFC 7208 7). No I/O.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_SPF_MACRO_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_SPF_MACRO_H_

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sendstep::mailauth {

// What is wrong with a text, and where.
struct SpfFault {
  size_t offset = 0;  // bytes
  size_t length = 1;
  std::string message;  // one phrase
};

// Whose macros: %{c}, %{r} and %{t} may stand in explanations only (RFC 7208 7.2).
enum class SpfMacroUse { kDomain, kExplanation };

// The first thing that is wrong with a macro-string of RFC 7208 7.1; of an explanation, blanks may
// stand in it.
std::optional<SpfFault> CheckSpfMacros(std::string_view text, SpfMacroUse use);

// Of a domain-spec, which has to end in a top label or a macro as well. An empty one is wrong.
std::optional<SpfFault> CheckSpfDomainSpec(std::string_view text);

// Does `text` have a macro of one of these letters (lower case)?
bool UsesSpfMacro(std::string_view text, std::string_view letters);

// What macros are expanded from.
struct SpfMacroValues {
  std::string local_part, sender_domain;  // of the sender: %{l}, %{o}; %{s} is both
  std::string domain;                     // %{d}: whose record is being read
  boost::asio::ip::address ip;            // %{i}, %{c}, %{v}
  std::string validated = "unknown";      // %{p}
  std::string helo;                       // %{h}
  std::string receiver = "unknown";       // %{r}
  int64_t now = 0;                        // %{t}: seconds since 1970
};

// `text` has been checked. The result grows with it and with the values; nothing else bounds it.
std::string ExpandSpfMacros(std::string_view text, const SpfMacroValues& values);

// As a name to ask for: without its last dot, and without labels at its begin past 253 bytes (RFC
// 7208 7.3). What macros made of it need not be a name that can exist.
std::string ExpandSpfDomain(std::string_view text, const SpfMacroValues& values);

// "4.3.2.1.in-addr.arpa", "…8.b.d.0.1.0.0.2.ip6.arpa".
std::string ReverseName(const boost::asio::ip::address& ip);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_SPF_MACRO_H_
