// A message -> what is written of it, block by block: dot-stuffed with the lone dot after DATA (RFC
// 5321 4.5.2), or as it is after BDAT (RFC 3030 2). Text is not copied: buffers point into the
// message. No I/O.
#ifndef SENDSTEP_TRANSPORT_SMTP_DATA_FRAMING_H_
#define SENDSTEP_TRANSPORT_SMTP_DATA_FRAMING_H_

#include <boost/asio/buffer.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/content.h"

namespace sendstep::smtp {

// What a message asks of the server.
struct MessageTraits {
  // Every CR is followed by LF and every LF follows a CR, within each piece of it. Anything else
  // could end the message early for a server that reads lines its own way.
  bool canonical = true;
  bool eight_bit = false;          // a byte above 127: wants 8BITMIME
  bool eight_bit_headers = false;  // one in the header section: wants SMTPUTF8
};

MessageTraits Inspect(const base::Content& message);

enum class Framing {
  kData,  // for DATA
  kChunk  // for BDAT
};

// `message` must outlive it; buffers are valid until the next Next().
class DataFraming {
 public:
  static constexpr size_t kMaxBlockBytes = 128 * 1024;  // of the message, in one block
  static constexpr size_t kMaxBlockBuffers = 256;

  DataFraming(const base::Content& message, Framing framing);

  // Fills `block` with the next buffers. True: there is no more.
  bool Next(std::vector<boost::asio::const_buffer>& block);

 private:
  // As many lines of `piece` as the block has buffers for.
  void Stuff(std::vector<boost::asio::const_buffer>& block);

  const base::Content& message_;
  const Framing framing_;
  base::ContentReader reader_;
  std::string encoded_;    // base64 of this block
  std::string_view rest_;  // read and not in a block yet
  bool line_begins_ = true;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_DATA_FRAMING_H_
