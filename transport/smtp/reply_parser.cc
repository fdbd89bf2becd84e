#include "transport/smtp/reply_parser.h"

#include <algorithm>
#include <utility>

namespace sendstep::smtp {
namespace {

constexpr char kTlsAlert = 0x15;
constexpr char kTlsHandshake = 0x16;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// 0: no code.
int ParseCode(std::string_view line) {
  if (line.size() < 3 || !IsDigit(line[0]) || !IsDigit(line[1]) || !IsDigit(line[2])) return 0;
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  return code >= 200 && code <= 599 ? code : 0;
}

// Length of ".ddd" (one to three digits) at `at`, or 0.
size_t DottedNumber(std::string_view text, size_t at) {
  if (at >= text.size() || text[at] != '.') return 0;
  size_t digits = 0;
  while (at + 1 + digits < text.size() && IsDigit(text[at + 1 + digits])) ++digits;
  return digits >= 1 && digits <= 3 ? digits + 1 : 0;
}

}  // namespace

std::string_view LeadingEnhancedCode(int code, std::string_view text) {
  if (text.empty() || text[0] - '0' != code / 100 || text[0] == '3') return {};
  const size_t subject = DottedNumber(text, 1);
  const size_t detail = subject == 0 ? 0 : DottedNumber(text, 1 + subject);
  const size_t size = 1 + subject + detail;
  if (detail == 0 || (size < text.size() && text[size] != ' ')) return {};
  return text.substr(0, size);
}

ReplyParser::Event ReplyParser::Advance(std::string_view& input) {
  if (input.empty()) return Event::kNeedMore;
  if (std::exchange(line_complete_, false)) line_.clear();
  if (line_.empty() && (input[0] == kTlsAlert || input[0] == kTlsHandshake)) {
    return Event::kTlsRecord;
  }
  const size_t end = input.find('\n');
  const size_t taken = end == std::string_view::npos ? input.size() : end + 1;
  if (line_.size() + taken > kMaxLineBytes) {
    line_.clear();
    return Malformed("a reply line is too long");
  }
  line_.append(input.substr(0, taken));
  input.remove_prefix(taken);
  return end == std::string_view::npos ? Event::kNeedMore : EndLine();
}

ReplyParser::Event ReplyParser::EndLine() {
  line_complete_ = true;
  reply_bytes_ += line_.size();
  line_.pop_back();
  if (line_.ends_with('\r')) line_.pop_back();

  const int code = ParseCode(line_);
  const char separator = line_.size() > 3 ? line_[3] : ' ';
  if (code == 0 || (separator != ' ' && separator != '-')) return Malformed("not an SMTP reply");
  if (reply_.lines.empty()) reply_.code = code;
  if (code != reply_.code) return Malformed("the code changes within one reply");
  if (reply_bytes_ > kMaxReplyBytes || reply_.lines.size() == kMaxReplyLines) {
    return Malformed("a reply is too long");
  }

  std::string_view text = std::string_view(line_).substr(std::min<size_t>(4, line_.size()));
  if (const std::string_view enhanced = LeadingEnhancedCode(code, text); !enhanced.empty()) {
    if (reply_.enhanced_code.empty()) reply_.enhanced_code = enhanced;
    text.remove_prefix(std::min(enhanced.size() + 1, text.size()));
  }
  reply_.lines.emplace_back(text);
  return separator == '-' ? Event::kLine : Event::kReply;
}

base::Reply ReplyParser::Take() {
  reply_bytes_ = 0;
  return std::exchange(reply_, {});
}

}  // namespace sendstep::smtp
