#include "goim/go_text.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <iterator>

#include <fmt/core.h>
#include <fmt/format.h>

namespace encke::goim {
namespace {

struct Rune {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

bool IsTail(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The code point at the head of `text`, which is not empty.  What is not UTF-8 is one bad byte.
Rune FirstRune(std::string_view text) {
  const auto head = static_cast<unsigned char>(text[0]);
  if (head < 0x80) return {head, 1, true};
  const std::size_t bytes = head >= 0xF0 ? 4 : head >= 0xE0 ? 3 : 2;
  if (head < 0xC2 || head > 0xF4 || text.size() < bytes) return {};
  std::uint32_t code = head & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!IsTail(text[i])) return {};
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  static constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast.at(bytes) || code > 0x10FFFF || surrogate) return {};
  return {code, bytes, true};
}

// The one-letter escapes both kinds of text share; 0 for none.
char LetterFor(std::uint32_t code) {
  switch (code) {
    case '"':
    case '\\':
      return static_cast<char>(code);
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

void AppendJsonRune(std::string* out, const Rune& rune, std::string_view bytes) {
  if (!rune.valid) {
    out->append("\\ufffd");
  } else if (const char letter = LetterFor(rune.code); letter != 0) {
    out->append({'\\', letter});
  } else if (rune.code < 0x20 || rune.code == '<' || rune.code == '>' || rune.code == '&' ||
             rune.code == 0x2028 || rune.code == 0x2029) {
    fmt::format_to(std::back_inserter(*out), "\\u{:04x}", rune.code);
  } else {
    out->append(bytes);
  }
}

char QuoteLetterFor(std::uint32_t code) {
  static constexpr std::string_view kLetters = "abtnvfr";  // 7 to 13
  return code >= 7 && code <= 13 ? kLetters[code - 7] : LetterFor(code);
}

void AppendQuotedRune(std::string* out, const Rune& rune, std::string_view bytes) {
  if (!rune.valid) {
    fmt::format_to(std::back_inserter(*out), "\\x{:02x}", static_cast<unsigned char>(bytes[0]));
  } else if (const char letter = QuoteLetterFor(rune.code); letter != 0) {
    out->append({'\\', letter});
  } else if (rune.code < 0x20 || rune.code == 0x7F) {
    fmt::format_to(std::back_inserter(*out), "\\x{:02x}", rune.code);
  } else if (rune.code >= 0x80 && rune.code < 0xA0) {
    fmt::format_to(std::back_inserter(*out), "\\u{:04x}", rune.code);
  } else {
    out->append(bytes);
  }
}

template <class Append>
void EachRune(std::string* out, std::string_view text, Append append) {
  out->push_back('"');
  while (!text.empty()) {
    const Rune rune = FirstRune(text);
    append(out, rune, text.substr(0, rune.bytes));
    text.remove_prefix(rune.bytes);
  }
  out->push_back('"');
}

}  // namespace

void AppendGoJson(std::string* out, std::string_view text) { EachRune(out, text, AppendJsonRune); }

std::string GoJson(std::string_view text) {
  std::string out;
  AppendGoJson(&out, text);
  return out;
}

std::string GoFloat32(float value) {
  std::array<char, 64> text{};
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return error == std::errc() ? std::string(text.data(), end) : "0";
}

std::string GoQuoted(std::string_view text) {
  std::string out;
  EachRune(&out, text, AppendQuotedRune);
  return out;
}

}  // namespace encke::goim
