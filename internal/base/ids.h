#pragma once
// Strong ids: a Key cannot be passed where a RoomId is meant.
//
// Owner    value types.
// Thread   any.
// Limit    lengths are checked where ids enter (auth, HTTP), not here.

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace encke {

template <class Tag, class T>
class Id {
 public:
  Id() = default;
  explicit Id(T value) : value_(std::move(value)) {}
  const T& value() const { return value_; }
  auto operator<=>(const Id&) const = default;  // NOLINT(modernize-use-nullptr): it sees a 0

 private:
  T value_{};
};

using Mid = Id<struct MidTag, std::int64_t>;           // a member (a user); <= 0 is anonymous
using Key = Id<struct KeyTag, std::string>;            // one connection or device of a member
using RoomId = Id<struct RoomIdTag, std::string>;      // "live://1000"
using ServerId = Id<struct ServerIdTag, std::string>;  // one comet process

// A random UUIDv4 in canonical text form, from the kernel's generator.
std::string NewUuid();

}  // namespace encke

template <class Tag, class T>
struct std::hash<encke::Id<Tag, T>> {
  std::size_t operator()(const encke::Id<Tag, T>& id) const { return std::hash<T>()(id.value()); }
};
