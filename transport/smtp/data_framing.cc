#include "transport/smtp/data_framing.h"

#include <algorithm>

#include "transport/base/address.h"

namespace sendstep::smtp {
namespace {

using boost::asio::buffer;

constexpr std::string_view kDot = ".";
constexpr std::string_view kEnd = ".\r\n";
constexpr std::string_view kLineBreakAndEnd = "\r\n.\r\n";
constexpr size_t kLine = 78;  // of base64

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

MessageTraits Inspect(const base::Content& message) {
  MessageTraits traits;
  bool header = true;
  for (const base::Content::Piece& piece : message.pieces()) {
    const std::string_view text = piece.text;
    traits.canonical = traits.canonical && IsCanonical(text);
    const size_t header_end = text.find("\r\n\r\n");
    if (!base::IsAscii(text)) {
      traits.eight_bit = true;
      if (header && !base::IsAscii(text.substr(0, header_end))) traits.eight_bit_headers = true;
    }
    header = header && header_end == text.npos;
  }
  return traits;
}

DataFraming::DataFraming(const base::Content& message, Framing framing)
    : message_(message), framing_(framing), reader_(message) {
  const auto& pieces = message.pieces();
  const bool encodes =
      std::any_of(pieces.begin(), pieces.end(), [](const auto& p) { return !p.file.empty(); });
  if (encodes) encoded_.reserve(std::min(kMaxBlockBytes, message.size() + kLine));
}

bool DataFraming::Next(std::vector<boost::asio::const_buffer>& block) {
  block.clear();
  encoded_.clear();
  size_t room = kMaxBlockBytes;
  // Two buffers a dot, two for the end.
  while (room > 0 && block.size() + 4 <= kMaxBlockBuffers) {
    if (rest_.empty()) rest_ = reader_.Next(room, encoded_);
    if (rest_.empty()) break;
    const std::string_view before = rest_;
    Stuff(block);
    room -= before.size() - rest_.size();
  }
  // What is left is text, and stays where it is.
  if (!rest_.empty() || !reader_.done()) return false;
  if (framing_ == Framing::kData) {
    const bool ended = message_.size() == 0 || message_.ends_with_line_break();
    block.push_back(buffer(ended ? kEnd : kLineBreakAndEnd));
  }
  return true;
}

void DataFraming::Stuff(std::vector<boost::asio::const_buffer>& block) {
  if (framing_ == Framing::kChunk) {
    block.push_back(buffer(rest_));
    rest_ = {};
    return;
  }
  while (!rest_.empty() && block.size() + 4 <= kMaxBlockBuffers) {
    if (line_begins_ && rest_[0] == '.') block.push_back(buffer(kDot));
    // Up to the next dot that begins a line.
    size_t end = rest_.find("\n.");
    end = end == rest_.npos ? rest_.size() : end + 1;
    line_begins_ = rest_[end - 1] == '\n';
    block.push_back(buffer(rest_.data(), end));
    rest_.remove_prefix(end);
  }
}

}  // namespace sendstep::smtp
