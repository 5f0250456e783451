#pragma once
// CloseReason: every way a client connection ends, as one table.
//
// A TCP client of version 1 sees a bare close, as in goim; a WebSocket client reads code and text
// in the close frame; version 2 reads them in its Close.  Codes 3000 to 3499: come back, with
// back-off; 3500 and up: not with the same token.
//
// Owner    constants.
// Thread   any.
// Limit    one row per reason, in the order of the enum; name is the label in the metrics.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace encke::session {

enum class CloseReason : std::uint8_t {
  kNone,
  kPeer,
  kSocketError,
  kClosing,
  kHandshakeTimeout,
  kHeartbeatTimeout,
  kBadUpgrade,
  kBadFrame,
  kMessageTooBig,
  kBadPackage,
  kBodyTooLong,
  kAuthRefused,
  kAuthUnavailable,
  kReplaced,
  kSlow,
  kRepliesUnread,
  kRoomsFull,
  kShutdown,
  kBadConnect,
  kKicked,
};

struct CloseRow {
  CloseReason reason;
  std::uint16_t ws_code;  // 0 = no close frame
  std::string_view text;
  std::string_view name;
};

// clang-format off
inline constexpr std::array kCloseTable = {
    CloseRow{CloseReason::kNone,                0, "",                         "none"},
    CloseRow{CloseReason::kPeer,                0, "",                         "peer"},
    CloseRow{CloseReason::kSocketError,         0, "",                         "socket_error"},
    CloseRow{CloseReason::kClosing,             0, "",                         "close_frame"},
    CloseRow{CloseReason::kHandshakeTimeout, 3000, "no auth in time",          "handshake_timeout"},
    CloseRow{CloseReason::kHeartbeatTimeout, 3001, "no heartbeat in time",     "heartbeat_timeout"},
    CloseRow{CloseReason::kBadUpgrade,          0, "",                         "bad_upgrade"},
    CloseRow{CloseReason::kBadFrame,         1002, "bad frame",                "bad_frame"},
    CloseRow{CloseReason::kMessageTooBig,    1009, "message too big",          "message_too_big"},
    CloseRow{CloseReason::kBadPackage,       1002, "bad package",              "bad_package"},
    CloseRow{CloseReason::kBodyTooLong,      1009, "body over 4096 bytes",     "body_too_long"},
    CloseRow{CloseReason::kAuthRefused,      3500, "auth refused",             "auth_refused"},
    CloseRow{CloseReason::kAuthUnavailable,  3002, "auth unavailable",         "auth_unavailable"},
    CloseRow{CloseReason::kReplaced,         3501, "same key logged in again", "replaced"},
    CloseRow{CloseReason::kSlow,             3008, "too slow",                 "slow"},
    CloseRow{CloseReason::kRepliesUnread,    3009, "replies not read",         "replies_unread"},
    CloseRow{CloseReason::kRoomsFull,        3003, "no more rooms here",       "rooms_full"},
    CloseRow{CloseReason::kShutdown,         1001, "server is going away",     "shutdown"},
    CloseRow{CloseReason::kBadConnect,       3004, "Connect makes no sense",   "bad_connect"},
    CloseRow{CloseReason::kKicked,           3502, "kicked",                   "kicked"},
};
// clang-format on

inline constexpr std::size_t kCloseReasons = kCloseTable.size();

constexpr const CloseRow& RowOf(CloseReason reason) {
  return kCloseTable[static_cast<std::size_t>(reason)];
}

// What version 2 reads in its Close.
constexpr bool MayReturn(const CloseRow& row) {
  return row.ws_code < 3500 && row.reason != CloseReason::kBadConnect;
}
constexpr std::int64_t ReturnAfterMs(CloseReason reason) {
  switch (reason) {
    case CloseReason::kAuthUnavailable:
      return 1'000;
    case CloseReason::kRoomsFull:
      return 5'000;
    case CloseReason::kShutdown:
    case CloseReason::kSlow:
      return 100;
    default:
      return 0;
  }
}

constexpr bool CloseTableIsInOrder() {
  for (std::size_t i = 0; i < kCloseReasons; ++i) {
    if (static_cast<std::size_t>(kCloseTable[i].reason) != i) return false;
  }
  return true;
}
static_assert(CloseTableIsInOrder(), "RowOf indexes by the enum");

}  // namespace encke::session
