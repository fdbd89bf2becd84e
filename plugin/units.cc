#include "plugin/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace sendstep::plugin {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// Of two names that both end a text the longer one comes first.
constexpr std::array<Unit, 5> kTimes = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 3> kSizes = {{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}};

template <class Number>
std::optional<uint64_t> Parse(std::string_view text, std::span<const Unit> units,
                              uint64_t bare_factor) {
  uint64_t factor = bare_factor;
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.name)) continue;
    factor = unit.factor;
    text.remove_suffix(unit.name.size());
    break;
  }
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (number > std::numeric_limits<uint64_t>::max() / factor) return std::nullopt;
  return number * factor;
}

std::string Text(uint64_t value, std::span<const Unit> units, std::string_view smallest) {
  for (size_t i = units.size(); value != 0 && i-- > 0;) {
    if (value % units[i].factor != 0) continue;
    return std::to_string(value / units[i].factor) + std::string(units[i].name);
  }
  return std::to_string(value) + std::string(smallest);
}

}  // namespace

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const auto value = Parse<uint32_t>(text, kTimes, /*bare_factor=*/1000);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(*value);
}

std::string DurationText(std::chrono::milliseconds duration) {
  return Text(static_cast<uint64_t>(duration.count()), kTimes, "ms");
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  return Parse<uint64_t>(text, kSizes, /*bare_factor=*/1);
}

std::string SizeText(uint64_t bytes) { return Text(bytes, kSizes, " bytes"); }

}  // namespace sendstep::plugin
