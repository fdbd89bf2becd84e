#include "providers/sandbox/data_decoder.h"

#include <algorithm>

namespace sendstep::providers::sandbox {

size_t DataDecoder::Decode(std::string_view input, std::string& output) {
  size_t used = 0;
  while (used < input.size() && state_ != State::kDone) {
    if (state_ == State::kText) {
      const size_t cr = std::min(input.find('\r', used), input.size());
      output.append(input, used, cr - used);
      used = cr;
      if (used == input.size()) break;
    }
    Take(input[used++], output);
  }
  return used;
}

void DataDecoder::Take(char c, std::string& output) {
  if (state_ == State::kLineStart && c == '.') {
    state_ = State::kDot;
    return;
  }
  if (state_ == State::kDot && c == '\r') {
    state_ = State::kDotCr;
    return;
  }
  if (state_ == State::kDotCr) {
    if (c == '\n') {
      state_ = State::kDone;
      return;
    }
    output += '\r';  // held back until now; the dot before it was stuffing
  }
  const bool after_cr = state_ == State::kCr;
  output += c;
  state_ = c == '\r' ? State::kCr : c == '\n' && after_cr ? State::kLineStart : State::kText;
}

}  // namespace sendstep::providers::sandbox
