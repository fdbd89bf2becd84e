// A string that must not be printed. It has no operator<<, no conversion and no formatter; its
// bytes are wiped (OPENSSL_cleanse) when it is destroyed or overwritten.
#ifndef SENDSTEP_TRANSPORT_BASE_SECRET_H_
#define SENDSTEP_TRANSPORT_BASE_SECRET_H_

#include <string>
#include <string_view>

namespace sendstep::base {

class Secret {
 public:
  Secret() = default;
  // Copies `value`; wiping the source is the caller's affair.
  explicit Secret(std::string_view value);
  Secret(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret other) noexcept;
  ~Secret();

  bool empty() const { return value_.empty(); }

  // The one way to the bytes. Valid until this Secret changes; keep no copy.
  std::string_view Reveal() const { return value_; }

 private:
  std::string value_;
};

// Overwrites the bytes of `text`, then empties it.
void Wipe(std::string& text);

}  // namespace sendstep::base

#endif  // SENDSTEP_TRANSPORT_BASE_SECRET_H_
