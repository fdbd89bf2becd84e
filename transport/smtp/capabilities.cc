#include "transport/smtp/capabilities.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace sendstep::smtp {
namespace {

constexpr size_t kMaxLines = 64;

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void AddMechanism(std::string_view name, Capabilities& capabilities) {
  std::string upper = Upper(name);
  auto& auth = capabilities.auth;
  if (!upper.empty() && std::find(auth.begin(), auth.end(), upper) == auth.end()) {
    auth.push_back(std::move(upper));
  }
}

void AddLimit(std::string_view limit, Capabilities& capabilities) {
  const size_t equals = limit.find('=');
  if (equals == std::string_view::npos) return;
  const std::string name = Upper(limit.substr(0, equals));
  const std::optional<uint64_t> value = Number(limit.substr(equals + 1));
  if (name == "MAILMAX") capabilities.max_mails = value;
  if (name == "RCPTMAX") capabilities.max_recipients = value;
  if (name == "RCPTDOMAINMAX") capabilities.max_domains = value;
}

void AddLine(std::string_view line, Capabilities& capabilities) {
  const std::vector<std::string_view> words = Words(line);
  if (words.empty()) return;
  const std::string keyword = Upper(words[0]);
  if (keyword == "PIPELINING") capabilities.pipelining = true;
  if (keyword == "CHUNKING") capabilities.chunking = true;
  if (keyword == "8BITMIME") capabilities.eight_bit_mime = true;
  if (keyword == "SMTPUTF8") capabilities.smtputf8 = true;
  if (keyword == "STARTTLS") capabilities.starttls = true;
  if (keyword == "DSN") capabilities.dsn = true;
  if (keyword == "REQUIRETLS") capabilities.require_tls = true;
  if (keyword == "ENHANCEDSTATUSCODES") capabilities.enhanced_status_codes = true;
  if (keyword == "SIZE") {
    capabilities.size = true;
    if (words.size() > 1) capabilities.max_message_bytes = Number(words[1]).value_or(0);
  }
  const bool old_auth = keyword.starts_with("AUTH=");
  if (old_auth) AddMechanism(words[0].substr(5), capabilities);
  for (size_t i = 1; i < words.size(); ++i) {
    if (keyword == "AUTH" || old_auth) AddMechanism(words[i], capabilities);
    if (keyword == "LIMITS") AddLimit(words[i], capabilities);
  }
}

}  // namespace

bool Capabilities::Offers(SaslMechanism mechanism) const {
  return std::find(auth.begin(), auth.end(), MechanismName(mechanism)) != auth.end();
}

Capabilities ParseCapabilities(const base::Reply& ehlo_reply) {
  Capabilities capabilities;
  const size_t lines = std::min(ehlo_reply.lines.size(), kMaxLines);
  for (size_t i = 1; i < lines; ++i) AddLine(ehlo_reply.lines[i], capabilities);
  return capabilities;
}

std::string DescribeCapabilities(const base::Reply& ehlo_reply) {
  base::Reply joined;
  std::string& text = joined.lines.emplace_back();
  const size_t lines = std::min(ehlo_reply.lines.size(), kMaxLines);
  for (size_t i = 1; i < lines; ++i) {
    if (!text.empty()) text += ", ";
    text += ehlo_reply.lines[i];
  }
  return text.empty() ? "no extensions" : joined.Text();
}

}  // namespace sendstep::smtp
