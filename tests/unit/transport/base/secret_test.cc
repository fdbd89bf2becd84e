#include "transport/base/secret.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sendstep::base {
namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };

static_assert(!Printable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<std::string, Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);

// A Secret whose memory can be looked at when it is gone.
class Exposed {
 public:
  explicit Exposed(std::string_view value) { secret_ = new (memory_) Secret(value); }
  ~Exposed() { Destroy(); }

  Secret& secret() { return *secret_; }
  void Destroy() {
    if (secret_ != nullptr) secret_->~Secret();
    secret_ = nullptr;
  }
  bool Holds(std::string_view bytes) const {
    return std::string_view(reinterpret_cast<const char*>(memory_), sizeof memory_).find(bytes) !=
           std::string_view::npos;
  }

 private:
  alignas(Secret) std::byte memory_[sizeof(Secret)] = {};
  Secret* secret_ = nullptr;
};

TEST(Secret, RevealsWhatItHolds) {
  EXPECT_TRUE(Secret().empty());
  const Secret secret("hunter2");
  EXPECT_FALSE(secret.empty());
  EXPECT_EQ(secret.Reveal(), "hunter2");
  EXPECT_EQ(Secret(std::string_view("a\0b", 3)).Reveal().size(), 3u);
}

TEST(Secret, CopiesAndMovesKeepTheValue) {
  for (const std::string& value : {std::string("short"), std::string(100, 'x')}) {
    Secret source(value);
    const Secret copy = source;
    EXPECT_EQ(source.Reveal(), value);
    EXPECT_EQ(copy.Reveal(), value);
    Secret moved = std::move(source);
    EXPECT_EQ(moved.Reveal(), value);
    EXPECT_TRUE(source.empty());  // NOLINT(bugprone-use-after-move)
    Secret assigned("before");
    assigned = std::move(moved);
    EXPECT_EQ(assigned.Reveal(), value);
    assigned = copy;
    EXPECT_EQ(assigned.Reveal(), value);
    Secret& self = assigned;
    assigned = self;
    EXPECT_EQ(assigned.Reveal(), value);
  }
}

TEST(Secret, ShortValuesAreWipedWhenMovedFrom) {
  Exposed source("hunter2");
  ASSERT_TRUE(source.Holds("unter2"));
  const Secret target = std::move(source.secret());
  EXPECT_EQ(target.Reveal(), "hunter2");
  EXPECT_FALSE(source.Holds("unter2"));
}

TEST(Secret, ShortValuesAreWipedWhenOverwritten) {
  Exposed secret("hunter2");
  secret.secret() = Secret("x");
  EXPECT_FALSE(secret.Holds("unter2"));
}

TEST(Secret, ShortValuesAreWipedWhenDestroyed) {
  Exposed secret("hunter2");
  secret.Destroy();
  EXPECT_FALSE(secret.Holds("unter2"));
}

TEST(Wipe, OverwritesTheWholeBuffer) {
  std::string text(200, 'x');
  text.resize(100);
  const char* const data = text.data();
  Wipe(text);
  EXPECT_TRUE(text.empty());
  ASSERT_EQ(text.data(), data);  // the same buffer, still owned by the string
  text.resize(200);
  EXPECT_EQ(text.find('x'), std::string::npos);
}

}  // namespace
}  // namespace sendstep::base
