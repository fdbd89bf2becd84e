#include "plugin/logging.h"

#include <grpc/support/log.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

namespace sendstep::plugin {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxLine = 16 * 1024;
// Strings are cut to the first of these lengths that makes the line short enough.
constexpr std::array<size_t, 3> kMaxStrings = {8192, 512, 64};

constexpr std::array<std::string_view, 3> kHeadKeys = {"time", "level", "event"};

class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void Redirect(std::function<void(std::string_view)> to) {
    const std::lock_guard<std::mutex> lock(mutex_);
    redirect_ = std::move(to);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (redirect_) {
      redirect_(std::string_view(message.payload.data(), message.payload.size()));
      return;
    }
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::fwrite(line.data(), 1, line.size(), stderr);  // unbuffered: one write a line
  }
  void flush_() override {}

 private:
  std::function<void(std::string_view)> redirect_;
};

struct Logger {
  std::shared_ptr<LineSink> sink = std::make_shared<LineSink>();
  spdlog::logger logger{"sendstep", sink};

  Logger() { logger.set_pattern("%v"); }
};

// Never destroyed: threads of libraries may log until the process ends.
Logger& TheLogger() {
  static Logger& logger = *new Logger;
  return logger;
}

constexpr std::array<std::pair<Level, std::string_view>, 4> kLevels = {{
    {Level::kDebug, "debug"},
    {Level::kInfo, "info"},
    {Level::kWarning, "warning"},
    {Level::kError, "error"},
}};

spdlog::level::level_enum SpdlogLevel(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// RFC 3339, milliseconds, UTC.
std::string Now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     since_epoch.count() % 1000);
}

std::string Cut(const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

// As a JSON string. Most of what is logged needs no escape.
void AppendString(std::string_view text, std::string& line) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (!plain) {
    line += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  line += '"';
  line += text;
  line += '"';
}

void AppendValue(const Field& field, size_t max_string, std::string& line) {
  if (const auto* text = std::get_if<std::string>(&field.value)) {
    AppendString(Cut(*text, max_string), line);
  } else if (const auto* number = std::get_if<int64_t>(&field.value)) {
    line += std::to_string(*number);
  } else {
    line += std::visit([](const auto& scalar) { return Json(scalar).dump(); }, field.value);
  }
}

// A field whose key another has before it is left out.
std::string Line(std::string_view head, std::span<const Field> fields, size_t max_string) {
  std::string line(head);
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string& key = fields[i].key;
    const auto same = [&key](const Field& other) { return other.key == key; };
    const std::span<const Field> before = fields.subspan(0, i);
    if (std::ranges::find(kHeadKeys, key) != kHeadKeys.end() || std::ranges::any_of(before, same)) {
      continue;
    }
    line += ',';
    AppendString(Cut(key, kMaxStrings.back()), line);
    line += ':';
    AppendValue(fields[i], max_string, line);
  }
  line += '}';
  return line;
}

void GrpcLog(gpr_log_func_args* args) {
  const Level level = args->severity == GPR_LOG_SEVERITY_ERROR  ? Level::kError
                      : args->severity == GPR_LOG_SEVERITY_INFO ? Level::kInfo
                                                                : Level::kDebug;
  const std::string_view path = args->file;
  Log(level, "grpc",
      {{"message", args->message},
       {"file", path.substr(path.rfind('/') + 1)},
       {"line", args->line}});
}

}  // namespace

std::optional<Level> ParseLevel(std::string_view name) {
  for (const auto& [level, level_name] : kLevels) {
    if (level_name == name) return level;
  }
  return std::nullopt;
}

void Log(Level level, std::string_view event, std::span<const Field> fields) {
  if (!LogsAt(level)) return;
  std::string head = fmt::format(R"({{"time":"{}","level":"{}","event":)", Now(),
                                 kLevels[static_cast<size_t>(level)].second);
  AppendString(Cut(std::string(event), kMaxStrings.back()), head);
  std::string line;
  for (const size_t max_string : kMaxStrings) {
    line = Line(head, fields, max_string);
    if (line.size() <= kMaxLine) break;
  }
  if (line.size() > kMaxLine) {
    const Field cut("fields_dropped", fields.size());
    line = Line(head, std::span<const Field>(&cut, 1), kMaxStrings.back());
  }
  TheLogger().logger.log(SpdlogLevel(level), spdlog::string_view_t(line.data(), line.size()));
}

void SetLogLevel(Level level) { TheLogger().logger.set_level(SpdlogLevel(level)); }

bool LogsAt(Level level) { return TheLogger().logger.should_log(SpdlogLevel(level)); }

void RouteGrpcLogs() {
  gpr_set_log_function(&GrpcLog);
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
}

void InstallLogSinkForTest(std::function<void(std::string_view line)> sink) {
  TheLogger().sink->Redirect(std::move(sink));
}

}  // namespace sendstep::plugin
