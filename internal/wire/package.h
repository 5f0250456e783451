#pragma once
// Package: goim's unit of talk on both transports.
//
//   package := packLen i32 | headerLen i16 | ver i16 | op i32 | seq i32 | body     (big endian)
//   packLen = 16 + body bytes, headerLen = 16
//
// Parsing keeps goim's leniency: packLen 0..15 is an empty body and consumes the 16 header bytes;
// a negative one too, but only on TCP.  A package from a client has at most 4096 body bytes.
//
// Owner    pure functions; Package::body borrows the input.
// Thread   any.
// Limit    kBodyBytesMax for what clients send; nothing limits what they are sent.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace encke::wire {

inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kBodyBytesMax = 4096;
static_assert(kHeaderBytes == 4 + 2 + 2 + 4 + 4, "packLen, headerLen, ver, op, seq");

struct Package {
  std::int16_t ver = 1;
  std::int32_t op = 0;
  std::int32_t seq = 0;
  std::string_view body;
};

enum class Parsed : std::uint8_t { kPackage, kNeedMore, kBadHeader, kTooLong };

// One package from the head of a TCP stream; *consumed is set for kPackage.
Parsed ParseStream(std::string_view in, Package* out, std::size_t* consumed);

// The package of one whole WebSocket message; surplus bytes are ignored.  Fewer than 16 bytes, a
// negative packLen or a packLen beyond the message are kBadHeader (goim read past the end there).
Parsed ParseMessage(std::string_view message, Package* out);

void AppendHeader(
    std::string* out, std::int16_t ver, std::int32_t op, std::int32_t seq, std::size_t body_bytes);
void AppendPackage(std::string* out, const Package& package);

}  // namespace encke::wire
