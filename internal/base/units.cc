#include "base/units.h"

#include <array>
#include <charconv>
#include <utility>

#include <fmt/core.h>

namespace encke {
namespace {

using Unit = std::pair<std::string_view, std::int64_t>;
constexpr std::array<Unit, 4> kSizes = {{{"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}}};
constexpr std::array<Unit, 5> kTimes = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

template <std::size_t N>
std::optional<std::int64_t> Parse(std::string_view text, const std::array<Unit, N>& units) {
  std::int64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view suffix(end, static_cast<std::size_t>(last - end));
  for (const auto& [name, factor] : units) {
    std::int64_t value = 0;
    if (name == suffix && !__builtin_mul_overflow(number, factor, &value)) return value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> ParseSize(std::string_view text) { return Parse(text, kSizes); }

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  const auto ms = Parse(text, kTimes);
  if (!ms) return std::nullopt;
  return std::chrono::milliseconds(*ms);
}

std::string PrintDuration(std::chrono::milliseconds time) {
  for (const auto& [name, factor] : kTimes) {
    if (time.count() != 0 && time.count() % factor == 0) {
      return fmt::format("{}{}", time.count() / factor, name);
    }
  }
  return "0";
}

}  // namespace encke
