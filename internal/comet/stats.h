#pragma once
// Stats: what comet counts, and its exposition for /metrics.
//
// Owner    ShardStats: each shard's Sessions, so that no two cores write one cache line.
// Thread   any may read; a shard's are written by its loop.
// Limit    none; labels come from the tables of close.h, ops.h and session.h.

#include <array>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "comet/close.h"
#include "comet/ops.h"
#include "comet/session.h"

namespace encke::hub {
struct HubCounts;
}
namespace encke::bus {
struct NatsCounts;
}

namespace encke::comet {

class Census;
class Addresses;
class Interest;
struct PushDoorCounts;

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
  Counter dropped_slow, dropped_gone;  // pushes, by why the connection did not get them
  Counter upstream_dropped;
  Counter rooms_refused;
  Counter renewals;
  // Published once a second, so that scrapes do not touch the loop's data.
  Gauge channels, rooms, session_bytes, net_bytes, hub_bytes;
};

struct LinkStats {
  Gauge up;
  Gauge waiting;                                       // Connects without an answer
  Counter connects, renewals, disconnects, upstreams;  // handed to a stream
  Counter dropped_renewals, dropped_disconnects;       // events_max
  Counter unanswered;                                  // Connects given up
  Counter streams, breaks;
  Counter moves_silent, moves_left;  // streams closed because logic was silent, or left
  Counter announces;
  Histogram answer_us;
};

// One shard as a scrape sees it.
struct ShardView {
  const ShardStats* sessions;
  hub::HubCounts* hub;
  net::NetCounts* net;
  const Histogram* turn_us;
  const Counter* posts_refused;
  std::size_t mailbox;
};

struct StatsView {
  std::vector<ShardView> shards;
  const LinkStats* link;
  const Interest* interest;
  const Census* census;
  const Addresses* addresses;
  const PushDoorCounts* door;
  const bus::NatsCounts* nats;
};

std::string MetricsText(const StatsView& view);

}  // namespace encke::comet
