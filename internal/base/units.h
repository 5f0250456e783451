#pragma once
// Units: sizes ("64k") and times ("250ms") as people write them in configuration.
//
// Owner    pure functions.
// Thread   any.
// Limit    none; what does not fit 64 bits is not a number.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace encke {

inline constexpr std::int64_t kKilo = 1024;
inline constexpr std::int64_t kMega = 1024 * kKilo;
inline constexpr std::int64_t kGiga = 1024 * kMega;

// A whole number, optionally with k, m or g (1024-based).
std::optional<std::int64_t> ParseSize(std::string_view text);
// A whole number with ms, s, m, h or d; plain 0 too.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
// The shortest exact form: 90000 ms -> "90s".
std::string PrintDuration(std::chrono::milliseconds time);

}  // namespace encke
