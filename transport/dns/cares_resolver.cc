#include "transport/dns/cares_resolver.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>
#include <utility>

#include "transport/dns/cares_channel.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::address;
using base::Cause;
using base::ErrorClass;
using Addresses = std::vector<address>;
using boost::system::error_code;

base::Error DnsError(Cause cause, ErrorClass error_class, std::string detail) {
  return base::Failed(base::Stage::kDns, cause, error_class, std::move(detail));
}

base::Error Cancelled() {
  return DnsError(Cause::kCancelled, ErrorClass::kTransient, "the lookup was cancelled");
}

base::Error TimedOut(const std::string& host) {
  return DnsError(Cause::kTimeout, ErrorClass::kTransient,
                  "no DNS answer for " + host + " in time");
}

base::Error FromStatus(int status, const std::string& host) {
  switch (status) {
    case ARES_ENOTFOUND:
      return DnsError(Cause::kHostNotFound, ErrorClass::kPermanent, "no such host: " + host);
    case ARES_ENODATA:
      return DnsError(Cause::kHostNotFound, ErrorClass::kPermanent,
                      host + " exists but has no address");
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
      return DnsError(Cause::kHostNotFound, ErrorClass::kPermanent, "not a host name: " + host);
    case ARES_ETIMEOUT:
      return TimedOut(host);
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return Cancelled();
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
      return DnsError(Cause::kDnsFailed, ErrorClass::kTransient,
                      "the DNS servers gave no usable answer for " + host);
    default:
      return DnsError(Cause::kDnsFailed, ErrorClass::kTransient,
                      std::string("DNS lookup of ") + host + " failed: " + ares_strerror(status));
  }
}

// An IP address, with or without brackets.
std::optional<address> ParseLiteral(std::string text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  error_code ec;
  address parsed = asio::ip::make_address(text, ec);
  if (ec) return std::nullopt;
  return parsed;
}

}  // namespace

CaresResolver::CaresResolver(const asio::any_io_executor& executor, const CaresOptions& options)
    : channel_(std::make_shared<CaresChannel>(executor, options, 0)) {}

CaresResolver::~CaresResolver() { channel_->Stop(); }

asio::awaitable<base::Result<Addresses>> CaresResolver::Resolve(const std::string& host,
                                                                base::Deadline deadline) {
  if (std::optional<address> literal = ParseLiteral(host)) co_return Addresses{*literal};
  // The resolver may go away meanwhile, and with it `this`.
  const std::shared_ptr<CaresChannel> channel = channel_;
  const std::string name = host;
  co_await asio::this_coro::throw_if_cancelled(false);
  CaresChannel::Reply reply = co_await channel->Addresses(name, deadline);
  if (reply.status == ARES_EBADSTR && !channel->problem().empty()) {
    co_return DnsError(Cause::kDnsFailed, ErrorClass::kTransient, channel->problem());
  }
  if (reply.status != ARES_SUCCESS) co_return FromStatus(reply.status, name);
  if (reply.addresses.empty()) co_return FromStatus(ARES_ENODATA, name);
  co_return std::move(reply.addresses);
}

}  // namespace sendstep::dns
