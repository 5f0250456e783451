#pragma once
// GoimReply: what goim's HTTP API answers, byte for byte.
//
//   {"code":<int>,"message":<text>[,"data":<any>]}      no trailing newline
//
// Owner    pure functions.
// Thread   any.
// Limit    none.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/registry.pb.h"

#include "logic/nodes.h"
#include "web/http_server.h"

namespace encke::logic {

inline constexpr int kGoimOk = 0;
inline constexpr int kGoimRequestError = -400;
inline constexpr int kGoimUnauthorized = -401;
inline constexpr int kGoimServerError = -500;

web::HttpReply GoimCode(int code, std::string_view message);
web::HttpReply GoimData(std::string_view json);
// A query that could not be read: goim has sent its headers by then, hence the odd type.
web::HttpReply GoimBadQuery(std::string_view message);
web::HttpReply GoimUnauthorized();
web::HttpReply GoimNotFound();
// To the path without its trailing slash.
web::HttpReply GoimRedirect(std::string_view method, std::string_view path, std::string_view query);

// The values of "data".
std::string TopJson(const std::vector<std::pair<std::string, std::int32_t>>& rooms);
std::string RoomCountsJson(std::vector<std::pair<std::string, std::int32_t>> rooms);
std::string TotalsJson(std::int64_t connections, std::int64_t addresses);
std::string WeightedJson(const std::vector<std::string>& nodes, const NodesOptions& options);
std::string InstancesJson(const std::vector<Instance>& instances);

// What goim shows of a room's whole id: "live://1000" -> "1000", "live://a/b" -> "a".
std::string_view RoomOfId(std::string_view id);

}  // namespace encke::logic
