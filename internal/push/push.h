#pragma once
// Push: what a backend (or a client) wants said, and to whom; Accepted: what it is told.
//
// Owner    whoever made it; value types.
// Thread   any, like any value.
// Limit    none here; who takes them in checks sizes and names.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace encke::push {

enum class To : std::uint8_t { kKeys, kMids, kRooms, kAll };
enum class What : std::uint8_t { kSay, kKick, kJoin, kLeave };

struct Push {
  To to = To::kAll;
  What what = What::kSay;
  std::vector<Key> keys;
  std::vector<Mid> mids;
  std::vector<RoomId> rooms;
  RoomId room;  // kJoin, kLeave: which one
  std::int32_t op = 0;
  std::int32_t speed = 0;  // kAll: deliveries per second; 0 = as fast as it goes
  std::string body;        // kKick: the reason
  bool keep = false;       // kMids: also into their inboxes

  std::vector<std::string> exclude_keys;
  std::vector<std::int64_t> exclude_mids;
  std::vector<std::string> exclude_platforms;
  std::int64_t ttl_ms = 0;  // 0 = for ever
  bool report = false;
  std::string conflate;  // name under which newer ones replace it where it waits

  std::string id;      // empty: a new one
  bool again = false;  // one of this id may have been accepted already
  std::int64_t from_mid = 0;
  std::string client_id;
};

struct Place {
  std::string timeline;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
};

struct Accepted {
  std::string id;
  std::int64_t time_us = 0;
  std::vector<Place> places;   // in timelines
  std::uint64_t unrouted = 0;  // keys that are nowhere, mids of requests that reach nobody now
  bool duplicate = false;      // this id was in one of the timelines already
};
using OnAccepted = std::function<void(Result<Accepted>)>;

}  // namespace encke::push
