// The log: one JSON object a line on stderr,
//   {"time":"2026-01-31T08:00:00.123Z","level":"info","event":"sent","port":587}
// Strings that are not UTF-8 come out with U+FFFD; a line is at most 16 kB, long strings are cut.
// Never pass a secret: base::Secret does not convert to a field.
//
// Threads: all functions are thread-safe; lines do not mix.
#ifndef SENDSTEP_PLUGIN_LOGGING_H_
#define SENDSTEP_PLUGIN_LOGGING_H_

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace sendstep::plugin {

enum class Level { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning", "error"; nullopt for anything else.
std::optional<Level> ParseLevel(std::string_view name);

struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, std::floating_point auto v) : key(k), value(static_cast<double>(v)) {}
  Field(std::string_view k, std::integral auto v) : key(k), value(static_cast<int64_t>(v)) {}

  std::string key;
  std::variant<std::string, int64_t, double, bool> value;
};

// `event`: what happened, in snake_case. A field named time, level or event is left out.
void Log(Level level, std::string_view event, std::span<const Field> fields);
inline void Log(Level level, std::string_view event, std::initializer_list<Field> fields = {}) {
  Log(level, event, std::span<const Field>(fields.begin(), fields.size()));
}

// Lines below `level` are dropped. Default: kInfo.
void SetLogLevel(Level level);
// Ask before gathering fields that cost something.
bool LogsAt(Level level);

// gRPC's own lines come as event "grpc" from now on. Its traces stay off whatever the environment
// says: they would print the bytes of requests, passwords among them.
void RouteGrpcLogs();

// Lines (without line break) go to `sink` instead of stderr, one call at a time; an empty function
// restores stderr.
void InstallLogSinkForTest(std::function<void(std::string_view line)> sink);

}  // namespace sendstep::plugin

#endif  // SENDSTEP_PLUGIN_LOGGING_H_
