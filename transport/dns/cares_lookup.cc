#include "transport/dns/cares_lookup.h"

#include <boost/asio/this_coro.hpp>
#include <optional>
#include <utility>

#include "transport/dns/cares_channel.h"
#include "transport/dns/message.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;

constexpr int kFlags = ARES_FLAG_EDNS;

Answer Without(Outcome outcome, std::string detail) {
  Answer answer;
  answer.outcome = outcome;
  answer.detail = std::move(detail);
  return answer;
}

// A query that ended without a message.
Answer FromStatus(int status, const std::string& problem) {
  if (!problem.empty()) return Without(Outcome::kFailed, problem);
  switch (status) {
    case ARES_ENOTFOUND:  // c-ares asks for no .onion (RFC 7686 2)
    case ARES_EBADNAME:
      return Without(Outcome::kNoDomain, "");
    case ARES_ETIMEOUT:
      return Without(Outcome::kTimeout, "no DNS server answered in time");
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return Without(Outcome::kFailed, "the lookup was cancelled");
    case ARES_ECONNREFUSED:
      return Without(Outcome::kFailed, "no DNS server can be reached");
    default:
      return Without(Outcome::kFailed, std::string("DNS lookup failed: ") + ares_strerror(status));
  }
}

// Another server may know better.
bool IsServersOwnFailure(const CaresChannel::Reply& reply) {
  return reply.status == ARES_ESERVFAIL || reply.status == ARES_EREFUSED ||
         reply.status == ARES_ENOTIMP;
}

}  // namespace

// c-ares either shows what a server answered or, where that is an error, asks the next one and
// keeps the answer to itself; only flags of the whole channel say which.
struct CaresLookup::Channels {
  Channels(const asio::any_io_executor& executor, const CaresOptions& options)
      : telling(std::make_shared<CaresChannel>(executor, options, kFlags | ARES_FLAG_NOCHECKRESP)),
        asking_all(std::make_shared<CaresChannel>(executor, options, kFlags)) {}

  // From any executor.
  static asio::awaitable<CaresChannel::Reply> Ask(std::shared_ptr<const Channels> self,
                                                  std::string name, RecordType type,
                                                  base::Deadline deadline) {
    CaresChannel::Reply first = co_await self->telling->Ask(name, type, deadline);
    if (!IsServersOwnFailure(first) || self->telling->servers() < 2) co_return first;
    CaresChannel::Reply other = co_await self->asking_all->Ask(name, type, deadline);
    if (other.message.empty()) co_return first;
    co_return other;
  }

  const std::shared_ptr<CaresChannel> telling, asking_all;
};

CaresLookup::CaresLookup(const asio::any_io_executor& executor, const CaresOptions& options)
    : channels_(std::make_shared<const Channels>(executor, options)) {}

CaresLookup::~CaresLookup() { Stop(); }

void CaresLookup::Stop() {
  channels_->telling->Stop();
  channels_->asking_all->Stop();
}

asio::awaitable<Answer> CaresLookup::Query(std::string name, RecordType type,
                                           base::Deadline deadline) {
  // The lookup may go away meanwhile, and with it `this`.
  const std::shared_ptr<const Channels> channels = channels_;
  co_await asio::this_coro::throw_if_cancelled(false);
  std::optional<std::string> asked = AskableName(name);
  if (!asked) co_return Without(Outcome::kNoDomain, "");
  Answer answer;
  for (;;) {
    const CaresChannel::Reply reply = co_await Channels::Ask(channels, *asked, type, deadline);
    if (reply.message.empty()) {
      Answer ended = FromStatus(reply.status, channels->telling->problem());
      ended.aliases = std::move(answer.aliases);
      co_return ended;
    }
    if (ReadMessage(reply.message, *asked, type, answer) == Reading::kDone) co_return answer;
    asked = AskableName(answer.aliases.back());
    if (!asked) {
      answer.outcome = Outcome::kFailed;
      answer.detail = "its CNAME leads to a name that cannot be asked for";
      co_return answer;
    }
  }
}

}  // namespace sendstep::dns
