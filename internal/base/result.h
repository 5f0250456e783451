#pragma once
// Result<T>: a value or an Error, shaped like std::expected (GCC 12 has none).
//
// Owner    whoever holds it; a value type.
// Thread   any, like any value.
// Limit    none.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace encke {

enum class Errc : std::uint8_t {
  kInvalid,      // the input is wrong; the text names the field
  kNotFound,     // no such thing
  kUnavailable,  // the other side is away; try again later
  kTimeout,      // no answer in time
  kClosed,       // this object is stopping
  kOverloaded,   // a bound was reached
  kConflict,     // somebody else was faster (compare-and-set)
};

std::string_view ToString(Errc code);

struct Error {
  Errc code = Errc::kInvalid;
  std::string text;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: like expected
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  explicit operator bool() const { return state_.index() == 0; }
  bool has_value() const { return state_.index() == 0; }
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

struct Ok {};
using Status = Result<Ok>;

}  // namespace encke
