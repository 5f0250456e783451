#pragma once
// Stamp: the first 24 bytes of every pushed body: which run, stream and number, and when it was
// planned.  Written and read on one machine, so in its byte order.
//
// Owner    value type.
// Thread   any.
// Limit    a body is at least kSize bytes.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace encke::bench {

struct Stamp {
  static constexpr std::uint32_t kMark = 0x31426e45;  // "EnB1"
  static constexpr std::size_t kSize = 24;

  std::uint32_t mark = kMark;
  std::uint32_t run = 0;
  std::uint32_t stream = 0;
  std::uint32_t sequence = 0;
  std::int64_t planned_us = 0;

  void AppendTo(std::string* out, std::size_t body_size) const {
    out->append(reinterpret_cast<const char*>(this), kSize);
    if (body_size > kSize) out->append(body_size - kSize, '.');
  }
  bool ReadFrom(const char* body, std::size_t size) {
    if (size < kSize) return false;
    std::memcpy(this, body, kSize);
    return mark == kMark;
  }
};
static_assert(sizeof(Stamp) == Stamp::kSize);

}  // namespace encke::bench
