#pragma once
// Codec: the client protocol, both versions and both transports, seen from the client.  Written
// from the protocol (goim's, and api/client.md) and sharing nothing with the daemons.
//
// Owner    nobody: functions.
// Thread   any.
// Limit    a frame's payload fits 32 bits.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>

namespace encke::bench {

// What a package from the server is, whichever version it is of.
enum class Kind : std::uint8_t { kOther, kWelcome, kHeartbeatReply, kPush };

struct Incoming {
  Kind kind = Kind::kOther;
  std::string_view body;  // of a push: what the backend sent
};

constexpr std::size_t kPackageHeader = 16;
constexpr std::int32_t kEnvelope = 9;  // version 1 on WebSocket: packages inside a package

inline std::uint32_t Get32(const char* in) {
  std::uint32_t v = 0;
  std::memcpy(&v, in, 4);
  return ntohl(v);
}

// One package to the server; on WebSocket in a masked frame.
void AppendPackage(bool ws, std::int32_t op, std::string_view body, std::string* out);
// The first package of a client, and what it sends from time to time.  An empty key is left out.
void AppendLogin(int version,
                 bool ws,
                 std::int64_t mid,
                 std::string_view room,
                 std::string_view key,
                 std::string* out);
void AppendHeartbeat(int version, bool ws, std::string* out);
Incoming Classify(int version, std::int32_t op, const char* body, std::size_t size);

std::string_view UpgradeRequest();
// Bytes of a whole 101 answer; 0 = not all here yet, -1 = something else came.
int UpgradeAnswer(std::string_view in);

// What arrives is decoded as a stream: nothing waits for the end of a frame, only for the end of a
// package.  `f(op, body, size)` is called for each; the answer says how many bytes are done with.
struct Decoded {
  std::size_t used = 0;
  bool broken = false;  // this is not the protocol
};

template <class F>
Decoded DecodePackages(const char* in, std::size_t size, F&& f) {
  std::size_t at = 0;
  while (size - at >= kPackageHeader) {
    const std::size_t length = Get32(in + at);
    if (length < kPackageHeader) return {at, true};
    if (size - at < length) break;
    f(static_cast<std::int32_t>(Get32(in + at + 8)), in + at + kPackageHeader,
      length - kPackageHeader);
    at += length;
  }
  return {at, false};
}

struct FrameHead {
  std::size_t size = 0;  // of the head; 0 = not all here yet
  std::uint64_t payload = 0;
  int opcode = 0;
};
FrameHead ReadFrameHead(const char* in, std::size_t size);

// *left: payload bytes of the frame under way that are still to come; 0 between frames.
template <class F>
Decoded DecodeFrames(std::uint32_t* left, const char* in, std::size_t size, F&& f) {
  std::size_t at = 0;
  while (at < size) {
    if (*left == 0) {
      const FrameHead head = ReadFrameHead(in + at, size - at);
      if (head.size == 0) break;
      if (head.opcode != 2) {  // a control frame says nothing to us
        if (head.opcode < 8) return {at, true};
        if (size - at < head.size + head.payload) break;
        at += head.size + head.payload;
        continue;
      }
      if (head.payload < kPackageHeader || head.payload > 0xffffffffU) return {at, true};
      if (size - at < head.size + kPackageHeader) break;
      const bool envelope = Get32(in + at + head.size + 8) == kEnvelope;
      const std::size_t skip = envelope ? kPackageHeader : 0;
      at += head.size + skip;
      *left = static_cast<std::uint32_t>(head.payload - skip);
      continue;
    }
    const std::size_t chunk = *left < size - at ? *left : size - at;
    const Decoded inner = DecodePackages(in + at, chunk, f);
    at += inner.used;
    const bool whole = chunk == *left;
    *left -= static_cast<std::uint32_t>(inner.used);
    if (inner.broken || (whole && inner.used < chunk)) return {at, true};
    if (inner.used < chunk) break;
  }
  return {at, false};
}

}  // namespace encke::bench
