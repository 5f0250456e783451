#pragma once
// Query: reads the parameters of a request as goim's framework does, with its error texts.
//
// A list is a repeated parameter; commas are not split.  A scalar given twice: the first counts. An
// empty number is 0.  The first parameter that is no number of its size ends the reading; when all
// could be read, every required one that is absent, empty or zero is named, one per line.
//
// Owner    the request's handler.
// Thread   one.
// Limit    the request's own size.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace encke::goim {

enum class Need : std::uint8_t { kOptional, kRequired };

class Query {
 public:
  explicit Query(std::string_view query);

  // `name` is the parameter, `field` what goim calls it in its errors.
  std::int32_t Int32(std::string_view name, std::string_view field, Need need = Need::kOptional);
  std::int64_t Int64(std::string_view name, std::string_view field, Need need = Need::kOptional);
  std::string Text(std::string_view name, std::string_view field, Need need = Need::kOptional);
  std::vector<std::int64_t> Int64s(std::string_view name);
  std::vector<std::string> Texts(std::string_view name,
                                 std::string_view field = "",
                                 Need need = Need::kOptional);

  // What is wrong, as goim says it; empty = nothing.
  const std::string& error() const { return broken_.empty() ? missing_ : broken_; }

 private:
  const std::string* First(std::string_view name) const;
  std::int64_t Number(std::string_view name, std::string_view field, Need need, int bits);
  std::int64_t Parse(std::string_view text, int bits);
  void Missing(std::string_view field);

  std::vector<std::pair<std::string, std::string>> pairs_;
  std::string broken_;   // the first parameter that could not be read
  std::string missing_;  // the required ones, joined by line feeds
};

// strconv.ParseInt(text, 10, bits): the error's text, or empty and *value.
std::string ParseGoInt(std::string_view text, int bits, std::int64_t* value);

}  // namespace encke::goim
