// DNS answers from a table, for tests of what asks for them.
#ifndef SENDSTEP_TESTS_SUPPORT_FAKE_LOOKUP_H_
#define SENDSTEP_TESTS_SUPPORT_FAKE_LOOKUP_H_

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cctype>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "transport/dns/lookup.h"

namespace sendstep::testing {

// Follows CNAMEs as a resolver does. A name without records but with one below it is kNoData, any
// other unknown name kNoDomain.
class FakeLookup : public dns::Lookup {
 public:
  void Txt(const std::string& name, const std::string& text) {
    dns::Record record;
    record.text = text;
    Add(name, dns::RecordType::kTxt, record);
  }
  // A or AAAA, by what `text` is.
  void Address(const std::string& name, const std::string& text) {
    dns::Record record;
    record.address = boost::asio::ip::make_address(text);
    Add(name, record.address.is_v4() ? dns::RecordType::kA : dns::RecordType::kAaaa, record);
  }
  void Mx(const std::string& name, uint16_t preference, const std::string& host) {
    dns::Record record;
    record.preference = preference;
    record.name = host;
    Add(name, dns::RecordType::kMx, record);
  }
  // CNAME, NS or PTR.
  void Name(const std::string& name, dns::RecordType type, const std::string& target) {
    dns::Record record;
    record.name = target;
    Add(name, type, record);
  }
  // Every question about `name` ends like this.
  void Fails(const std::string& name, dns::Outcome outcome) { failing_[name] = outcome; }

  // "txt example.com", in the order asked.
  const std::vector<std::pair<std::string, dns::RecordType>>& asked() const { return asked_; }

  boost::asio::awaitable<dns::Answer> Query(std::string name, dns::RecordType type,
                                            base::Deadline /*deadline*/) override {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (name.ends_with('.')) name.pop_back();
    asked_.emplace_back(name, type);
    dns::Answer answer;
    Fill(name, type, answer);
    co_return answer;
  }

 private:
  void Add(const std::string& name, dns::RecordType type, const dns::Record& record) {
    records_[name][type].push_back(record);
  }

  void Fill(const std::string& name, dns::RecordType type, dns::Answer& answer) const {
    if (auto failing = failing_.find(name); failing != failing_.end()) {
      answer.outcome = failing->second;
      answer.detail = "as the test has it";
      return;
    }
    auto node = records_.find(name);
    if (node == records_.end()) {
      answer.outcome = HasBelow(name) ? dns::Outcome::kNoData : dns::Outcome::kNoDomain;
      return;
    }
    if (auto found = node->second.find(type); found != node->second.end()) {
      answer.outcome = dns::Outcome::kFound;
      answer.records = found->second;
      return;
    }
    auto alias = node->second.find(dns::RecordType::kCname);
    if (alias == node->second.end() || answer.aliases.size() > 8) {
      answer.outcome = dns::Outcome::kNoData;
      return;
    }
    answer.aliases.push_back(alias->second.front().name);
    Fill(alias->second.front().name, type, answer);
  }

  bool HasBelow(const std::string& name) const {
    return std::any_of(records_.begin(), records_.end(),
                       [&](const auto& entry) { return entry.first.ends_with("." + name); });
  }

  std::map<std::string, std::map<dns::RecordType, std::vector<dns::Record>>> records_;
  std::map<std::string, dns::Outcome> failing_;
  std::vector<std::pair<std::string, dns::RecordType>> asked_;
};

}  // namespace sendstep::testing

#endif  // SENDSTEP_TESTS_SUPPORT_FAKE_LOOKUP_H_
