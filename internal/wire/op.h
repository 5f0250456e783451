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

// Version 2 (api/client.md).
inline constexpr std::int32_t kOpConnect = 18;
inline constexpr std::int32_t kOpConnectReply = 19;
inline constexpr std::int32_t kOpJoin = 20;
inline constexpr std::int32_t kOpJoinReply = 21;
inline constexpr std::int32_t kOpLeave = 22;
inline constexpr std::int32_t kOpLeaveReply = 23;
inline constexpr std::int32_t kOpPublish = 24;
inline constexpr std::int32_t kOpPublishReply = 25;
inline constexpr std::int32_t kOpAck = 26;
inline constexpr std::int32_t kOpAckReply = 27;
inline constexpr std::int32_t kOpSync = 28;
inline constexpr std::int32_t kOpSyncReply = 29;
inline constexpr std::int32_t kOpBeat = 30;
inline constexpr std::int32_t kOpBeatReply = 31;
inline constexpr std::int32_t kOpPush = 32;
inline constexpr std::int32_t kOpGap = 33;
inline constexpr std::int32_t kOpClose = 34;
inline constexpr std::int32_t kOpError = 35;  // an operation that does not exist was asked for

}  // namespace encke::wire
