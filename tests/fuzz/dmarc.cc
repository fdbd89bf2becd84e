// DMARC records, and the walk that finds them in a DNS made of the input.
#include "transport/mailauth/dmarc.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <string>
#include <string_view>

#include "tests/support/fake_lookup.h"

namespace {

namespace asio = boost::asio;
using namespace sendstep;

void Require(bool fact) {
  if (!fact) std::abort();
}

// Lines "name text": TXT records; what has no blank is a name that fails.
void Publish(std::string_view input, testing::FakeLookup& lookup) {
  for (size_t lines = 0; !input.empty() && lines < 50; ++lines) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos) {
      lookup.Fails(std::string(line), dns::Outcome::kTimeout);
    } else {
      lookup.Txt(std::string(line.substr(0, blank)), std::string(line.substr(blank + 1)));
    }
  }
}

asio::awaitable<void> Walk(dns::Inquiry& inquiry, std::string domain) {
  const mailauth::DmarcPolicyFound found = co_await mailauth::DiscoverDmarc(inquiry, domain);
  Require(found.record.has_value() == !found.record_name.empty());
  co_await mailauth::CheckReportUris(inquiry, found);
  const std::string organization = co_await mailauth::OrganizationalDomain(inquiry, domain);
  Require(found.domain == organization || found.domain.ends_with("." + organization) ||
          organization.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const mailauth::ParsedDmarc parsed = mailauth::ParseDmarc(input, "_dmarc.ex.test");
  for (const mailauth::Problem& problem : parsed.problems) {
    Require(!problem.id.empty() && problem.message.size() < 1000);
  }
  testing::FakeLookup lookup;
  Publish(input, lookup);
  asio::io_context context;
  dns::Budget budget;
  dns::Inquiry inquiry(context.get_executor(), lookup, budget);
  std::future<void> done = asio::co_spawn(
      context, Walk(inquiry, std::string(input.substr(0, input.find_first_of(" \n")))),
      asio::use_future);
  context.run();
  done.get();
  Require(inquiry.queries() <= budget.queries);
  return 0;
}
