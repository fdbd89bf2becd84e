#include "transport/base/content.h"

#include <algorithm>
#include <utility>

#include "transport/base/base64.h"

namespace sendstep::base {
namespace {

constexpr std::string_view kCrlf = "\r\n";

}  // namespace

void Content::Append(std::string text) {
  if (text.empty()) return;
  size_ += text.size();
  const size_t size = text.size();
  pieces_.push_back({std::move(text), {}, size});
}

void Content::Prepend(std::string text) {
  if (text.empty()) return;
  const size_t size = text.size();
  size_ += size;
  pieces_.insert(pieces_.begin(), {std::move(text), {}, size});
}

void Content::AppendBase64(std::string_view file) {
  if (file.empty()) return;
  const size_t size = Base64LinesSize(file.size());
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
  const std::string_view bytes = file.substr(offset_, room / kBase64LineSize * kBase64LineBytes);
  const size_t begin = scratch.size();
  AppendBase64Lines(bytes, scratch);
  if (!bytes.empty() && offset_ + bytes.size() < file.size()) scratch += kCrlf;
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
