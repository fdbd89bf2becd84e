#include "transport/dns/submission.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <random>
#include <utility>

#include "transport/base/address.h"
#include "transport/dns/inquiry.h"

namespace sendstep::dns {
namespace {

namespace asio = boost::asio;
using base::Cause;
using base::ErrorClass;

constexpr size_t kMaxServers = 8;
constexpr size_t kMaxBytes = 32 * 1024;

struct Service {
  std::string name;
  bool implicit_tls;
};

// What the answers had beside servers.
struct Misses {
  std::string asked;         // "_submissions._tcp.example.com and ..."
  std::string failed;        // why one of them is not known
  bool timed_out = false;    // and that was time
  bool not_offered = false;  // one has the target "."
  bool unusable = false;     // one names no host
};

base::Error NotFound(const Misses& misses) {
  const auto error = [](Cause cause, ErrorClass error_class, std::string detail) {
    return base::Failed(base::Stage::kDns, cause, error_class, std::move(detail));
  };
  if (misses.timed_out) {
    return error(Cause::kTimeout, ErrorClass::kTransient,
                 "no DNS answer about " + misses.asked + " in time");
  }
  if (!misses.failed.empty()) {
    return error(Cause::kDnsFailed, ErrorClass::kTransient,
                 "asked for the SRV records of " + misses.asked + ": " + misses.failed);
  }
  const char* why = misses.not_offered ? "the domain offers no mail submission"
                    : misses.unusable  ? "they name no host"
                                       : "there are none";
  return error(Cause::kHostNotFound, ErrorClass::kPermanent,
               "asked for the SRV records of " + misses.asked + ": " + why);
}

void AddServers(const Answer& answer, bool implicit_tls, const Pick& pick,
                std::vector<SubmissionServer>& servers, Misses& misses) {
  if (answer.outcome == Outcome::kTimeout) misses.timed_out = true;
  if (!answer.found() && !answer.is_void()) misses.failed = answer.detail;
  for (const Record& record : SrvOrder(answer.records, pick)) {
    if (record.name.empty()) {
      misses.not_offered = true;
      continue;
    }
    const auto host = base::ToAsciiDomain(record.name);
    if (!host || record.port == 0) {
      misses.unusable = true;
      continue;
    }
    if (servers.size() < kMaxServers) servers.push_back({*host, record.port, implicit_tls});
  }
}

}  // namespace

Pick RandomPick() {
  return [](uint32_t max) {
    thread_local std::mt19937 random{std::random_device{}()};
    return std::uniform_int_distribution<uint32_t>(0, max)(random);
  };
}

std::vector<Record> SrvOrder(std::vector<Record> records, const Pick& pick) {
  std::stable_sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
    if (a.preference != b.preference) return a.preference < b.preference;
    return a.weight == 0 && b.weight != 0;  // so that no weight still has a small chance
  });
  for (auto begin = records.begin(); begin != records.end(); ++begin) {
    const auto end = std::find_if(begin, records.end(), [&](const Record& record) {
      return record.preference != begin->preference;
    });
    uint32_t sum = 0;
    for (auto record = begin; record != end; ++record) sum += record->weight;
    uint32_t left = pick(sum);
    auto chosen = begin;
    while (left > chosen->weight) left -= (chosen++)->weight;
    std::rotate(begin, chosen, chosen + 1);
  }
  return records;
}

asio::awaitable<base::Result<std::vector<SubmissionServer>>> FindSubmission(
    Lookup& lookup, SubmissionQuestion question, base::Deadline deadline, Pick pick) {
  std::vector<Service> services;
  if (question.implicit_tls) services.push_back({"_submissions._tcp." + question.domain, true});
  if (question.starttls) services.push_back({"_submission._tcp." + question.domain, false});

  Budget budget;
  budget.queries = services.size();
  budget.bytes = kMaxBytes;
  budget.deadline = deadline;
  Inquiry inquiry(co_await asio::this_coro::executor, lookup, budget);
  for (const Service& service : services) inquiry.Begin(service.name, RecordType::kSrv);
  std::vector<SubmissionServer> servers;
  Misses misses;
  for (const Service& service : services) {
    misses.asked += (misses.asked.empty() ? "" : " and ") + service.name;
    const Answer answer = co_await inquiry.Ask(service.name, RecordType::kSrv);
    AddServers(answer, service.implicit_tls, pick, servers, misses);
  }
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) {
    co_return base::Failed(base::Stage::kDns, Cause::kCancelled, ErrorClass::kTransient,
                           "the lookup was cancelled");
  }
  if (servers.empty()) co_return NotFound(misses);
  co_return servers;
}

}  // namespace sendstep::dns
