#pragma once
// Reply: what goim's HTTP API answers, byte for byte.
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

#include "web/http_server.h"

namespace encke::goim {

inline constexpr int kOk = 0;
inline constexpr int kRequestError = -400;
inline constexpr int kUnauthorized = -401;
inline constexpr int kServerError = -500;

web::HttpReply CodeReply(int code, std::string_view message);
web::HttpReply DataReply(std::string_view json);
// A query that could not be read: goim has sent its headers by then, hence the odd type.
web::HttpReply BadQueryReply(std::string_view message);
web::HttpReply UnauthorizedReply();
web::HttpReply NotFoundReply();
// To the path without its trailing slash.
web::HttpReply RedirectReply(std::string_view method,
                             std::string_view path,
                             std::string_view query);

// What nodes/weighted says; what is zero or empty is left out.
struct Weighted {
  std::string domain;
  int tcp_port = 0;
  int ws_port = 0;
  int wss_port = 0;
  std::int64_t heartbeat_seconds = 0;
  std::vector<std::string> nodes;
  int backoff_max_delay = 0;
  int backoff_base_delay = 0;
  float backoff_factor = 0;
  float backoff_jitter = 0;
  int heartbeat_max = 0;
};

// The values of "data".
std::string TopJson(const std::vector<std::pair<std::string, std::int32_t>>& rooms);
std::string RoomCountsJson(std::vector<std::pair<std::string, std::int32_t>> rooms);
std::string TotalsJson(std::int64_t connections, std::int64_t addresses);
std::string WeightedJson(const Weighted& weighted);
std::string InstancesJson(const std::vector<Instance>& instances);

// What goim shows of a room's whole id: "live://1000" -> "1000", "live://a/b" -> "a".
std::string_view RoomOfId(std::string_view id);

}  // namespace encke::goim
