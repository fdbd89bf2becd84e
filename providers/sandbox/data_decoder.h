// Finds the end of a message sent by DATA and undoes dot-stuffing (RFC 5321 4.5.2), in pieces of
// any size. Only CRLF "." CRLF ends a message; a bare CR or LF is content like any other, so nobody
// can smuggle a second message in.
#ifndef SENDSTEP_PROVIDERS_SANDBOX_DATA_DECODER_H_
#define SENDSTEP_PROVIDERS_SANDBOX_DATA_DECODER_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace sendstep::providers::sandbox {

class DataDecoder {
 public:
  // Appends the content found in `input` to `output`. Returns how many bytes of `input` it used:
  // all of them, or those up to and with the end of the message.
  size_t Decode(std::string_view input, std::string& output);

  bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kLineStart, kText, kCr, kDot, kDotCr, kDone };
  void Take(char c, std::string& output);
  State state_ = State::kLineStart;
};

}  // namespace sendstep::providers::sandbox

#endif  // SENDSTEP_PROVIDERS_SANDBOX_DATA_DECODER_H_
