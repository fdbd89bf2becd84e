#include "transport/base/secret.h"

#include <openssl/crypto.h>

#include <utility>

namespace sendstep::base {

void Wipe(std::string& text) {
  text.resize(text.capacity());  // what earlier, longer values left behind, too
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

Secret::Secret(std::string_view value) : value_(value) {}

Secret::Secret(const Secret& other) = default;

// A moved-from short string keeps its bytes in place: they are wiped here.
Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { Wipe(other.value_); }

// No swap: it would pass short strings over the stack.
Secret& Secret::operator=(Secret other) noexcept {
  Wipe(value_);
  value_ = std::move(other.value_);
  return *this;
}

Secret::~Secret() { Wipe(value_); }

}  // namespace sendstep::base
