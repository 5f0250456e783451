#pragma once
// Log: one event, one line, ids first: "session.open key=k3 mid=7".  The only home of spdlog.
//
// Owner    the process; Init once in main, before the first line.
// Thread   any.
// Limit    RateLimit: at most `per_second` lines of its kind; the next line says how many were left
// out.

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/core.h>

#include "base/result.h"

namespace encke::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };

// level: "debug", "info", "warn", "error".  Lines go to stderr.
Status Init(std::string_view process, std::string_view level);
Status SetLevel(std::string_view level);
bool Enabled(Level level);
void Write(Level level, std::string_view line);

class RateLimit {
 public:
  explicit RateLimit(int per_second = 10) : per_second_(per_second) {}
  // True when a line may be written; *left_out says how many of its kind were not since the last.
  bool Allow(std::int64_t* left_out);

 private:
  int per_second_;
  std::atomic<std::int64_t> second_{0};
  std::atomic<int> written_{0};
  std::atomic<std::int64_t> left_out_{0};
};

template <class... A>
void Debug(fmt::format_string<A...> text, A&&... args) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, fmt::format(text, std::forward<A>(args)...));
}
template <class... A>
void Info(fmt::format_string<A...> text, A&&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, fmt::format(text, std::forward<A>(args)...));
}
template <class... A>
void Warn(fmt::format_string<A...> text, A&&... args) {
  if (Enabled(Level::kWarn)) Write(Level::kWarn, fmt::format(text, std::forward<A>(args)...));
}
template <class... A>
void Error(fmt::format_string<A...> text, A&&... args) {
  if (Enabled(Level::kError)) Write(Level::kError, fmt::format(text, std::forward<A>(args)...));
}
// The rate-limited forms, for lines that a stranger or a broken peer can cause.
template <class... A>
void WarnSome(RateLimit& limit, fmt::format_string<A...> text, A&&... args) {
  std::int64_t left_out = 0;
  if (!limit.Allow(&left_out)) return;
  std::string line = fmt::format(text, std::forward<A>(args)...);
  if (left_out > 0) line += fmt::format(" left_out={}", left_out);
  Write(Level::kWarn, line);
}

}  // namespace encke::log
