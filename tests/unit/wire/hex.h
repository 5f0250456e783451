#pragma once
// Hex: byte vectors as readers of the protocol write them.
//
// Owner    pure functions.
// Thread   any.
// Limit    Unhex: an even number of digits, nothing else.

#include <cassert>
#include <string>
#include <string_view>

namespace encke::wire {

inline std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

inline std::string Unhex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  assert(text.size() % 2 == 0);
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = kDigits.find(text[i]);
    const std::size_t low = kDigits.find(text[i + 1]);
    assert(high != std::string_view::npos && low != std::string_view::npos);
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

}  // namespace encke::wire
