// SPF records: which TXT record is one, and its terms (RFC 7208 4.5, 4.6, 12). No I/O.
#ifndef SENDSTEP_TRANSPORT_MAILAUTH_SPF_RECORD_H_
#define SENDSTEP_TRANSPORT_MAILAUTH_SPF_RECORD_H_

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/mailauth/spf_macro.h"

namespace sendstep::mailauth {

enum class SpfKind { kAll, kInclude, kA, kMx, kPtr, kIp4, kIp6, kExists, kRedirect, kExp, kOther };

// A mechanism or modifier.
struct SpfTerm {
  SpfKind kind = SpfKind::kOther;
  char qualifier = '+';  // of a mechanism: + - ? ~
  std::string text;      // as written
  size_t offset = 0;     // of `text`, in the record
  // The domain-spec, macros and all; empty: the domain whose record it is.
  std::string domain;
  boost::asio::ip::address network;  // ip4, ip6
  unsigned prefix4 = 32;             // ip4, a, mx
  unsigned prefix6 = 128;            // ip6, a, mx

  // Include, a, mx, ptr, exists and redirect: ten of them are allowed (RFC 7208 4.6.4).
  bool costs_lookup() const;
};

struct SpfRecord {
  std::vector<SpfTerm> mechanisms;  // in order; with faults, those that are right
  std::optional<SpfTerm> redirect;
  std::optional<SpfTerm> exp;
  std::vector<SpfTerm> others;   // modifiers that mean nothing (RFC 7208 6)
  std::vector<SpfFault> faults;  // any of them makes the record a permerror; the first 16

  // Mechanisms up to the first `all`; those behind it are never tested (RFC 7208 5.1).
  size_t live_mechanisms() const;
  bool has_all() const;
};

// "v=spf1", in any case, and then a blank or the end (RFC 7208 4.5).
bool IsSpf(std::string_view txt);

// Not IsSpf(), but meant to be: blanks or quotes in front of it, another character behind it.
bool LooksLikeSpf(std::string_view txt);

// Where a blank seems to be missing within a term: the rest of `text` from there, "~all" of
// "ip4:192.0.2.7~all". Empty: nowhere.
std::string_view GluedTerm(std::string_view text);

// `record` is one by IsSpf(). Takes time in proportion to it.
SpfRecord ParseSpf(std::string_view record);

// The record, cut around the fault so that it fits `columns`, and under it a line that points at
// the fault. Bytes that are not visible ASCII are shown as "?".
std::string PointAt(std::string_view record, const SpfFault& fault, size_t columns = 78);

// In quotes, for a message: at most 80 bytes, what is not visible ASCII as \xHH, quotes and
// backslashes behind a backslash.
std::string Quoted(std::string_view text);

}  // namespace sendstep::mailauth

#endif  // SENDSTEP_TRANSPORT_MAILAUTH_SPF_RECORD_H_
