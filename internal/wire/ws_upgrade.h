#pragma once
// WsUpgrade: the HTTP request that opens a WebSocket, and its answer.  RFC 6455 section 4.
//
// Path /sub with or without a query.  GET, HTTP/1.1, Upgrade: websocket, Connection containing
// upgrade, Sec-WebSocket-Version 13, a non-empty key; Host is not required, Origin is not checked,
// sub-protocols and extensions are ignored (all as goim).
//
// Owner    pure functions; the views borrow the input.
// Thread   any.
// Limit    kUpgradeBytesMax for the whole request head.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace encke::wire {

inline constexpr std::size_t kUpgradeBytesMax = 8192;

struct WsUpgrade {
  std::string_view path;  // without the query
  std::string_view query;
  std::string_view key;
  std::string_view cookie;
  std::string_view forwarded_for;  // X-Forwarded-For, else X-Real-IP, else empty
};

enum class UpgradeParsed : std::uint8_t { kUpgrade, kNeedMore, kRefused };

// kRefused: *status is the HTTP status to answer with (400, 404, 405, 426, 431).
UpgradeParsed ParseUpgrade(std::string_view in, WsUpgrade* out, std::size_t* consumed, int* status);

// The 101 answer: exactly status line, Upgrade, Connection, Sec-WebSocket-Accept.
std::string UpgradeAnswer(std::string_view key);
// A whole error answer with Connection: close.
std::string UpgradeRefusal(int status);

}  // namespace encke::wire
