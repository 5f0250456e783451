#pragma once
// Bytes: big-endian integers, immutable shared buffers (encode once, share for ever), and a hash
// that stays the same for ever.
//
// Owner    SharedBytes: everybody who holds one; the bytes never change after Share().
// Thread   any.
// Limit    none here; queues count size() against their own bound.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace encke {

// FNV-1a, 64 bits: any language can compute it.
constexpr std::uint64_t Fnv1a(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : bytes)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return hash;
}

using SharedBytes = std::shared_ptr<const std::string>;

inline SharedBytes Share(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

inline void PutU16(char* out, std::uint16_t v) {
  out[0] = static_cast<char>(v >> 8);
  out[1] = static_cast<char>(v);
}

inline void PutU32(char* out, std::uint32_t v) {
  PutU16(out, static_cast<std::uint16_t>(v >> 16));
  PutU16(out + 2, static_cast<std::uint16_t>(v));
}

inline void PutU64(char* out, std::uint64_t v) {
  PutU32(out, static_cast<std::uint32_t>(v >> 32));
  PutU32(out + 4, static_cast<std::uint32_t>(v));
}

inline std::uint16_t GetU16(const char* in) {
  const auto* b = reinterpret_cast<const unsigned char*>(in);
  return static_cast<std::uint16_t>(b[0] << 8 | b[1]);
}

inline std::uint32_t GetU32(const char* in) {
  return static_cast<std::uint32_t>(GetU16(in)) << 16 | GetU16(in + 2);
}

inline std::uint64_t GetU64(const char* in) {
  return static_cast<std::uint64_t>(GetU32(in)) << 32 | GetU32(in + 4);
}

}  // namespace encke
