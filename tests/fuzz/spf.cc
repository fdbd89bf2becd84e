// Fuzzes all that reads SPF records: the parser, macros, check_host() and the walk, with a DNS
// whose every answer is drawn from the input.
//
// Input: a byte that seeds the DNS, a byte that picks the host's address, then lines: the sender,
// HELO, and TXT records.
#include "transport/mailauth/spf.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "transport/dns/inquiry.h"
#include "transport/mailauth/spf_macro.h"
#include "transport/mailauth/spf_record.h"
#include "transport/mailauth/spf_walk.h"

namespace {

namespace asio = boost::asio;
using namespace sendstep;

constexpr size_t kMostBytes = 4096;
constexpr const char* kAddresses[] = {"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "0.0.0.0"};

void Require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "does not hold: " << what << '\n';
  std::abort();
}

// What a name answers depends on its letters, the seed and the type alone.
class DrawnLookup : public dns::Lookup {
 public:
  DrawnLookup(std::vector<std::string> records, uint8_t seed)
      : records_(std::move(records)), seed_(seed) {}

  asio::awaitable<dns::Answer> Query(std::string name, dns::RecordType type,
                                     base::Deadline /*deadline*/) override {
    uint32_t hash = seed_ * 31u + static_cast<uint32_t>(type);
    for (const char c : name) hash = hash * 16777619u ^ static_cast<unsigned char>(c);
    hash ^= hash >> 15;
    dns::Answer answer;
    answer.detail = "drawn";
    const uint32_t kind = hash % 16;
    if (kind == 0) answer.outcome = dns::Outcome::kNoData;
    if (kind == 1) answer.outcome = dns::Outcome::kNoDomain;
    if (kind == 2) answer.outcome = dns::Outcome::kTimeout;
    if (kind > 2) Fill(hash / 16, type, answer);
    co_return answer;
  }

 private:
  void Fill(uint32_t hash, dns::RecordType type, dns::Answer& answer) const {
    answer.outcome = dns::Outcome::kFound;
    const uint32_t count = type == dns::RecordType::kTxt ? 1 + hash % 16 / 15 : 1 + hash % 12;
    for (uint32_t i = 0; i < count; ++i) {
      dns::Record record;
      record.text = records_.empty() ? "v=spf1" : records_[(hash / 16 + i) % records_.size()];
      record.address = type == dns::RecordType::kAaaa
                           ? asio::ip::make_address("2001:db8::" + std::to_string(1 + hash % 3))
                           : asio::ip::make_address("192.0.2." + std::to_string(1 + hash % 3));
      record.name = "h" + std::to_string(i + hash % 5) + ".example.com";
      answer.records.push_back(std::move(record));
    }
  }

  const std::vector<std::string> records_;
  const uint8_t seed_;
};

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (;;) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

template <class T>
T Run(DrawnLookup& lookup, asio::awaitable<T> (*make)(dns::Inquiry&, mailauth::SpfQuestion),
      const mailauth::SpfQuestion& question) {
  asio::io_context context;
  dns::Budget budget;
  dns::Inquiry inquiry(context.get_executor(), lookup, budget);
  T result;
  bool done = false;
  asio::co_spawn(context, make(inquiry, question), [&](std::exception_ptr failed, T value) {
    if (failed) std::rethrow_exception(failed);
    result = std::move(value);
    done = true;
  });
  context.run();
  Require(done, "a check ends");
  return result;
}

void FuzzText(const std::string& text) {
  mailauth::SpfMacroValues values;
  values.local_part = "a.b+c";
  values.sender_domain = values.domain = values.helo = "mail.example.com";
  values.ip = asio::ip::make_address("2001:db8::1");
  for (const auto use : {mailauth::SpfMacroUse::kDomain, mailauth::SpfMacroUse::kExplanation}) {
    if (mailauth::CheckSpfMacros(text, use)) continue;
    Require(mailauth::ExpandSpfDomain(text, values).size() <= 253, "a name has 253 bytes at most");
  }
  mailauth::CheckSpfDomainSpec(text);
  Require(!mailauth::IsSpf(text) || !mailauth::LooksLikeSpf(text), "a record is one, or looks so");

  const std::string record = mailauth::IsSpf(text) ? text : "v=spf1 " + text;
  const mailauth::SpfRecord parsed = mailauth::ParseSpf(record);
  for (const mailauth::SpfFault& fault : parsed.faults) {
    Require(fault.length > 0 && fault.offset + fault.length <= record.size() + 1,
            "a fault's place");
    Require(!fault.message.empty(), "a fault's message");
    Require(mailauth::PointAt(record, fault).size() <= 2 * 78 + 1, "a pointer's length");
  }
  for (const mailauth::SpfTerm& term : parsed.mechanisms) {
    Require(record.compare(term.offset, term.text.size(), term.text) == 0, "a term's place");
  }
  const std::string added = mailauth::WithInclude(record, "_spf.example.net");
  Require(mailauth::IsSpf(added), "a record stays one with an include");
  Require(mailauth::WithInclude(added, "_spf.example.net") == added, "an include is added once");
  if (parsed.faults.empty()) {
    Require(mailauth::ParseSpf(added).faults.empty(), "an include adds no fault");
  }
}

asio::awaitable<mailauth::SpfWalk> WalkDomain(dns::Inquiry& inquiry,
                                              mailauth::SpfQuestion question) {
  co_return co_await mailauth::WalkSpf(inquiry, question.helo);
}

void FuzzChecks(DrawnLookup& lookup, const mailauth::SpfQuestion& question) {
  const auto verdict = Run<mailauth::SpfVerdict>(lookup, mailauth::CheckHost, question);
  Require(!verdict.reason.empty(), "a verdict has a reason");
  Require(verdict.lookups <= 10 && verdict.void_lookups <= 3, "the limits");
  Require(verdict.explanation.size() <= 1000, "an explanation's length");
  Require(verdict.explanation.empty() == (verdict.result != mailauth::SpfResult::kFail),
          "a fail, and nothing else, is explained");
  const auto walk = Run<mailauth::SpfWalk>(lookup, WalkDomain, question);
  Require(walk.lookups == walk.root.lookups, "the root's lookups");
  Require(walk.problems.size() <= 53, "the number of problems");
  mailauth::ReachesSpf(walk, "h1.example.com");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > kMostBytes) return 0;
  std::vector<std::string> lines = Lines({reinterpret_cast<const char*>(data) + 2, size - 2});
  lines.resize(std::max<size_t>(lines.size(), 3));
  for (const std::string& line : lines) FuzzText(line);

  mailauth::SpfQuestion question;
  question.ip = asio::ip::make_address(kAddresses[data[1] % 4]);
  question.sender = lines[0];
  question.helo = lines[1];
  lines.erase(lines.begin(), lines.begin() + 2);
  DrawnLookup lookup(std::move(lines), data[0]);
  FuzzChecks(lookup, question);
  return 0;
}
