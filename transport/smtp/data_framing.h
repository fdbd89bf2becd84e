// A message -> what follows DATA (RFC 5321 4.5.2): dot-stuffed, then the lone dot, as buffers that
// point into the message. Nothing is copied. No I/O.
#ifndef SENDSTEP_TRANSPORT_SMTP_DATA_FRAMING_H_
#define SENDSTEP_TRANSPORT_SMTP_DATA_FRAMING_H_

#include <boost/asio/buffer.hpp>
#include <string_view>
#include <vector>

namespace sendstep::smtp {

// What a message asks of the server.
struct MessageTraits {
  // Every CR is followed by LF and every LF follows a CR. Anything else could end the message early
  // for a server that reads lines its own way.
  bool canonical = true;
  bool eight_bit = false;          // a byte above 127: wants 8BITMIME
  bool eight_bit_headers = false;  // one in the header section: wants SMTPUTF8
};

MessageTraits Inspect(std::string_view message);

// `message` must outlive it and all buffers it gave.
class DataFraming {
 public:
  static constexpr size_t kMaxBlockBytes = 128 * 1024;  // of the message, in one block
  static constexpr size_t kMaxBlockBuffers = 256;

  explicit DataFraming(std::string_view message) : message_(message), rest_(message) {}

  // Fills `block` with the next buffers. True: they end in the lone dot, there is no more.
  bool Next(std::vector<boost::asio::const_buffer>& block);

 private:
  std::string_view message_;
  std::string_view rest_;
};

}  // namespace sendstep::smtp

#endif  // SENDSTEP_TRANSPORT_SMTP_DATA_FRAMING_H_
