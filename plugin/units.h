// Times and sizes as operators write them.
#ifndef SENDSTEP_PLUGIN_UNITS_H_
#define SENDSTEP_PLUGIN_UNITS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sendstep::plugin {

// "25s", "500ms", "2m", "1h", "7d"; a bare number means seconds.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
// In the largest unit that gives a whole number.
std::string DurationText(std::chrono::milliseconds duration);

// "512MiB", "64KiB", "1GiB"; a bare number means bytes. Nothing for 2^64 bytes and more, too.
std::optional<uint64_t> ParseSize(std::string_view text);
// As DurationText.
std::string SizeText(uint64_t bytes);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_UNITS_H_
