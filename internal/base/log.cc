#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/clock.h"

namespace encke::log {
namespace {

spdlog::level::level_enum Of(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

Status Init(std::string_view process, std::string_view level) {
  auto logger = spdlog::stderr_logger_mt(std::string(process));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %n %v");
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  return SetLevel(level);
}

Status SetLevel(std::string_view level) {
  if (level != "debug" && level != "info" && level != "warn" && level != "error") {
    return encke::Error{Errc::kInvalid,
                        "log.level: " + std::string(level) + " is not debug, info, warn or error"};
  }
  spdlog::set_level(spdlog::level::from_str(std::string(level)));
  return Ok{};
}

bool Enabled(Level level) { return spdlog::should_log(Of(level)); }

void Write(Level level, std::string_view line) {
  spdlog::default_logger_raw()->log(Of(level), line);
}

bool RateLimit::Allow(std::int64_t* left_out) {
  const std::int64_t now = MonotonicMs() / 1000;
  if (second_.exchange(now, std::memory_order_relaxed) != now) {
    written_.store(0, std::memory_order_relaxed);
  }
  if (written_.fetch_add(1, std::memory_order_relaxed) >= per_second_) {
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *left_out = left_out_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace encke::log
