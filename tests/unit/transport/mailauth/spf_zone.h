// DNS as text, and questions put to it, for the tests of SPF.
#ifndef SENDSTEP_TESTS_UNIT_TRANSPORT_MAILAUTH_SPF_ZONE_H_
#define SENDSTEP_TESTS_UNIT_TRANSPORT_MAILAUTH_SPF_ZONE_H_

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "tests/support/fake_lookup.h"
#include "transport/dns/inquiry.h"

namespace sendstep::testing {

// Adds one line: "example.com TXT v=spf1 -all", "example.com MX 10 mail.example.com", A, AAAA,
// CNAME, PTR; "example.com SERVFAIL" and "example.com TIMEOUT" for all questions about a name.
inline void AddToZone(const std::string& line, FakeLookup& zone) {
  std::istringstream in(line);
  std::string name, type, data;
  in >> name >> type >> std::ws;
  std::getline(in, data);
  if (type == "TXT") {
    zone.Txt(name, data);
  } else if (type == "A" || type == "AAAA") {
    zone.Address(name, data);
  } else if (type == "MX") {
    const size_t blank = data.find(' ');
    const std::string host = data.substr(blank + 1);
    zone.Mx(name, static_cast<uint16_t>(std::stoi(data)), host == "." ? "" : host);
  } else if (type == "CNAME") {
    zone.Name(name, dns::RecordType::kCname, data);
  } else if (type == "PTR") {
    zone.Name(name, dns::RecordType::kPtr, data);
  } else if (type == "SERVFAIL") {
    zone.Fails(name, dns::Outcome::kFailed);
  } else if (type == "TIMEOUT") {
    zone.Fails(name, dns::Outcome::kTimeout);
  } else {
    ADD_FAILURE() << "not a line of a zone: " << line;
  }
}

// Lines as above; empty ones count for nothing.
inline void AddZone(const std::string& text, FakeLookup& zone) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin != std::string::npos) AddToZone(line.substr(begin), zone);
  }
}

// Runs `make(inquiry)`, a coroutine, to its end.
template <class T, class Make>
T AskZone(FakeLookup& zone, Make make, size_t queries = 200) {
  boost::asio::io_context context;
  dns::Budget budget;
  budget.queries = queries;
  dns::Inquiry inquiry(context.get_executor(), zone, budget);
  std::optional<T> result;
  boost::asio::co_spawn(context, make(inquiry), [&](std::exception_ptr failed, T value) {
    if (failed) std::rethrow_exception(failed);
    result = std::move(value);
  });
  context.run();
  return std::move(result).value();
}

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_UNIT_TRANSPORT_MAILAUTH_SPF_ZONE_H_
