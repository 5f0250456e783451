#pragma once
// Op: the operation numbers of goim's client protocol.  18 to 999 are free in goim and ours.
//
// Owner    constants.
// Thread   any.
// Limit    none.

#include <cstdint>

namespace encke::wire {

inline constexpr std::int32_t kOpHeartbeat = 2;
inline constexpr std::int32_t kOpHeartbeatReply = 3;
inline constexpr std::int32_t kOpAuth = 7;
inline constexpr std::int32_t kOpAuthReply = 8;
inline constexpr std::int32_t kOpRaw = 9;  // WebSocket envelope: the body is complete packages
inline constexpr std::int32_t kOpChangeRoom = 12;
inline constexpr std::int32_t kOpChangeRoomReply = 13;
inline constexpr std::int32_t kOpSub = 14;
inline constexpr std::int32_t kOpSubReply = 15;
inline constexpr std::int32_t kOpUnsub = 16;
inline constexpr std::int32_t kOpUnsubReply = 17;

}  // namespace encke::wire
