#include "transport/base/content.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

namespace sendstep::base {
namespace {

constexpr std::string_view kCrlf = "\r\n";
constexpr size_t kLineBytes = 57;  // 76 digits
constexpr size_t kLineSize = 76 + kCrlf.size();

size_t Base64Size(size_t bytes) {
  if (bytes == 0) return 0;
  return (bytes + 2) / 3 * 4 + (bytes - 1) / kLineBytes * kCrlf.size();
}

}  // namespace

void Content::Append(std::string text) {
  if (text.empty()) return;
  size_ += text.size();
  const size_t size = text.size();
  pieces_.push_back({std::move(text), {}, size});
}

void Content::AppendBase64(std::string_view file) {
  if (file.empty()) return;
  const size_t size = Base64Size(file.size());
  size_ += size;
  pieces_.push_back({{}, file, size});
}

bool Content::ends_with_line_break() const {
  return !pieces_.empty() && pieces_.back().text.ends_with(kCrlf);
}

std::string_view ContentReader::Next(size_t most, std::string& scratch) {
  if (done() || most == 0) return {};
  const Content::Piece& piece = content_.pieces()[piece_];
  if (!piece.file.empty()) return NextEncoded(piece.file, most, scratch);
  const std::string_view text = std::string_view(piece.text).substr(offset_, most);
  Advance(text.size(), piece.text.size());
  return text;
}

std::string_view ContentReader::NextEncoded(std::string_view file, size_t most,
                                            std::string& scratch) {
  const size_t room = std::min(most, scratch.capacity() - scratch.size());
  const std::string_view bytes = file.substr(offset_, room / kLineSize * kLineBytes);
  const bool ends = offset_ + bytes.size() == file.size();
  const size_t begin = scratch.size();
  scratch.resize(begin + Base64Size(bytes.size()) + (ends || bytes.empty() ? 0 : kCrlf.size()));
  char* to = scratch.data() + begin;
  for (size_t at = 0; at < bytes.size(); at += kLineBytes) {
    const std::string_view line = bytes.substr(at, kLineBytes);
    // Writes a NUL behind what it encodes, at the latest where the string has its own.
    to += EVP_EncodeBlock(reinterpret_cast<unsigned char*>(to),
                          reinterpret_cast<const unsigned char*>(line.data()),
                          static_cast<int>(line.size()));
    if (ends && at + line.size() == bytes.size()) break;
    to = std::copy(kCrlf.begin(), kCrlf.end(), to);
  }
  Advance(bytes.size(), file.size());
  return std::string_view(scratch).substr(begin);
}

void ContentReader::Advance(size_t bytes, size_t of) {
  offset_ += bytes;
  if (offset_ < of) return;
  ++piece_;
  offset_ = 0;
}

}  // namespace sendstep::base
