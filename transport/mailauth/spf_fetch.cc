#include "transport/mailauth/spf_fetch.h"

#include <algorithm>
#include <cctype>

namespace sendstep::mailauth {

std::string WhyMalformed(std::string_view domain) {
  constexpr size_t kMaxName = 253;
  constexpr size_t kMaxLabel = 63;
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (domain.empty()) return "there is no domain";
  if (domain.front() == '[') return "an address literal is not a domain";
  if (domain.size() > kMaxName) return "the domain is longer than 253 bytes";
  if (std::any_of(domain.begin(), domain.end(), [](char c) { return c < 0x21 || c > 0x7e; })) {
    return "the domain has a blank, a control character or a byte that is not ASCII";
  }
  if (domain.find('.') == std::string_view::npos) return "the domain has one label only";
  std::string_view label;
  for (std::string_view rest = domain;;) {
    const size_t dot = rest.find('.');
    label = rest.substr(0, dot);
    if (label.empty()) return "the domain has an empty label";
    if (label.size() > kMaxLabel) return "the domain has a label longer than 63 bytes";
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (label.find_first_not_of("0123456789") == std::string_view::npos) {
    return "an address is not a domain";
  }
  return {};
}

std::string NormalDomain(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  std::string normal(domain);
  for (char& c : normal) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return normal;
}

boost::asio::awaitable<SpfPublished> FetchSpf(dns::Inquiry& inquiry, std::string domain) {
  SpfPublished published;
  published.malformed = WhyMalformed(domain);
  if (!published.malformed.empty()) co_return published;
  published.answer = co_await inquiry.Ask(domain, dns::RecordType::kTxt);
  for (const dns::Record& record : published.answer.records) {
    if (IsSpf(record.text)) published.texts.push_back(record.text);
  }
  if (published.texts.size() == 1) published.record = ParseSpf(published.texts.front());
  co_return published;
}

}  // namespace sendstep::mailauth
