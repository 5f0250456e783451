#include "goim/query.h"

#include <fmt/core.h>

#include "goim/go_text.h"
#include "web/http_server.h"

namespace encke::goim {
namespace {

enum class Outcome : std::uint8_t { kFine, kSyntax, kRange };

// Go looks at one digit after the other and stops at the first thing that is wrong: a number that
// has become too large is out of range whatever follows it.
Outcome ParseDigits(std::string_view digits, std::uint64_t max, std::uint64_t* value) {
  if (digits.empty()) return Outcome::kSyntax;
  std::uint64_t sum = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return Outcome::kSyntax;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (sum > (max - digit) / 10) return Outcome::kRange;
    sum = sum * 10 + digit;
  }
  *value = sum;
  return Outcome::kFine;
}

}  // namespace

std::string ParseGoInt(std::string_view text, int bits, std::int64_t* value) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = negative || text.starts_with('+') ? text.substr(1) : text;
  const std::uint64_t unsigned_max = ~std::uint64_t{0} >> (64 - bits);
  const std::uint64_t limit = std::uint64_t{1} << (bits - 1);  // one more than the largest
  std::uint64_t sum = 0;
  Outcome outcome = ParseDigits(digits, unsigned_max, &sum);
  const bool too_large = negative ? sum > limit : sum >= limit;
  if (outcome == Outcome::kFine && too_large) outcome = Outcome::kRange;
  if (outcome == Outcome::kFine) {
    *value = static_cast<std::int64_t>(negative ? ~sum + 1 : sum);
    return "";
  }
  return fmt::format("strconv.ParseInt: parsing {}: {}", GoQuoted(text),
                     outcome == Outcome::kRange ? "value out of range" : "invalid syntax");
}

Query::Query(std::string_view query) : pairs_(web::ParseQuery(query)) {}

const std::string* Query::First(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::int64_t Query::Parse(std::string_view text, int bits) {
  std::int64_t value = 0;
  if (text.empty() || !broken_.empty()) return 0;
  broken_ = ParseGoInt(text, bits, &value);
  return value;
}

void Query::Missing(std::string_view field) {
  missing_ +=
      fmt::format("{}Key: '{}' Error:Field validation for '{}' failed on the 'required' tag",
                  missing_.empty() ? "" : "\n", field, field);
}

std::int64_t Query::Number(std::string_view name, std::string_view field, Need need, int bits) {
  const std::string* text = First(name);
  const std::int64_t value = text == nullptr ? 0 : Parse(*text, bits);
  if (need == Need::kRequired && value == 0) Missing(field);
  return value;
}

std::int32_t Query::Int32(std::string_view name, std::string_view field, Need need) {
  return static_cast<std::int32_t>(Number(name, field, need, 32));
}

std::int64_t Query::Int64(std::string_view name, std::string_view field, Need need) {
  return Number(name, field, need, 64);
}

std::string Query::Text(std::string_view name, std::string_view field, Need need) {
  const std::string* text = First(name);
  if (need == Need::kRequired && (text == nullptr || text->empty())) Missing(field);
  return text == nullptr ? "" : *text;
}

std::vector<std::int64_t> Query::Int64s(std::string_view name) {
  std::vector<std::int64_t> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.push_back(Parse(value, 64));
  }
  return values;
}

std::vector<std::string> Query::Texts(std::string_view name, std::string_view field, Need need) {
  std::vector<std::string> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.push_back(value);
  }
  // A list is there when its parameter is, even if all it holds is an empty text.
  if (need == Need::kRequired && values.empty()) Missing(field);
  return values;
}

}  // namespace encke::goim
