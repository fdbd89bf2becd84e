#include "providers/doctor/run.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cctype>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "providers/doctor/diagnose.h"
#include "providers/registry.h"
#include "transport/base/address.h"
#include "transport/dns/cares_lookup.h"
#include "transport/dns/inquiry.h"

namespace sendstep::doctor {
namespace {

namespace asio = boost::asio;

// check_host() has limits of its own: 10 terms, each up to 10 names of an MX or a PTR with an
// address each.
constexpr size_t kSpfQueries = 250;
// One try and another, so that a server that loses a packet is not one that is dead.
constexpr std::chrono::milliseconds kServerTimeout{2000};
constexpr int kTries = 2;

absl::Status Wrong(const std::string& flag, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", what));
}

// A domain as DNS knows it.
absl::Status TakeDomain(const std::string& typed, const std::string& flag, std::string& domain) {
  auto ascii = base::ToAsciiDomain(typed);
  boost::system::error_code not_an_address;
  asio::ip::make_address(typed, not_an_address);
  if (!ascii || !not_an_address) {
    return Wrong(flag, absl::StrCat("\"", typed, "\" is not a domain name",
                                    ascii ? "" : absl::StrCat(" (", ascii.error().detail, ")"),
                                    "; write it as in example.com."));
  }
  domain = *std::move(ascii);
  return absl::OkStatus();
}

absl::StatusOr<asio::ip::address> ParseIp(const std::string& typed) {
  boost::system::error_code failed;
  asio::ip::address ip = asio::ip::make_address(typed, failed);
  if (!failed) return ip;
  return Wrong("--ip", absl::StrCat("\"", typed, "\" is not an IP address."));
}

absl::Status CheckSelector(const std::string& selector) {
  const auto fits = [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  if (!selector.empty() && selector.size() <= 63 && std::ranges::all_of(selector, fits)) {
    return absl::OkStatus();
  }
  return Wrong("--selector", absl::StrCat("\"", selector,
                                          "\" is not a DKIM selector; write what "
                                          "stands before ._domainkey."));
}

absl::StatusOr<Question> ToQuestion(const DomainRequest& request,
                                    const providers::Registry& registry) {
  Question question;
  if (absl::Status status = TakeDomain(request.domain, "DOMAIN", question.from_domain);
      !status.ok()) {
    return status;
  }
  if (!request.envelope_domain.empty()) {
    absl::Status status =
        TakeDomain(request.envelope_domain, "--envelope-domain", question.envelope_domain);
    if (!status.ok()) return status;
  }
  if (!request.provider.empty()) {
    question.profile = registry.FindByName(request.provider);
    if (question.profile == nullptr) {
      const std::string near = registry.Nearest(request.provider);
      return Wrong("--provider", absl::StrCat("there is no provider \"", request.provider, "\"",
                                              near.empty() ? "." : "; did you mean " + near + "?"));
    }
  }
  if (question.profile != nullptr && question.profile->id() == "sandbox") {
    return Wrong("--provider", "the sandbox keeps its mail; name the provider that is to send it.");
  }
  for (const std::string& selector : request.selectors) {
    if (absl::Status status = CheckSelector(selector); !status.ok()) return status;
  }
  question.selectors = request.selectors;
  question.mailbox_provider = registry.FindByMailDomain(question.from_domain);
  question.helo = request.helo;
  if (!request.ip.empty()) {
    auto ip = ParseIp(request.ip);
    if (!ip.ok()) return ip.status();
    question.ip = *ip;
  }
  return question;
}

// Runs `work(inquiry)`, a coroutine, in this thread.
template <class Result, class Work>
absl::StatusOr<Result> WithInquiry(const DnsSettings& settings, size_t queries, Work work) {
  const dns::DnsServers servers = dns::ParseServers(settings.servers);
  if (!servers.problem.empty()) return Wrong("--dns-server", servers.problem);
  asio::io_context context;
  dns::CaresOptions options;
  options.servers = settings.servers;
  options.timeout = kServerTimeout;
  options.tries = kTries;
  dns::CaresLookup lookup(context.get_executor(), options);
  dns::Budget budget;
  budget.queries = queries;
  budget.deadline = base::Deadline::After(settings.time);
  dns::Inquiry inquiry(context.get_executor(), lookup, budget);
  std::future<Result> result = asio::co_spawn(context, work(inquiry), asio::use_future);
  while (result.wait_for(std::chrono::seconds(0)) != std::future_status::ready) context.run_one();
  return result.get();
}

}  // namespace

absl::StatusOr<Diagnosis> RunDiagnosis(const DomainRequest& request, const DnsSettings& settings) {
  static const providers::Registry registry = providers::Registry::Embedded();
  absl::StatusOr<Question> question = ToQuestion(request, registry);
  if (!question.ok()) return question.status();
  return WithInquiry<Diagnosis>(settings, dns::Budget().queries, [&](dns::Inquiry& inquiry) {
    return Diagnose(inquiry, *std::move(question));
  });
}

absl::StatusOr<mailauth::SpfVerdict> RunSpf(const SpfRequest& request,
                                            const DnsSettings& settings) {
  auto ip = ParseIp(request.ip);
  if (!ip.ok()) return ip.status();
  const mailauth::SpfQuestion question{*ip, request.sender, request.helo};
  return WithInquiry<mailauth::SpfVerdict>(settings, kSpfQueries, [&](dns::Inquiry& inquiry) {
    return mailauth::CheckHost(inquiry, question);
  });
}

}  // namespace sendstep::doctor
