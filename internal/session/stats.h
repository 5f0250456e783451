#pragma once
// ShardStats: what the sessions of one shard count; comet's stats.cc shows the sum at /metrics.
//
// Owner    each shard's Sessions, so that no two cores write one cache line.
// Thread   any may read; written by the shard's loop.
// Limit    none; labels come from the tables of close.h, ops.h and session.h.

#include <array>

#include "backlog/rules.h"
#include "base/metrics.h"
#include "session/close.h"
#include "session/ops.h"
#include "session/session.h"

namespace encke::session {

struct ShardStats {
  std::array<Gauge, kTransports> open;
  std::array<Counter, kTransports> opened;
  Counter auth_accepted, auth_refused;
  Counter auth_unavailable;  // logic said: try again
  Counter auth_full;         // the link to logic took no more
  Counter auth_left;         // the client was gone when the answer came
  Counter skipped;           // packages before auth
  std::array<Counter, kOpRows> requests;
  std::array<Counter, kCloseReasons> closed;
  // Pushes, by why the connection did not get them; those that found a full queue by its policy.
  std::array<Counter, backlog::kPolicies> dropped_slow;
  Counter dropped_conflated, dropped_gone;
  Counter upstream_dropped;
  Counter rooms_refused;
  Counter renewals;
  // Published once a second, so that scrapes do not touch the loop's data.
  Gauge channels, rooms, session_bytes, net_bytes, hub_bytes;
};

}  // namespace encke::session
