#include "transport/smtp/data_framing.h"

#include <algorithm>

#include "transport/base/address.h"

namespace sendstep::smtp {
namespace {

using boost::asio::buffer;

constexpr std::string_view kDot = ".";
constexpr std::string_view kEnd = ".\r\n";
constexpr std::string_view kLineBreakAndEnd = "\r\n.\r\n";

bool IsCanonical(std::string_view message) {
  for (size_t at = 0;;) {
    const size_t lf = message.find('\n', at);
    const size_t cr = message.find('\r', at);
    if (lf == message.npos || cr == message.npos) return lf == cr;
    if (lf != cr + 1) return false;
    at = lf + 1;
  }
}

}  // namespace

MessageTraits Inspect(std::string_view message) {
  MessageTraits traits;
  traits.canonical = IsCanonical(message);
  traits.eight_bit = !base::IsAscii(message);
  if (traits.eight_bit) {
    traits.eight_bit_headers = !base::IsAscii(message.substr(0, message.find("\r\n\r\n")));
  }
  return traits;
}

bool DataFraming::Next(std::vector<boost::asio::const_buffer>& block) {
  block.clear();
  // Two buffers a dot, two for the end.
  std::string_view window = rest_.substr(0, kMaxBlockBytes);
  while (!window.empty() && block.size() + 4 <= kMaxBlockBuffers) {
    const bool first = window.data() == message_.data();
    if (window[0] == '.' && (first || window.data()[-1] == '\n')) block.push_back(buffer(kDot));
    // Up to the next dot that begins a line.
    size_t end = window.find("\n.", 0, 2);
    end = end == window.npos ? window.size() : end + 1;
    block.push_back(buffer(window.data(), end));
    window.remove_prefix(end);
    rest_.remove_prefix(end);
  }
  if (!rest_.empty()) return false;
  block.push_back(buffer(message_.empty() || message_.ends_with("\r\n") ? kEnd : kLineBreakAndEnd));
  return true;
}

}  // namespace sendstep::smtp
